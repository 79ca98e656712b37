/* The kernel's log of whom it killed for want of memory. */

#include "runtime/oom.h"
#include "tests/test.h"

#define RECORD(where, who)                                                                         \
    "6,1042,98765432,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=unit-web,"      \
    "mems_allowed=0,oom_memcg=/ringfence/unit-web,task_memcg=" where ",task=" who ",uid=524288\n"

TEST(who_was_killed) {
    struct oom_victim victim;
    CHECK(oom_parse(RECORD("/ringfence/unit-web/main", "dd,pid=123"), "/ringfence/unit-web",
                    &victim));
    CHECK(victim.pid == 123);
    CHECK_TEXT(victim.name, "dd");
    CHECK(oom_parse(RECORD("/ringfence/unit-web", "a,pid=7,b,pid=8"), "/ringfence/unit-web",
                    &victim));
    CHECK(victim.pid == 8);
    CHECK_TEXT(victim.name, "a,pid=7,b");
    CHECK(
        oom_parse(RECORD("/ringfence/unit-web", "a\033[2J,pid=9"), "/ringfence/unit-web", &victim));
    CHECK_TEXT(victim.name, "a?[2J");
}

TEST(what_is_about_somebody_else) {
    struct oom_victim victim = {.pid = 1};
    static const char *const records[] = {
        RECORD("/ringfence/unit-web2/main", "dd,pid=123"),
        RECORD("/unit-web/main", "dd,pid=123"),
        RECORD("/ringfence/unit-web/main", "dd,pid=0"),
        RECORD("/ringfence/unit-web/main", "dd"),
        "12,1,2,-;oom-kill:constraint=X,task_memcg=/ringfence/unit-web,task=dd,pid=5,uid=0\n",
        "6,1042,98765432,-;eth0: link is up\n",
        "12,1,2,-;a program says: task_memcg=/ringfence/unit-web,task=dd,pid=5\n",
        "",
    };
    for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++)
        CHECK(!oom_parse(records[i], "/ringfence/unit-web", &victim));
    CHECK(victim.pid == 1);
    CHECK(!oom_find("/ringfence/no-such-unit", &victim));
}

TEST_MAIN
