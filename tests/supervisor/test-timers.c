/* The heap of deadlines and the table of children, against plain arrays. */

#include <stdint.h>

#include "supervisor/children.h"
#include "supervisor/timers.h"
#include "tests/test.h"

static struct timers timers;
static uint64_t last, state = 7;
static int passed;

static uint64_t number(void) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return state >> 33;
}

static void note(struct deadline *deadline) {
    CHECK(deadline->at >= last);
    CHECK(deadline->slot == 0);
    last = deadline->at;
    passed++;
}

TEST(deadlines_pass_in_order) {
    static struct deadline deadlines[500];
    CHECK(timers_reserve(&timers, 500) == 0);
    CHECK(timers_next(&timers) == NEVER);
    for (int round = 0; round < 20000; round++) {
        struct deadline *deadline = &deadlines[number() % 500];
        deadline->passed = note;
        if (number() % 3 == 0)
            timers_cancel(&timers, deadline);
        else
            timers_set(&timers, deadline, number() % 100000);
        uint64_t first = NEVER;
        size_t count = 0;
        for (int i = 0; i < 500; i++) {
            count += deadlines[i].slot != 0;
            if (deadlines[i].slot && deadlines[i].at < first)
                first = deadlines[i].at;
        }
        CHECK(timers.count == count && timers_next(&timers) == first);
    }
    int left = (int)timers.count;
    timers_run(&timers, 100000);
    CHECK(passed == left && timers_next(&timers) == NEVER);
    timers_free(&timers);
}

static void again(struct deadline *deadline) {
    passed++;
    timers_set(&timers, deadline, 0);
}

TEST(one_that_sets_itself_again_waits_for_the_next_time) {
    struct deadline deadline = {.passed = again};
    CHECK(timers_reserve(&timers, 1) == 0);
    timers_set(&timers, &deadline, 5);
    timers_run(&timers, 10);
    CHECK(passed == 1 && timers_next(&timers) == 11);
    timers_set(&timers, &deadline, NEVER);
    CHECK(timers_next(&timers) == NEVER);
    timers_free(&timers);
}

static int told[3000];

static void ended(void *context, int wait_status) {
    int *place = context;
    CHECK(*place == 0);
    *place = wait_status;
}

TEST(children_are_told_apart) {
    struct children children = {0};
    int wait_status = 0;
    for (int pid = 1; pid < 3000; pid++)
        CHECK(children_add(&children, pid, ended, &told[pid], &wait_status) == 0);
    CHECK(children_add(&children, 5, ended, &told[5], &wait_status) == -EEXIST);
    for (int pid = 1; pid < 3000; pid += 3)
        children_remove(&children, pid);
    for (int pid = 2; pid < 3000; pid += 3)
        children_end(&children, pid, pid);
    for (int pid = 1; pid < 3000; pid++)
        CHECK(told[pid] == (pid % 3 == 2 ? pid : 0));
    CHECK(children.count == 999);
    children_free(&children);
}

TEST(an_end_before_the_claim_is_remembered) {
    struct children children = {0};
    int wait_status = 0;
    children_end(&children, 77, 9);
    children_end(&children, 78, 10);
    CHECK(children.unclaimed == 2);
    CHECK(children_add(&children, 77, ended, &told[0], &wait_status) == 1 && wait_status == 9);
    CHECK(children_add(&children, 77, ended, &told[0], &wait_status) == 0);
    children_forget_unclaimed(&children);
    CHECK(children.unclaimed == 0 && children.count == 1);
    CHECK(children_add(&children, 78, ended, &told[1], &wait_status) == 0);
    children_end(&children, 77, 4);
    CHECK(told[0] == 4);
    children_free(&children);
}

TEST_MAIN
