/* A manager that is killed and another one that comes: what lies in files, what the keeper holds
 * and has seen, and what of the world can be found again. */

#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/adopt.h"
#include "supervisor/facts-file.h"
#include "supervisor/job.h"
#include "supervisor/keeping.h"
#include "supervisor/state.h"
#include "tests/supervisor/fake-sandbox.h"

bool fake_dead, fake_full;
int fake_facts_error;
unsigned fake_managers;

static void *grown(void *memory, size_t count, size_t size) {
    void *larger = reallocarray(memory, count, size);
    if (!larger)
        abort();
    return larger;
}

/* ---- files ---- */

struct file {
    char *name, *facts, *unit;
    bool wanted;
};

static void *files; /* of struct file; a tree of tsearch(3) */
static char *manager_facts_text;

static int by_name(const void *one, const void *other) {
    return strcmp(((const struct file *)one)->name, ((const struct file *)other)->name);
}

static struct file *find_file(const char *name) {
    const struct file wanted = {.name = (char *)(uintptr_t)name};
    struct file **found = tfind(&wanted, &files, by_name);
    return found ? *found : NULL;
}

static char **place_of(const char *unit, enum facts_file file) {
    if (!unit)
        return &manager_facts_text;
    struct file *there = find_file(unit);
    if (!there) {
        there = calloc(1, sizeof(*there));
        if (!there || !(there->name = strdup(unit)) || !tsearch(there, &files, by_name))
            abort();
    }
    return file == FACTS_FILE ? &there->facts : &there->unit;
}

int facts_file_write(const struct manager *manager, const char *unit, enum facts_file file,
                     const char *data, size_t length, struct fault *fault) {
    (void)manager;
    if (fake_full)
        return fault_say(fault, ENOSPC, "cannot write the state of %s", unit ? unit : "us");
    char **place = place_of(unit, file);
    free(*place);
    *place = strndup(data, length);
    return 0;
}

int facts_file_want(const struct manager *manager, const char *unit, bool wanted,
                    struct fault *fault) {
    (void)manager, (void)fault;
    find_file(unit)->wanted = wanted;
    return 0;
}

int facts_file_is_wanted(const struct manager *manager, const char *unit) {
    const struct file *file = find_file(unit);
    (void)manager;
    return file && file->wanted;
}

int facts_file_read(const struct manager *manager, const char *unit, enum facts_file file,
                    char **ret_data, struct fault *fault) {
    const char *text = *place_of(unit, file);
    (void)manager;
    if (unit && fake_facts_error)
        return fault_set(fault, fake_facts_error, "cannot open the facts of %s", unit);
    if (!text)
        return fault_say(fault, ENOENT, "there is no such file");
    *ret_data = strdup(text);
    return 0;
}

static char **listed;
static size_t listed_count;

static void list_one(const void *node, VISIT visit, int depth) {
    (void)depth;
    if (visit != postorder && visit != leaf)
        return;
    listed = grown(listed, listed_count + 1, sizeof(char *));
    listed[listed_count++] = strdup((*(struct file *const *)node)->name);
}

int facts_file_list(const struct manager *manager, char ***ret_names, size_t *ret_count,
                    struct fault *fault) {
    (void)manager, (void)fault;
    listed = NULL;
    listed_count = 0;
    twalk(files, list_one);
    *ret_names = listed;
    *ret_count = listed_count;
    return 0;
}

static void free_file(void *file) {
    struct file *gone = file;
    free(gone->name);
    free(gone->facts);
    free(gone->unit);
    free(gone);
}

void facts_file_remove(const struct manager *manager, const char *unit) {
    (void)manager;
    if (!unit) {
        tdestroy(files, free_file);
        files = NULL;
        free(take(manager_facts_text));
        return;
    }
    struct file *file = find_file(unit);
    if (!file)
        return;
    tdelete(file, &files, by_name);
    free_file(file);
}

const char *facts_file_boot(const struct manager *manager) {
    (void)manager;
    return "fake";
}

void fake_damage(const char *name) {
    find_file(name)->facts[20] ^= 1;
}

void fake_set_version(const char *name, char digit) {
    (name ? find_file(name)->facts : manager_facts_text)[strlen("version = ")] = digit;
}

void fake_check_saved(struct service *service) {
    scoped_text struct text now = {0};
    const struct file *file = find_file(service->name);
    char rule[300];
    if (state_is_pristine(service) || (fake_full && !list_is_empty(&service->private->unsaved)))
        return;
    state_print(service, &now);
    if (file && file->facts && strcmp(file->facts, now.data) == 0)
        return;
    snprintf(rule, sizeof(rule), "%s: what is written of it is not what it is", service->name);
    if (getenv("RINGFENCE_TRACE"))
        printf("# written:\n%s# is:\n%s", file && file->facts ? file->facts : "nothing\n",
               now.data);
    fake_broken(rule);
}

