/* What a later manager refuses to adopt: processes and sandboxes that are not the ones that were
 * saved, and words that are none. */

#include "runtime/words.h"
#include "tests/runtime/succession.h"

/* ---- strangers ---- */

static void refuse(const char *words, int error, const char *sentence) {
    struct run *run = NULL;
    int got = adopt_run_words(words, &run);
    if (got != error || strcmp(box.fault.text, sentence) != 0)
        printf("# %d: %s\n", got, box.fault.text);
    CHECK(got == error);
    CHECK_TEXT(box.fault.text, sentence);
}

static const char *process(pid_t pid, uint64_t start_time, uint64_t inode) {
    static char text[64];
    snprintf(text, sizeof text, "%d:%llu:%llu", pid, (unsigned long long)start_time,
             (unsigned long long)inode);
    return text;
}

static const char *gone(pid_t pid) {
    static char text[64];
    snprintf(text, sizeof text, "process %d is gone", pid);
    return text;
}

static uint64_t start_time_of(pid_t pid) {
    char path[64], line[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    CHECK(file && fgets(line, sizeof line, file));
    fclose(file);
    char *field = strrchr(line, ')');
    for (int i = 2; i < 22; i++)
        field = strchr(field + 1, ' ');
    return strtoull(field, NULL, 10);
}

TEST(processes_that_are_refused) {
    unsigned long long inode = 0, start_time = 0;
    char sentence[512];
    prepare();
    succeed("exec sleep 60");
    adopt();
    const char *at = strstr(left.run, " process=");
    CHECK(at && sscanf(at, " process=%*d:%llu:%llu", &start_time, &inode) == 2);
    CHECK(start_time == left.start_time);
    pid_t pid = left.main;

    refuse(changed(left.run, "process", process(pid, start_time + 1, inode)), -ESRCH, gone(pid));
    if (inode) /* the kernel numbers its pidfds: then the start time alone is not enough */
        refuse(changed(left.run, "process", process(pid, start_time, inode + 1)), -ESRCH,
               gone(pid));
    else
        printf("# this kernel does not number pidfds\n");
    refuse(changed(left.run, "process", process(4194303, start_time, inode)), -ESRCH,
           gone(4194303));
    refuse(changed(left.run, "boot", "00000000-0000-0000-0000-000000000000"), -ESRCH,
           "it was before this boot");
    refuse(changed(left.run, "process", "1"), -EINVAL,
           "what was saved has a malformed \"process\"");
    refuse(changed(left.run, "process", "-5:1:1"), -EINVAL,
           "what was saved has a malformed \"process\"");
    refuse(changed(left.run, "process", NULL), -EINVAL, "what was saved has no \"process\"");
    refuse(changed(left.run, "place", "attic"), -EINVAL,
           "what was saved has a malformed \"place\"");
    refuse("", -EINVAL, "what was saved has no \"boot\"");

    /* One that is there, but not in this unit; and this one, but not where it says. */
    snprintf(sentence, sizeof sentence, "process %d is not in cgroup \"%s\"", getpid(),
             sandbox_cgroup(box.sandbox));
    refuse(changed(left.run, "process", process(getpid(), start_time_of(getpid()), 0)), -EXDEV,
           sentence);
    snprintf(sentence, sizeof sentence, "process %d is not in cgroup \"%s\"", pid,
             sandbox_cgroup(box.sandbox));
    refuse(changed(left.run, "place", "beside"), -EXDEV, sentence);

    /* By start time alone, as on kernels before 6.9, it is found. */
    struct run *run = NULL;
    CHECK(adopt_run_words(changed(left.run, "process", process(pid, start_time, 0)), &run) == 0);
    CHECK(run_pid(run) == pid);
    run_free(run);
    pid_t saved = 0;
    uint64_t saved_start = 0;
    CHECK(run_saved_process(left.run, &saved, &saved_start) == 0);
    CHECK(saved == pid && saved_start == start_time);
    CHECK(run_saved_process("boot=x", &saved, &saved_start) == -ESTALE);
    CHECK(run_saved_process("", &saved, &saved_start) == -EINVAL);
    end();
}

static void refuse_sandbox(const char *words, int error, const char *sentence) {
    int fds[SANDBOX_SAVED_MAX];
    size_t count = left.fd_count;
    for (size_t i = 0; i < count; i++)
        fds[i] = fcntl(left.fds[i], F_DUPFD_CLOEXEC, 0);
    int got =
        sandbox_adopt(box.runtime, &box.container, words, fds, count, &box.sandbox, &box.fault);
    if (got != error || strcmp(box.fault.text, sentence) != 0)
        printf("# %d: %s\n", got, box.fault.text);
    CHECK(got == error);
    CHECK_TEXT(box.fault.text, sentence);
    for (size_t i = 0; i < count; i++)
        CHECK(fcntl(fds[i], F_GETFD) < 0 && errno == EBADF); /* consumed all the same */
}

TEST(sandboxes_that_are_refused) {
    char sentence[512], cgroup[256], number[32];
    struct stat status;
    prepare();
    succeed("exec sleep 60");
    snprintf(cgroup, sizeof cgroup, "%.200s/unit-box", runtime_cgroup(box.runtime));
    refuse_sandbox(changed(left.sandbox, "boot", NULL), -EINVAL, "what was saved has no \"boot\"");
    refuse_sandbox(changed(left.sandbox, "boot", "x"), -ESTALE, "it was before this boot");
    refuse_sandbox(changed(left.sandbox, "kills", "1,2,3"), -EINVAL,
                   "what was saved has a malformed \"kills\"");
    refuse_sandbox(changed(left.sandbox, "cgroup", "unit-%zz"), -EINVAL,
                   "what was saved has a malformed \"cgroup\"");
    refuse_sandbox(changed(left.sandbox, "cgroup", "unit-other"), -ESTALE,
                   "its cgroup was \"unit-other\"");
    CHECK(stat(cgroup, &status) == 0);
    snprintf(number, sizeof number, "%llu", (unsigned long long)status.st_ino + 1);
    snprintf(sentence, sizeof sentence, "cgroup \"%s\" is another one of that name", cgroup);
    refuse_sandbox(changed(left.sandbox, "cgroup_id", number), -ESTALE, sentence);
    refuse_sandbox(changed(left.sandbox, "modes", "net:odd"), -EINVAL,
                   "what was saved has a malformed \"modes\"");
    refuse_sandbox(changed(left.sandbox, "ids", "0"), -EINVAL,
                   "what was saved has a malformed \"ids\"");
    refuse_sandbox(changed(left.sandbox, "ids", "131072:65536"), -ESTALE,
                   "the host ids from 131072 on are not those of unit \"box\" any more");
    refuse_sandbox(changed(left.sandbox, "held", "user:1"), -ESTALE,
                   "the user namespace that was kept is another one");
    refuse_sandbox(changed(left.sandbox, "held", "net:1"), -ESTALE,
                   "the net namespace that was kept is another one");
    box.container.name = (char *)"other";
    snprintf(sentence, sizeof sentence, "cgroup \"%.200s/unit-other\" is gone",
             runtime_cgroup(box.runtime));
    refuse_sandbox(left.sandbox, -ESTALE, sentence);
    box.container.name = (char *)"box";
    settle(); /* what nobody adopted */
    CHECK(stat(cgroup, &status) < 0 && errno == ENOENT);
    CHECK(box_exit_code(left.main) == 128 + SIGKILL);
    snprintf(sentence, sizeof sentence, "cgroup \"%s\" is gone", cgroup);
    refuse_sandbox(left.sandbox, -ESTALE, sentence);
    drop_descriptors();
    end();
}

/* A range that was forgotten is remembered; one that was given to another unit meanwhile is not
 * given twice. */
TEST(ranges_of_ids) {
    uint32_t base = 0, count = 0;
    char place[32] = "";
    prepare();
    succeed("exec sleep 60");
    const char *link = box_keep(&box, box_path(&box, "state/ranges/box"));
    const char *other = box_keep(&box, box_path(&box, "state/ranges/other"));
    CHECK(readlink(link, place, sizeof place - 1) > 0);
    CHECK(rename(link, other) == 0);
    runtime_close(box.runtime);
    box_open_runtime(&box);
    refuse_sandbox(left.sandbox, -ESTALE,
                   "the host ids from 268435456 on are not those of unit \"box\" any more");
    CHECK(unlink(other) == 0);
    runtime_close(box.runtime);
    box_open_runtime(&box);
    adopt();
    CHECK(sandbox_id_range(box.sandbox, &base, &count) && base == strtoul(place, NULL, 10));
    char again[32] = "";
    CHECK(readlink(link, again, sizeof again - 1) > 0);
    CHECK_TEXT(again, place);
    end();
}

TEST(words) {
    static const char odd[] = "100%, and\na second line\t\xc3\xa4 =%41";
    scoped_text struct text words = {0};
    char value[64];
    uint64_t number = 0;
    words_add(&words, "odd", odd);
    words_add(&words, "empty", "");
    text_add(&words, " number=18446744073709551615 later=x");
    CHECK(!strchr(words.data, '\n') && !strstr(words.data, "and "));
    CHECK(words_find(words.data, "odd", value, sizeof value) == 0);
    CHECK_TEXT(value, odd);
    CHECK(words_find(words.data, "odd", value, sizeof odd - 1) == -EINVAL);
    CHECK(words_find(words.data, "empty", value, sizeof value) == 0 && !*value);
    CHECK(words_find(words.data, "dd", value, sizeof value) == -ENOENT);
    CHECK(words_find(words.data, "od", value, sizeof value) == -ENOENT);
    CHECK(words_number(words.data, "number", &number) == 0 && number == UINT64_MAX);
    CHECK(words_number(words.data, "later", &number) == -EINVAL);
    static const char *const malformed[] = {"a=%", "a=%4", "a=%4g", "a=%00", "a=x%"};
    for (size_t i = 0; i < ELEMENTS(malformed); i++)
        CHECK(words_find(malformed[i], "a", value, sizeof value) == -EINVAL);
    CHECK(words_find("a=%41", "a", value, sizeof value) == 0);
    CHECK_TEXT(value, "A");
}

TEST_MAIN
