/* A manager without units or root behind the real control door: `door-manager RUNTIME_DIR LOG_DIR`.
 * Its services are made up; exec runs on the host. What the door asks of it is noted on standard
 * output, a line each.
 *
 *     web     ready, with this process as its main one      db      waits for its next attempt
 *     bad     invalid                                       odd     says bytes that are no text
 *     slow    a start that never ends                       broken  a start that fails
 *     storm   a start with 5,000 changes at once            idle    loaded, and starts *
 * While there is a file "late" in RUNTIME_DIR, what a command changes is written down a while after
 * it has happened: in the file "written". */

#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>

#include "supervisor/adopt.h"
#include "supervisor/apply.h"
#include "supervisor/boot.h"
#include "supervisor/bus.h"
#include "supervisor/logger.h"
#include "supervisor/machine.h"
#include "supervisor/manager.h"
#include "supervisor/reexec.h"
#include "supervisor/schedule.h"
#include "supervisor/shutdown.h"
#include "supervisor/state.h"
#include "units/base/text.h"
#include "units/complain.h"
#include "units/keys.h"

#define STORM 5000 /* or what the environment says */

struct sandbox {
    char cgroup[64];
};

static struct unit units[16];
static struct service services[16];
static struct sandbox sandboxes[16];
static struct complaints complaints;
static struct unit_set files;
static size_t service_count;

/* ---- words, as of the engine ---- */

static const char *const state_words[SERVICE_STATES] = {
    [SERVICE_LOADED] = "loaded",       [SERVICE_WAITING] = "waiting",
    [SERVICE_BUILDING] = "created",    [SERVICE_CREATED] = "created",
    [SERVICE_STARTING] = "starting",   [SERVICE_READY] = "ready",
    [SERVICE_STOPPING] = "stopping",   [SERVICE_KILLING] = "stopping",
    [SERVICE_REMOVING] = "stopping",   [SERVICE_RESTARTING] = "restarting",
    [SERVICE_STOPPED] = "stopped",     [SERVICE_FAILED] = "failed",
    [SERVICE_LISTENING] = "listening", [SERVICE_SKIPPED] = "skipped",
    [SERVICE_INVALID] = "invalid",
};

const char *service_state_word(enum service_state state) {
    return state_words[state];
}

const char *service_result_word(enum service_result result) {
    return result == RESULT_NONE      ? "none"
           : result == RESULT_SUCCESS ? "success"
           : result == RESULT_LAUNCH  ? "launch"
                                      : "exit-code";
}

/* idle is started by the clock. */
bool schedule_tell(const struct service *service, struct schedule_facts *ret_facts) {
    if (strcmp(service->name, "idle") != 0)
        return false;
    *ret_facts = (struct schedule_facts){4102455720000000, 1795294328000000, 2};
    return true;
}

void service_explain_waiting(const struct service *service, struct text *text) {
    if (service->state == SERVICE_WAITING)
        text_add(text, "waits for db");
}

static const struct health_record health = {
    .state = HEALTH_UNHEALTHY,
    .since = 1795294339000000,
    .failures = 3,
    .results = {{.at = 1795294328000000,
                 .took = 7000,
                 .healthy = true,
                 .code = 200,
                 .output = "fine so far"},
                {.at = 1795294338000000,
                 .took = 12000,
                 .code = 503,
                 .error = "answered 503 Busy",
                 .output = "HTTP/1.1 503 Busy\r\nx: \x1b[31mred"}},
    .count = 2,
    .newest = 1,
};

const struct health_record *service_health(const struct service *service) {
    return strcmp(service->name, "odd") == 0 ? &health : NULL;
}

const char *service_health_word(const struct service *service) {
    return service_health(service) ? "unhealthy" : NULL;
}

const char *health_state_word(enum health_state state) {
    return state == HEALTH_HEALTHY ? "healthy" : "unhealthy";
}

const char *health_complaint(const struct service *service) {
    return health.results[service_health(service)->newest].error;
}

const char *state_complaint(const struct service *service) {
    (void)service;
    return NULL;
}

void service_describe_sockets(const struct service *service, struct text *text) {
    (void)service, (void)text;
}

/* ---- a sandbox that has figures ---- */