void fake_check_removed(const char *name) {
    const struct service *service = manager_lookup(fake_manager, name);
    const struct file *file = find_file(name);
    if (service && file && state_is_pristine(service))
        fake_break("it was removed, and is still known", service);
}

/* ---- the keeper: descriptors are only counted ---- */

static struct kept {
    char name[UNIT_NAME_MAX + 16];
    size_t count;
    int first; /* the first descriptor */
    bool taken;
} * kept;
static size_t kept_count;

static struct keeper_exit *seen;
static size_t seen_count, seen_first;

static struct kept *find_kept(const char *name) {
    for (size_t i = 0; i < kept_count; i++)
        if (strcmp(kept[i].name, name) == 0)
            return &kept[i];
    return NULL;
}

int keeping_store(struct keeping *keeping, const char *name, const int *fds, size_t count,
                  struct fault *fault) {
    struct kept *one = find_kept(name);
    (void)keeping, (void)fault;
    if (!one) {
        kept = grown(kept, kept_count + 1, sizeof(*kept));
        one = &kept[kept_count++];
        *one = (struct kept){.first = count ? fds[0] : -1, .taken = true};
        snprintf(one->name, sizeof(one->name), "%s", name);
    }
    one->count += count;
    return 0;
}

void keeping_drop(struct keeping *keeping, const char *name) {
    struct kept *one = fake_dead ? NULL : find_kept(name);
    (void)keeping;
    if (one)
        *one = kept[--kept_count];
}

int keeping_take(struct keeping *keeping, const char *name, int *ret_fds, size_t room) {
    struct kept *one = find_kept(name);
    (void)keeping;
    if (!one || one->taken || one->count > room)
        return 0;
    one->taken = true;
    for (size_t i = 0; i < one->count; i++)
        ret_fds[i] = i == 0 && one->first < -1 ? one->first : open("/dev/null", O_PATH | O_CLOEXEC);
    return (int)one->count;
}

int keeping_settle(struct keeping *keeping) {
    (void)keeping;
    for (size_t i = kept_count; i-- > 0;)
        if (!kept[i].taken)
            kept[i] = kept[--kept_count];
    fake_sockets_settle();
    return 0;
}

const char *fake_kept(void) {
    return kept_count > 0 ? kept[0].name : NULL;
}

int keeping_exits_fd(const struct keeping *keeping) {
    (void)keeping;
    return -1; /* fake_keeper_reaps calls */
}

int keeping_peek_exit(struct keeping *keeping, struct keeper_exit *ret_exit) {
    (void)keeping;
    if (seen_first == seen_count)
        return false;
    *ret_exit = seen[seen_first];
    return true;
}

void keeping_consume_exit(struct keeping *keeping) {
    (void)keeping;
    if (++seen_first == seen_count)
        seen_first = seen_count = 0;
}

void fake_keeper_reaps(pid_t pid, int wait_status) {
    seen = grown(seen, seen_count + 1, sizeof(*seen));
    seen[seen_count++] = (struct keeper_exit){pid, wait_status, (uint64_t)pid};
    if (fake_manager)
        manager_read_exits(fake_manager);
}

/* ---- what was said while nobody listened ---- */

static char (*said)[UNIT_NAME_MAX];
static size_t said_count;

void fake_say_later(const char *name) {
    said = grown(said, said_count + 1, sizeof(*said));
    snprintf(said[said_count++], sizeof(*said), "%s", name);
}

bool fake_take_said(const char *name) {
    for (size_t i = 0; i < said_count; i++)
        if (strcmp(said[i], name) == 0) {
            memmove(&said[i], &said[i + 1], (--said_count - i) * sizeof(*said));
            return true;
        }
    return false;
}

/* ---- the runtime ---- */

/* No descriptor, but one sandbox's alone. */
static int namespaces_of(const struct sandbox *sandbox) {
    return -2 - (int)sandbox->serial;
}

int sandbox_save(const struct sandbox *sandbox, struct text *words,
                 int fds[static SANDBOX_SAVED_MAX], size_t *ret_count) {
    if (!sandbox->whole)
        return -EBUSY;
    text_format(words, "%u", sandbox->serial);
    if (sandbox->named)
        text_format(words, " %d", (int)sandbox->named);
    fds[0] = namespaces_of(sandbox);
    *ret_count = 1;
    return 0;
}

/* Without descriptors it is found by what its main process has. */
static bool can_be_opened(const struct sandbox *sandbox, const char *words) {
    const char *process = strchr(words, ' ');
    return process && sandbox->run && sandbox->run->alive && sandbox->run->pid == atoi(process);
}

