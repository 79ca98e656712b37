#include "runtime/adopt.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>

#include "runtime/private.h"
#include "runtime/words.h"
#include "units/base/fault.h"
#include "units/base/names.h"
#include "units/base/number.h"

/* Words that are there in every version of them, of a sandbox and of a run. */
#define WORD_BOOT "boot"
#define WORD_MAIN "main"
#define WORD_LAUNCH "launch" /* of a run that has not executed */

static const char *const mode_items[] = {
    [NAMESPACE_PRIVATE] = "private", [NAMESPACE_HOST] = "host",   [NAMESPACE_UNIT] = "unit",
    [NAMESPACE_PATH] = "path",       [NAMESPACE_RANGE] = "range", [NAMESPACE_BRIDGE] = "bridge",
};
static const struct names mode_names = NAMES(mode_items);
static_assert(ELEMENTS(mode_items) == NAMESPACE_BRIDGE + 1, "a word for every mode");

static const char *const place_items[] = {
    [RUN_MAIN] = "main",
    [RUN_ALONE] = "alone",
    [RUN_BESIDE] = "beside",
    [RUN_PROBE] = "probe",
};
static const struct names place_names = NAMES(place_items);
static_assert(ELEMENTS(place_items) == RUN_PROBE + 1, "a word for every place");

static const struct names kind_names = {namespace_files, NAMESPACE_KINDS};

/* ---- save ---- */

static void add_cgroup(const struct cgroup *cgroup, struct text *words) {
    words_add(words, "cgroup", cgroup_relative(cgroup));
    text_format(words, " cgroup_id=%" PRIu64 " kills=", cgroup_id(cgroup));
    for (int part = 0; part < CGROUP_PARTS; part++)
        text_format(words, part ? ",%u" : "%u", cgroup_kills(cgroup)[part]);
}

/* "net:private,..." of all kinds; "net:INODE,..." of those that are held, as their descriptors
 * follow each other; the names of those that are somebody else's. */
static int add_namespaces(const struct sandbox *sandbox, struct text *words, int *fds,
                          size_t *ret_count) {
    size_t count = 0;
    text_add(words, " modes=");
    for (int kind = 0; kind < NAMESPACE_KINDS; kind++)
        text_format(words, kind ? ",%s:%s" : "%s:%s", namespace_files[kind],
                    mode_items[sandbox->modes[kind]]);
    text_add(words, " held=");
    for (int kind = 0; kind < NAMESPACE_KINDS; kind++) {
        uint64_t inode;
        if (sandbox->namespaces[kind] < 0)
            continue;
        int error = namespace_identify(sandbox->namespaces[kind], &inode);
        if (error)
            return error;
        text_format(words, count ? ",%s:%" PRIu64 : "%s:%" PRIu64, namespace_files[kind], inode);
        fds[count++] = sandbox->namespaces[kind];
    }
    const char *separator = " joined=";
    for (int kind = 0; kind < NAMESPACE_KINDS; kind++)
        if (sandbox->joined[kind]) {
            text_format(words, "%s%s", separator, namespace_files[kind]);
            separator = ",";
        }
    *ret_count = count;
    return 0;
}

int sandbox_save(const struct sandbox *sandbox, struct text *words,
                 int fds[static SANDBOX_SAVED_MAX], size_t *ret_count) {
    if (!sandbox->created)
        return -EBUSY;
    words_add(words, WORD_BOOT, sandbox->runtime->boot);
    add_cgroup(sandbox->cgroup, words);
    text_format(words, " ids=%" PRIu32 ":%" PRIu32, sandbox->ids.base, sandbox->ids.count);
    int error = add_namespaces(sandbox, words, fds, ret_count);
    if (error)
        return error;
    if (sandbox->main_pidfd >= 0)
        identity_print(words, WORD_MAIN, &sandbox->main);
    if (sandbox->notes.length)
        words_add(words, "notes", sandbox->notes.data);
    return words->failed ? -ENOMEM : 0;
}

int run_save(const struct run *run, struct text *words, struct run_saved *ret_saved) {
    bool launching = run->report >= 0;
    if (run->payload.pid == 0 || (launching && !run_waits(run) && !run->released))
        return -EBUSY;
    words_add(words, WORD_BOOT, run->sandbox->runtime->boot);
    words_add(words, "place", place_items[run->place]);
    identity_print(words, "process", &run->payload);
    if (run->has_init)
        identity_print(words, "program", &run->program);
    if (run->program_ended)
        text_format(words, " ended=%u", (unsigned)run->wait_status);
    if (launching)
        words_add(words, WORD_LAUNCH, "yes");
    *ret_saved = (struct run_saved){.status = run->status, .report = run->report};
    return words->failed ? -ENOMEM : 0;
}

/* ---- what both ask of their words ---- */