void sandbox_stats(struct sandbox *sandbox, struct sandbox_stats *stats) {
    (void)sandbox;
    memset(stats, 0xff, sizeof(*stats));
    *stats = (struct sandbox_stats){.memory_current = 197132288,
                                    .memory_peak = 200 << 20,
                                    .memory_max = 512 << 20,
                                    .swap_current = LIMIT_UNSET,
                                    .cpu_usec = 61500000,
                                    .cpu_user_usec = LIMIT_UNSET,
                                    .cpu_system_usec = LIMIT_UNSET,
                                    .cpu_throttled_usec = LIMIT_UNSET,
                                    .pids_current = 3,
                                    .pids_peak = LIMIT_UNSET,
                                    .pids_max = UINT64_MAX,
                                    .io_read_bytes = LIMIT_UNSET,
                                    .io_written_bytes = LIMIT_UNSET};
}

const char *sandbox_cgroup(const struct sandbox *sandbox) {
    return sandbox->cgroup;
}

const char *sandbox_notes(const struct sandbox *sandbox) {
    (void)sandbox;
    return "first note\nsecond note\n";
}

uint64_t sandbox_oom_kills(struct sandbox *sandbox) {
    (void)sandbox;
    return 0;
}

uint64_t sandbox_namespace_inode(const struct sandbox *sandbox, enum namespace_kind kind) {
    (void)sandbox;
    return kind == NAMESPACE_NETWORK ? 4026539999 : 0;
}

bool sandbox_id_range(const struct sandbox *sandbox, uint32_t *ret_base, uint32_t *ret_count) {
    (void)sandbox;
    *ret_base = 131072;
    *ret_count = 65536;
    return true;
}

const char *runtime_cgroup(const struct runtime *runtime) {
    (void)runtime;
    return "/nowhere";
}

void keys_visit(const struct unit *unit, key_visitor visitor, void *context) {
    visitor(context, "made.up", unit->name, true);
    visitor(context, "made.default", "10s", false);
    visitor(context, "made.user", "\"1000\"", true);
    visitor(context, "made.tab", "\"a\\tb\"", true);
    visitor(context, "made.list", "[ \"a\", \"b\" ]", true);
}

/* ---- services ---- */

static struct service *find(struct manager *manager, const char *name) {
    struct service *service;

    list_for_each(service, &manager->services, link) {
        if (strcmp(service->name, name) == 0)
            return service;
    }
    return NULL;
}

/* In the order of names. The strings live as long as the program. */
static struct service *add(struct manager *manager, const char *name, enum service_state state) {
    struct service *service = &services[service_count];
    struct unit *unit = &units[service_count];
    char *own_name = strdup(name);

    assert(own_name);
    unit->name = own_name;
    unit->description = strdup(strcmp(name, "web") == 0 ? "Static web site" : "");
    *service = (struct service){.manager = manager,
                                .name = own_name,
                                .unit = unit,
                                .state = state,
                                .state_since = 1795294339000000};
    if (asprintf(&service->path, "/etc/ringfence/units/%s.unit", name) < 0)
        abort();
    snprintf(sandboxes[service_count].cgroup, sizeof(sandboxes[0].cgroup), "/nowhere/unit-%s",
             name);
    list_append(&manager->services, &service->link);
    service_count++;
    return service;
}

static void add_all(struct manager *manager) {
    struct service *service = add(manager, "bad", SERVICE_INVALID);
    service->unit = NULL;
    complain(&complaints, "bad.unit", 3, 1, "made = 1;", "made.up: no such key");
    service->complaints = &complaints;
    manager->set = &files;
    complain(&files.complaints, "ringfence.conf", 2, 5, "    hostnam = 1;", "no such key");
    service->failure = strdup("bad.unit:3: made.up: no such key");
    add(manager, "broken", SERVICE_LOADED);
    service = add(manager, "db", SERVICE_RESTARTING);
    service->result = RESULT_LAUNCH;
    service->failure = strdup("mount: bind \"/srv/db\": No such file or directory");
    service->restarts = 12;
    service->restart_at = UINT64_MAX / 2;
    service->ended_at = service->state_since;
    service->file_changed = true;
    add(manager, "idle", SERVICE_LOADED);
    service = add(manager, "odd", SERVICE_READY);
    service->status_text = strdup("\xff\x1b[31mred\x1b[0m \xef\xbf\xbf.");
    add(manager, "slow", SERVICE_LOADED);
    add(manager, "storm", SERVICE_LOADED);
    service = add(manager, "web", SERVICE_READY);
    service->main_pid = getpid();
    service->sandbox = &sandboxes[service_count - 1];
}