int sandbox_adopt(struct runtime *runtime, const struct container *container, const char *words,
                  const int *fds, size_t count, struct sandbox **ret_sandbox, struct fault *fault) {
    struct sandbox *sandbox;
    (void)runtime;
    int first = count > 0 ? fds[0] : -1;
    for (size_t i = 0; i < count; i++)
        close_fd(fds[i]);
    list_for_each(sandbox, &fake_all, link) {
        if (strcmp(sandbox->name, container->name) != 0 || !sandbox->whole || sandbox->held ||
            strtoul(words, NULL, 10) != sandbox->serial)
            continue;
        if (count == 0 && !can_be_opened(sandbox, words))
            return fault_say(fault, ESTALE, "nobody kept its namespaces");
        if (count > 0 && first != namespaces_of(sandbox))
            return fault_say(fault, ESTALE, "another one's namespaces were kept");
        sandbox->held = true;
        *ret_sandbox = sandbox;
        return 0;
    }
    return fault_say(fault, ESTALE, "there is no sandbox \"%s\"", words);
}

int run_save(const struct run *run, struct text *words, struct run_saved *ret_saved) {
    int report = run_report_fd(run);
    if (!run->learned || (report >= 0 && !run->waits))
        return -EBUSY;
    text_format(words, "%d%s%s%s", (int)run->learned, run->place == RUN_MAIN ? " main" : "",
                run->told_left ? " ended" : "", report >= 0 ? " launch" : "");
    *ret_saved = (struct run_saved){run->status_fd, report};
    return 0;
}

static pid_t *failed;
static size_t failed_count;

void fake_note_failed(pid_t pid) {
    failed = grown(failed, failed_count + 1, sizeof(*failed));
    failed[failed_count++] = pid;
}

static bool has_failed(pid_t pid) {
    for (size_t i = 0; i < failed_count; i++)
        if (failed[i] == pid)
            return true;
    return false;
}

static bool is_there(const struct run *run) {
    return run->alive || run->reaped.slot;
}

static bool keeper_was_lost;

/* What a launch came to while nobody listened lies in its report, which must have been kept while
 * there was anybody who keeps. */
static int check_launch(bool launch, const struct run_saved *saved, struct fault *fault) {
    if (!launch || saved->report >= 0)
        return 0;
    if (!keeper_was_lost)
        fake_broken("the report of a launch was not kept");
    return fault_say(fault, ENOLINK, "it was on its way, and nobody kept its report");
}

static void close_saved(const struct run_saved *saved) {
    close_fd(saved->status);
    close_fd(saved->report);
}

int run_adopt(struct sandbox *sandbox, const char *words, struct run_saved saved,
              struct run **ret_run, struct fault *fault) {
    struct run *run;
    bool launch = strstr(words, "launch") != NULL;
    int error = check_launch(launch, &saved, fault);
    close_saved(&saved);
    if (error < 0)
        return error;
    list_for_each(run, &fake_all_runs, all) {
        if (run->pid != atoi(words) || !is_there(run))
            continue;
        run->report_fd = fake_fd_open();
        run->told_left = strstr(words, "ended") != NULL;
        if (saved.status >= 0 && !run->told_left)
            run->status_fd = fake_fd_open();
        if (run->left)
            fake_run_tell_left(run);
        else if (run->lingers)
            run->program_fd = fake_fd_open();
        if (run->stranger)
            run->pidfd = fake_stranger_open(run->pid);
        run->learned = run->pid;
        run->held = true;
        run->heard = !launch;
        if (run->concluded && !run->heard)
            fake_happen(&run->report, 0);
        sandbox->occupied |= run->place == RUN_MAIN;
        *ret_run = run;
        return 0;
    }
    return fault_say(fault, ESRCH, "process %s is gone", words);
}

int run_adopt_gone(struct sandbox *sandbox, const char *words, struct run_saved saved,
                   struct run **ret_run, struct fault *fault) {
    bool launch = strstr(words, "launch") != NULL;
    int error = check_launch(launch, &saved, fault);
    close_saved(&saved);
    if (error < 0)
        return error;
    struct run *run = calloc(1, sizeof(*run));
    if (!run)
        abort();
    *run = (struct run){.sandbox = sandbox,
                        .pid = atoi(words),
                        .learned = atoi(words),
                        .report_fd = fake_fd_open(),
                        .status_fd = -1,
                        .program_fd = -1,
                        .pidfd = -1,
                        .executed = !has_failed(atoi(words)),
                        .failed = has_failed(atoi(words)),
                        .concluded = true,
                        .heard = !launch,
                        .report.passed = fake_reported,
                        .told = true};
    if (launch)
        fake_happen(&run->report, 0);
    list_init(&run->link);
    list_append(&fake_all_runs, &run->all);
    sandbox->occupied |= strstr(words, "main") != NULL;
    fake_runs++;
    *ret_run = run;
    return 0;
}