static int malformed(const char *key, int error, struct fault *fault) {
    if (error == -ENOMEM)
        return fault_set(fault, error, "cannot read what was saved");
    return fault_say(fault, -EINVAL, "what was saved has %s \"%s\"",
                     error == -ENOENT ? "no" : "a malformed", key);
}

static int check_boot(const char *words, struct fault *fault) {
    char saved[IDENTITY_BOOT_SIZE], now[IDENTITY_BOOT_SIZE];
    int error = words_find(words, WORD_BOOT, saved, sizeof saved);
    if (error)
        return malformed(WORD_BOOT, error, fault);
    error = identity_boot(now);
    if (error)
        return fault_set(fault, error, "cannot tell which boot this is");
    return strcmp(saved, now) == 0 ? 0 : fault_say(fault, -ESTALE, "it was before this boot");
}

/* Takes "NAME:VALUE" or "NAME" off a list with commas; the name as a kind of namespaces. */
static int next_kind(char **list, enum namespace_kind *ret_kind, const char **ret_value) {
    char *item = strsep(list, ",");
    char *value = strchr(item, ':');
    if (value)
        *value++ = '\0';
    int kind = names_value(&kind_names, item);
    if (kind < 0)
        return -EINVAL;
    *ret_kind = (enum namespace_kind)kind;
    *ret_value = value ? value : "";
    return 0;
}

/* ---- a sandbox ---- */

/* Closes the descriptors that were handed in and that nobody took. */
struct handed {
    const int *fds;
    size_t count, taken;
};

static void handed_close(struct handed *handed) {
    while (handed->taken < handed->count)
        close_fd(handed->fds[handed->taken++]);
}
#define scoped_handed __attribute__((cleanup(handed_close)))

static int adopt_cgroup(struct sandbox *sandbox, const char *words, struct fault *fault) {
    const struct container *container = sandbox->container;
    unsigned kills[CGROUP_PARTS];
    uint64_t id;
    char text[128], rest;
    scoped_free char *path = NULL;
    int error = words_number(words, "cgroup_id", &id);
    if (error)
        return malformed("cgroup_id", error, fault);
    error = words_find(words, "kills", text, sizeof text);
    static_assert(CGROUP_PARTS == 4, "a count of kills for each part");
    if (!error && sscanf(text, "%u,%u,%u,%u%c", &kills[0], &kills[1], &kills[2], &kills[3],
                         &rest) != CGROUP_PARTS)
        error = -EINVAL;
    if (error)
        return malformed("kills", error, fault);
    error = words_copy(words, "cgroup", &path);
    if (error)
        return malformed("cgroup", error, fault);
    error = cgroup_adopt(sandbox->runtime->cgroups, container->resources.slice, container->name, id,
                         kills, &sandbox->cgroup, fault);
    if (!error && strcmp(cgroup_relative(sandbox->cgroup), path) != 0)
        error = fault_say(fault, -ESTALE, "its cgroup was \"%s\"", path);
    return error;
}

static int adopt_modes(struct sandbox *sandbox, const char *words, struct fault *fault) {
    scoped_free char *modes = NULL, *joined = NULL;
    int error = words_copy(words, "modes", &modes);
    if (error)
        return malformed("modes", error, fault);
    enum namespace_kind kind;
    const char *value;
    for (kind = 0; kind < NAMESPACE_KINDS; kind++)
        sandbox->modes[kind] = NAMESPACE_HOST; /* one that an older version did not know */
    for (char *rest = modes; rest;) {
        error = next_kind(&rest, &kind, &value);
        int mode = error ? error : names_value(&mode_names, value);
        if (mode < 0)
            return malformed("modes", -EINVAL, fault);
        sandbox->modes[kind] = (enum namespace_mode)mode;
    }
    error = words_copy(words, "joined", &joined);
    if (error && error != -ENOENT)
        return malformed("joined", error, fault);
    for (char *rest = joined; rest;) {
        if (next_kind(&rest, &kind, &value) < 0)
            return malformed("joined", -EINVAL, fault);
        sandbox->joined[kind] = true;
    }
    return 0;
}

static int adopt_ids(struct sandbox *sandbox, const char *words, struct fault *fault) {
    char text[32], rest;
    int error = words_find(words, "ids", text, sizeof text);
    if (!error && sscanf(text, "%" SCNu32 ":%" SCNu32 "%c", &sandbox->ids.base, &sandbox->ids.count,
                         &rest) != 2)
        error = -EINVAL;
    if (error)
        return malformed("ids", error, fault);
    if (sandbox->modes[NAMESPACE_USER] != NAMESPACE_PRIVATE)
        return 0;
    if (!sandbox->runtime->ranges)
        return fault_say(fault, -ESTALE, "no host ids are set aside for it any more");
    return id_ranges_keep(sandbox->runtime->ranges, sandbox->container->name, sandbox->ids, fault);
}