static void tell_boot(struct manager *manager) {
    static const struct {
        const char *name;
        struct milestones milestones;
    } told[] = {
        {"broken", {true, 0, 0, 0, 0, 1701000}},
        {"db", {true, 1701000, 1701000, 1705000, 2100000, 0}},
        {"odd", {true, 1701000, 1702000, 1711000, 1730000, 0}},
        {"slow", {true, 1701000, 0, 0, 0, 0}},
        {"storm", {true, 1701000, 1702000, 1711000, 0, 0}},
        {"web", {true, 1701000, 2100000, 2112000, 2500000, 0}},
    };
    for (size_t i = 0; i < ELEMENTS(told); i++)
        find(manager, told[i].name)->milestones = told[i].milestones;
    const char *ready = getenv("WEB_READY"); /* another time, in microseconds */
    if (ready)
        find(manager, "web")->milestones.ready = strtoull(ready, NULL, 10);
}

static void change(struct service *service, enum service_state state) {
    enum service_state before = service->state;
    service->state = state;
    if (service_health(service))
        bus_health_changed(service->manager->bus, service, HEALTH_HEALTHY);
    bus_service_changed(service->manager->bus, service, before);
}

/* ---- commands ---- */

struct promise {
    struct service *service;
    command_done done;
    void *context;
    enum service_state state;
    sd_event_source *source;
};

static int on_time(sd_event_source *source, uint64_t usec, void *userdata) {
    struct promise *promise = userdata;
    struct fault fault = {"exec: \"/nope\": No such file or directory"};
    (void)usec;
    bool broken = strcmp(promise->service->name, "broken") == 0;

    change(promise->service, broken ? SERVICE_FAILED : promise->state);
    if (promise->done)
        promise->done(promise->context, broken ? -ENOENT : 0, broken ? &fault : NULL);
    bus_tell(promise->service->manager->bus);
    sd_event_source_unref(source);
    free(promise);
    return 0;
}

/* A machine that came up in two and a half seconds; one unit gave up, one is not there yet. */
struct boot_times boot_times(const struct boot *boot) {
    static const struct boot_step steps[] = {
        {"loopback", 1260000, 1262000, BOOT_DONE, ""},
        {"mount /data", 1262000, 1650000, BOOT_DONE, ""},
        {"mount /usb", 1650000, 1651000, BOOT_SKIPPED, "LABEL=<usb> did not come within 0"},
        {"sysctl", 1651000, 1653000, BOOT_FAILED, "vm.swapines: No such file or directory"},
    };
    (void)boot;
    return (struct boot_times){true, 1204000, 1250000, 1700000, steps, ELEMENTS(steps)};
}

bool boot_is_running(const struct boot *boot) {
    (void)boot;
    return false;
}

void boot_describe(const struct boot *boot, struct text *text) {
    (void)boot;
    text_add(text, "early boot");
}

void service_dates_follow(struct service *service) {
    (void)service; /* its dates are made up */
}

void logger_describe(const struct manager *manager, struct text *text) {
    (void)manager, (void)text;
}

void shutdown_describe(struct manager *manager, struct text *text) {
    (void)manager;
    text_add(text, "stopping all units");
}

const char *boot_outcome_word(enum boot_outcome outcome) {
    return outcome == BOOT_DONE ? "done" : outcome == BOOT_SKIPPED ? "skipped" : "failed";
}

struct service *manager_lookup(struct manager *manager, const char *name) {
    return find(manager, name);
}

void manager_visit_dependencies(struct manager *manager, dependency_visitor visitor,
                                void *context) {
    static const char *const rows[][3] = {
        {"slow", "requires", "web"}, {"slow", "wants", "db"},     {"slow", "after", "idle"},
        {"web", "requires", "db"},   {"web", "binds-to", "db"},   {"storm", "requires", "web"},
        {"storm", "wants", "idle"},  {"bad", "requires", "gone"},
    };
    (void)manager;
    for (size_t i = 0; i < ELEMENTS(rows); i++)
        visitor(context, rows[i][0], rows[i][1], rows[i][2]);
}