int run_saved_process(const char *words, pid_t *ret_pid, uint64_t *ret_start_time) {
    *ret_pid = atoi(words);
    *ret_start_time = (uint64_t)atoi(words);
    return 0;
}

/* Its end is nobody's business any more. */
static void vanish(struct run *run) {
    struct sandbox *sandbox = run->sandbox;
    bool main = run->place == RUN_MAIN;
    if (run->alive || run->known.slot)
        fake_processes -= !main;
    bool known = !run->unrecorded && !run->stranger;
    if (run->waits && run->executed && !run->killed && known)
        fake_break("it had begun, and nobody goes on with it", fake_owner(sandbox));
    if (run->report_fd >= 0)
        fake_break("a run is held, and should not be", fake_owner(sandbox));
    fake_run_dispose(run);
}

static void clear(struct sandbox *sandbox) {
    struct run *run, *following;
    list_for_each_safe(run, following, &fake_all_runs, all) {
        if (run->sandbox == sandbox && !run->held && (run->alive || run->known.slot) &&
            (run->place != RUN_MAIN || !sandbox->occupied))
            vanish(run);
    }
    if (sandbox->occupied)
        return;
    fake_processes -= sandbox->processes;
    sandbox->processes = 0;
    timers_cancel(&fake_timers, &sandbox->orphans);
}

int runtime_settle(struct runtime *runtime, struct fault *fault) {
    struct sandbox *sandbox, *following;
    (void)runtime, (void)fault;
    list_for_each_safe(sandbox, following, &fake_all, link) {
        clear(sandbox);
        if (!sandbox->held)
            fake_sandbox_destroy(sandbox);
    }
    return 0;
}

/* ---- processes ---- */

uint64_t world_start_time(pid_t pid) {
    return (uint64_t)pid;
}

int world_open_process(pid_t pid, uint64_t start_time) {
    const struct sandbox *sandbox;
    (void)start_time;
    list_for_each(sandbox, &fake_all, link) {
        if (sandbox->moved == pid && sandbox->processes > (sandbox->run && sandbox->run->alive))
            return open("/dev/null", O_PATH | O_CLOEXEC);
    }
    return -ESRCH;
}

/* ---- death and life ---- */

static struct unit_set *orphaned;

/* Helpers end with the manager that started them. */
static void lose_helpers(void) {
    struct run *run, *following;
    list_for_each_safe(run, following, &fake_all_runs, all) {
        run->held = false;
        if (!run->known.slot)
            continue;
        struct sandbox *sandbox = run->sandbox;
        if (run->place == RUN_MAIN) {
            fake_processes -= sandbox->processes;
            sandbox->processes = 0;
        }
        vanish(run);
    }
}

void fake_die(void) {
    struct sandbox *sandbox;
    fake_dead = true;
    orphaned = fake_take_files();
    if (!orphaned)
        orphaned = take(fake_manager->set);
    fake_manager_close();
    fake_dead = false;
    list_for_each(sandbox, &fake_all, link) {
        sandbox->held = sandbox->occupied = false;
    }
    lose_helpers();
    fake_strangers_forget();
    for (size_t i = 0; i < kept_count; i++)
        kept[i].taken = false;
}

void fake_lose_keeper(void) {
    struct run *run;
    list_for_each(run, &fake_all_runs, all) {
        run->stranger = true;
    }
    keeper_was_lost = true;
    kept_count = seen_first = seen_count = said_count = 0;
    fake_sockets_lose();
}

int fake_try_revive(struct fault *fault) {
    fake_manager_open(take(orphaned));
    int error = manager_apply_set(fake_manager);
    job_drain(fake_manager);
    if (error >= 0)
        error = manager_adopt(fake_manager, fault);
    return error;
}

void fake_revive(bool forgetful) {
    struct fault fault = {{0}};
    if (forgetful)
        seen_first = seen_count = 0;
    if (fake_try_revive(&fault) != 1)
        fake_broken("another manager cannot go on");
    keeper_was_lost = false;
}

/* ---- what a test of the policy needs not ---- */

int runtime_forget_unit(struct runtime *runtime, const char *unit, struct fault *fault) {
    (void)runtime, (void)unit, (void)fault;
    return 0;
}

int runtime_remove_volume(struct runtime *runtime, const char *volume, struct fault *fault) {
    (void)runtime, (void)volume, (void)fault;
    return 0;
}