static int all_are_gone(struct fault *fault) {
    return fault_say(fault, -ESTALE, "nobody kept its namespaces, and its main process is gone");
}

/* -ESTALE, without a sentence: it is another one. */
static int compare(enum namespace_kind kind, int fd, uint64_t inode, struct fault *fault) {
    uint64_t found = 0;
    int error = namespace_check(kind, fd);
    if (!error)
        error = namespace_identify(fd, &found);
    if (error && error != -EINVAL)
        return fault_set(fault, error, "cannot look at its %s namespace", namespace_files[kind]);
    return !error && found == inode ? 0 : -ESTALE;
}

/* One that somebody kept, or one of the main process. Of the mount namespace that has a copy. */
static int adopt_namespace(enum namespace_kind kind, uint64_t inode, struct handed *handed,
                           pid_t main, struct fault *fault) {
    char path[48];
    if (handed->count) {
        scoped_fd int fd = handed->fds[handed->taken++];
        int error = compare(kind, fd, inode, fault);
        if (error == -ESTALE)
            return fault_say(fault, -ESTALE, "the %s namespace that was kept is another one",
                             namespace_files[kind]);
        return error ? error : take_fd(&fd);
    }
    snprintf(path, sizeof path, "/proc/%d/ns/%s", main, namespace_files[kind]);
    scoped_fd int fd = namespace_open(kind, path, fault);
    if (fd == -ENOENT) /* a zombie, of whom a pidfd could be had */
        return all_are_gone(fault);
    int error = fd >= 0 && kind != NAMESPACE_MOUNT ? compare(kind, fd, inode, fault) : 0;
    if (error == -ESTALE)
        return fault_say(fault, -ESTALE, "process %d is in another %s namespace", main,
                         namespace_files[kind]);
    return error ? error : take_fd(&fd);
}

/* Where no descriptors came: a pidfd of the process whose namespaces are to be had. */
static int open_main(const char *words, struct identity *ret_main, struct fault *fault) {
    int error = identity_parse(words, WORD_MAIN, ret_main);
    if (error && error != -ENOENT)
        return malformed(WORD_MAIN, error, fault);
    int pidfd = error ? -ESRCH : identity_open(ret_main);
    if (pidfd < 0 && pidfd != -ESRCH)
        return fault_set(fault, pidfd, "cannot open its main process");
    if (pidfd < 0)
        return all_are_gone(fault);
    return pidfd;
}

static int adopt_namespaces(struct sandbox *sandbox, const char *words, struct handed *handed,
                            struct fault *fault) {
    scoped_free char *held = NULL;
    struct identity main = {0};
    int error = words_copy(words, "held", &held);
    if (error)
        return malformed("held", error, fault);
    scoped_fd int pidfd = handed->count || !*held ? -EBADF : open_main(words, &main, fault);
    if (pidfd < 0 && pidfd != -EBADF)
        return pidfd;
    for (char *rest = *held ? held : NULL; rest;) {
        enum namespace_kind kind;
        const char *value;
        uint64_t inode;
        if (next_kind(&rest, &kind, &value) < 0 || number_parse(value, &inode) < 0 ||
            sandbox->namespaces[kind] >= 0)
            return malformed("held", -EINVAL, fault);
        if (handed->count && handed->taken == handed->count)
            return fault_say(fault, -ESTALE, "not all of its namespaces were kept");
        int fd = adopt_namespace(kind, inode, handed, main.pid, fault);
        if (fd < 0)
            return fd;
        sandbox->namespaces[kind] = fd;
    }
    /* The names below /proc were those of that process if it is not reaped even now. */
    if (pidfd >= 0 && pidfd_send_signal(pidfd, 0, NULL, 0) < 0)
        return fault_say(fault, -ESTALE, "its main process has ended");
    return 0;
}

int sandbox_adopt(struct runtime *runtime, const struct container *container, const char *words,
                  const int *fds, size_t count, struct sandbox **ret_sandbox, struct fault *fault) {
    scoped_handed struct handed handed = {.fds = fds, .count = count};
    int error = name_check(container->name, fault);
    if (!error)
        error = check_boot(words, fault);
    if (error)
        return error;
    scoped_free char *notes = NULL;
    scoped(sandbox_free) struct sandbox *sandbox = sandbox_new(runtime, container);
    if (!sandbox)
        return fault_set(fault, ENOMEM, "cannot adopt a sandbox");
    error = adopt_cgroup(sandbox, words, fault);
    if (!error)
        error = adopt_modes(sandbox, words, fault);
    if (!error)
        error = adopt_ids(sandbox, words, fault);
    if (!error)
        error = adopt_namespaces(sandbox, words, &handed, fault);
    if (!error)
        error = sandbox_confine(sandbox, fault);
    if (error)
        return error;
    if (words_copy(words, "notes", &notes) == 0)
        text_add(&sandbox->notes, notes);
    sandbox->created = sandbox->adopted = true;
    *ret_sandbox = take(sandbox);
    return 0;
}