static void write_down(const struct manager *manager) {
    const char *directory = manager->options.runtime_directory;
    scoped_free char *late = NULL, *written = NULL;
    if (asprintf(&late, "%s/late", directory) < 0 ||
        asprintf(&written, "%s/written", directory) < 0)
        abort();
    if (access(late, F_OK) < 0)
        return;
    usleep(300000);
    close(open(written, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

int manager_order(struct manager *manager, enum command command, const char *name,
                  const char *token, command_done done, void *context, struct fault *fault) {
    static const char *const words[] = {"start", "stop", "restart", "reload"};
    struct service *service = find(manager, name);

    printf("%s %s\n", words[command], name);
    if (token)
        printf("token %s\n", token);
    if (!service)
        return fault_say(fault, ENOENT, "there is no unit \"%s\"", name);
    if (service->state == SERVICE_INVALID)
        return fault_say(fault, ENOEXEC, "%s is invalid: %s", name, service->failure);
    if (strcmp(name, "slow") == 0 && command == COMMAND_START)
        return 0;
    const char *given = getenv("STORM");
    int storm = given ? atoi(given) : STORM;
    for (int i = 0; strcmp(name, "storm") == 0 && i < storm; i++)
        change(service, i % 2 ? SERVICE_STARTING : SERVICE_READY);
    struct promise *promise = calloc(1, sizeof(*promise));
    *promise = (struct promise){.service = service,
                                .done = strcmp(name, "storm") == 0 ? NULL : done,
                                .context = context,
                                .state = command == COMMAND_STOP ? SERVICE_STOPPED : SERVICE_READY};
    change(service, command == COMMAND_STOP ? SERVICE_STOPPING : SERVICE_STARTING);
    write_down(manager);
    bus_tell(manager->bus);
    return sd_event_add_time_relative(manager->event, &promise->source, CLOCK_MONOTONIC, 20000, 0,
                                      on_time, promise);
}

const struct adoption *manager_adoption(const struct manager *manager) {
    static char unit[] = "mail", why[] = "it is damaged";
    static struct lost lost[] = {{unit, why, 1}};
    static const struct adoption adoption = {.found = 3, .lost = lost, .lost_count = 1};
    (void)manager;
    return &adoption;
}

void manager_withdraw(struct manager *manager, void *context) {
    (void)manager, (void)context;
    printf("withdrawn\n");
}

int manager_kill(struct manager *manager, const char *name, int signal, bool all,
                 struct fault *fault) {
    printf("kill %s %d%s\n", name, signal, all ? " all" : "");
    if (find(manager, name)->main_pid == 0)
        return fault_say(fault, ESRCH, "%s does not run", name);
    return 0;
}

int manager_pause(struct manager *manager, const char *name, bool pause, struct fault *fault) {
    (void)fault;
    find(manager, name)->paused = pause;
    return 0;
}

/* Halt is refused, as on a machine that is not ours. */
int machine_end(enum machine_end end, bool force, struct fault *fault) {
    static const char *const ends[] = {"poweroff", "reboot", "halt"};
    printf("%s%s\n", ends[end], force ? " by force" : "");
    return end == MACHINE_HALT ? fault_say(fault, EOPNOTSUPP, "it is not ours") : 0;
}

/* There is no ringfenced here either. */
int reexec_begin(struct manager *manager, struct fault *fault) {
    (void)manager;
    return fault_say(fault, EOPNOTSUPP, "nobody would start the next one");
}

int manager_remove_volumes(struct manager *manager, char *const *names, struct fault *fault) {
    (void)manager, (void)fault;
    printf("remove volumes of");
    for (; *names; names++)
        printf(" %s", *names);
    printf("\n");
    return 0;
}

int manager_remove(struct manager *manager, const char *name, bool volumes, struct fault *fault) {
    printf("remove %s%s\n", name, volumes ? " volumes" : "");
    if (find(manager, name)->state == SERVICE_READY)
        return fault_say(fault, EBUSY, "%s runs", name);
    return 0;
}

int manager_reload(struct manager *manager, struct fault *fault) {
    (void)manager, (void)fault;
    printf("reload\n");
    return 0;
}

int manager_attach(struct manager *manager, const char *name, int *ret_terminal, int *ret_output,
                   struct fault *fault) {
    (void)ret_terminal, (void)ret_output;
    if (find(manager, name)->state != SERVICE_READY)
        return fault_say(fault, ESRCH, "%s is not running", name);
    return fault_say(fault, ENOTTY, "%s has no terminal of its own", name);
}

/* One row of each kind; web's file is invalid while `web.unit` is there. */
int manager_apply(struct manager *manager, unsigned flags, apply_done done, void *context,
                  struct fault *fault) {
    bool invalid = access("web.unit", F_OK) == 0;
    printf("apply%s%s\n", flags & APPLY_DRY_RUN ? " dry" : "",
           flags & APPLY_KEEP_GOING ? " on" : "");
    if (invalid && flags == 0)
        return fault_say(fault, ENOEXEC, "nothing was done, since web is invalid: web.unit:1: no");
    struct plan_row rows[] = {
        {.name = "cache", .action = PLAN_START, .why = "new"},
        {.name = "db", .action = PLAN_UNCHANGED, .why = ""},
        {.name = "mail", .action = PLAN_STOP, .why = "its file is gone"},
        {.name = "web", .action = PLAN_RESTART, .why = "changed: exec"},
    };
    if (invalid)
        rows[3] = (struct plan_row){.name = "web", .action = PLAN_INVALID, .why = "web.unit:1: no"};
    if (!(flags & APPLY_DRY_RUN) && access("broken", F_OK) == 0)
        rows[0].failure = "cache: exited with 3";
    done(context, &(struct plan){.rows = rows, .count = ELEMENTS(rows), .invalid = invalid});
    bus_tell(manager->bus);
    return 0;
}

void manager_apply_withdraw(struct manager *manager, void *context) {
    (void)manager, (void)context;
}

/* ---- exec: on the host, for its descriptors and its end ---- */

static struct {
    pid_t pid;
    exec_done done;
    void *context;
} child;

static int on_child(sd_event_source *source, const siginfo_t *information, void *userdata) {
    struct manager *manager = userdata;
    exec_done done = child.done;
    child.done = NULL;
    if (done)
        done(child.context, 0,
             information->si_code == CLD_EXITED ? information->si_status << 8
                                                : information->si_status,
             NULL);
    bus_tell(manager->bus);
    sd_event_source_unref(source);
    return 0;
}

int manager_exec(struct manager *manager, const char *name, const struct run_request *request,
                 exec_done done, void *context, struct fault *fault) {
    sd_event_source *source;

    if (find(manager, name)->main_pid == 0)
        return fault_say(fault, ESRCH, "%s does not run", name);
    if (access(request->exec->items[0], F_OK) < 0)
        return fault_set(fault, errno, "exec: \"%s\"", request->exec->items[0]);
    if (access(request->exec->items[0], X_OK) < 0)
        return fault_set(fault, EACCES, "exec: \"%s\"", request->exec->items[0]);
    child.pid = fork();
    if (child.pid == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        for (int i = 0; i < 3; i++)
            dup2(request->standard[i], i);
        for (size_t i = 0; request->environment && i < request->environment->count; i++)
            putenv(request->environment->items[i]);
        if (!request->working_directory || chdir(request->working_directory) == 0)
            execv(request->exec->items[0], request->exec->items);
        _exit(127);
    }
    child.done = done;
    child.context = context;
    return sd_event_add_child(manager->event, &source, child.pid, WEXITED, on_child, manager);
}

void manager_exec_abandon(struct manager *manager, void *context) {
    (void)manager, (void)context;
    printf("abandoned\n");
    child.done = NULL;
    kill(child.pid, SIGKILL);
}

int manager_exec_signal(struct manager *manager, void *context, int signal, struct fault *fault) {
    (void)manager, (void)context, (void)fault;
    printf("exec signal %d\n", signal);
    return kill(child.pid, signal) < 0 ? -errno : 0;
}

/* ---- the loop ---- */

int main(int argc, char **argv) {
    struct manager manager = {0};
    struct fault fault;
    sigset_t signals;

    if (argc != 3)
        return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    manager.options = (struct manager_options){
        .runtime_directory = argv[1], .state_directory = "/nowhere", .log_directory = argv[2]};
    list_init(&manager.services);
    add_all(&manager);
    tell_boot(&manager);
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    if (sd_event_new(&manager.event) < 0 ||
        sd_event_add_signal(manager.event, NULL, SIGTERM, NULL, NULL) < 0)
        return 1;
    if (bus_new(&manager, &manager.bus, &fault) < 0) {
        fprintf(stderr, "%s\n", fault.text);
        sd_event_unref(manager.event);
        return 1;
    }
    printf("listening\n");
    int code = sd_event_loop(manager.event);
    bus_free(manager.bus);
    sd_event_unref(manager.event);
    return code < 0 ? 1 : 0;
}