/* ---- a run ---- */

static void saved_close(struct run_saved *saved) {
    close_fd(saved->status);
    close_fd(saved->report);
}
#define scoped_saved __attribute__((cleanup(saved_close)))

/* Into one that has neither descriptors nor a sandbox's notice yet. */
static int parse_run(const char *words, struct run *run, struct fault *fault) {
    char text[16];
    uint64_t ended;
    int error = words_find(words, "place", text, sizeof text);
    int place = error ? error : names_value(&place_names, text);
    if (place < 0)
        return malformed("place", error ? error : -EINVAL, fault);
    run->place = (enum run_place)place;
    error = identity_parse(words, "process", &run->payload);
    if (error)
        return malformed("process", error, fault);
    error = identity_parse(words, "program", &run->program);
    if (error && error != -ENOENT)
        return malformed("program", error, fault);
    run->has_init = !error;
    error = words_number(words, "ended", &ended);
    if (error && error != -ENOENT)
        return malformed("ended", error, fault);
    run->program_ended = !error;
    run->wait_status = error ? 0 : (int)ended;
    error = words_find(words, WORD_LAUNCH, text, sizeof text);
    run->waits = !error;
    return error && error != -ENOENT ? malformed(WORD_LAUNCH, error, fault) : 0;
}

static int take_saved(struct run *run, struct run_saved *saved, struct fault *fault) {
    if (run->waits && saved->report < 0)
        return fault_say(fault, -ENOLINK, "process %d was on its way, and nobody kept its report",
                         run->payload.pid);
    if (run->waits)
        run->report = take_fd(&saved->report);
    if (run->has_init && !run->program_ended)
        run->status = take_fd(&saved->status);
    return 0;
}

static int adopt_process(struct run *run, struct fault *fault) {
    pid_t pid = run->payload.pid;
    enum cgroup_part part = run_parts[run->place];
    run->pidfd = identity_open(&run->payload);
    if (run->pidfd == -ESRCH)
        return fault_say(fault, -ESRCH, "process %d is gone", pid);
    if (run->pidfd < 0)
        return fault_set(fault, run->pidfd, "cannot open process %d", pid);
    int held = cgroup_holds(run->sandbox->cgroup, part, pid);
    if (held == 0)
        return fault_say(fault, -EXDEV, "process %d is not in cgroup \"%s\"", pid,
                         cgroup_path(run->sandbox->cgroup));
    if (held < 0)
        return fault_set(fault, held, "cannot tell the cgroup of process %d", pid);
    return 0;
}

int run_adopt(struct sandbox *sandbox, const char *words, struct run_saved saved,
              struct run **ret_run, struct fault *fault) {
    scoped_saved struct run_saved handed = saved;
    int error = check_boot(words, fault);
    if (error)
        return error == -ESTALE ? -ESRCH : error;
    scoped(run_free) struct run *run = run_new(sandbox, RUN_MAIN);
    if (!run)
        return fault_set(fault, ENOMEM, "cannot adopt a run");
    error = parse_run(words, run, fault);
    if (!error)
        error = adopt_process(run, fault);
    if (!error)
        error = take_saved(run, &handed, fault);
    if (error)
        return error;
    if (run->has_init)
        run->program_pidfd = identity_open(&run->program); /* it may end before its init */
    if (run->place == RUN_MAIN)
        run_become_main(run);
    sandbox->occupied[run_parts[run->place]] = true;
    *ret_run = take(run);
    return 0;
}

int run_adopt_gone(struct sandbox *sandbox, const char *words, struct run_saved saved,
                   struct run **ret_run, struct fault *fault) {
    scoped_saved struct run_saved handed = saved;
    int error = check_boot(words, fault);
    if (error)
        return error;
    scoped(run_free) struct run *run = run_new(sandbox, RUN_MAIN);
    if (!run)
        return fault_set(fault, ENOMEM, "cannot adopt a run");
    error = parse_run(words, run, fault);
    if (!error)
        error = take_saved(run, &handed, fault);
    if (error)
        return error;
    sandbox->occupied[run_parts[run->place]] = true;
    *ret_run = take(run);
    return 0;
}

int run_saved_process(const char *words, pid_t *ret_pid, uint64_t *ret_start_time) {
    struct identity process;
    int error = check_boot(words, NULL);
    if (!error)
        error = identity_parse(words, "process", &process);
    if (error)
        return error == -ESTALE ? error : -EINVAL;
    *ret_pid = process.pid;
    *ret_start_time = process.start_time;
    return 0;
}
