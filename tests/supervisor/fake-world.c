/* Clock, chance, descriptors and alarm; notify sockets and FIFOs that are only counted. */

#include <stdio.h>
#include <stdlib.h>

#include "supervisor/console.h"
#include "supervisor/facts-file.h"
#include "supervisor/host-terminal.h"
#include "supervisor/notify.h"
#include "supervisor/output.h"
#include "tests/supervisor/fake-sandbox.h"

struct manager *fake_manager;
uint64_t fake_now;
bool fake_finished;
char fake_told[512];
size_t fake_watches, fake_sockets, fake_outputs;
struct timers fake_timers;

static uint64_t alarm_at, date_alarm_at, date_offset, random_state;

/* ---- clock and chance ---- */

uint64_t world_now(struct manager *manager) {
    (void)manager;
    return fake_now;
}

uint64_t world_date(struct manager *manager) {
    (void)manager;
    return fake_now + date_offset;
}

uint64_t world_monotonic(struct manager *manager) {
    (void)manager;
    return fake_now;
}

pid_t world_pid_inside(pid_t pid) {
    return pid;
}

/* splitmix64: each state gives one number, so that a seed replays to the letter. */
uint64_t world_random(struct manager *manager) {
    (void)manager;
    uint64_t mixed = random_state += 0x9e3779b97f4a7c15ULL;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ULL;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebULL;
    return mixed ^ (mixed >> 31);
}

uint64_t fake_random(uint64_t below) {
    return world_random(NULL) % below;
}

void world_alarm(struct manager *manager, uint64_t at) {
    (void)manager;
    alarm_at = at;
}

void world_date_alarm(struct manager *manager, uint64_t date) {
    (void)manager;
    date_alarm_at = date;
}

void fake_set_date(uint64_t date) {
    date_offset = date - fake_now;
    if (date_alarm_at == NEVER)
        return;
    date_alarm_at = NEVER;
    manager_dates(fake_manager);
}

void world_tell_keeper(struct manager *manager, const char *message) {
    (void)manager;
    snprintf(fake_told, sizeof(fake_told), "%s", message);
}

bool fake_machine_is_ours;

bool world_machine_is_ours(void) {
    return fake_machine_is_ours;
}

void world_finish(struct manager *manager) {
    (void)manager;
    fake_finished = true;
}

bool (*fake_path_exists)(const char *path);

bool world_path_is_mount_point(const char *path) {
    return path[1] == 'm';
}

bool world_path_exists(const char *path) {
    return fake_path_exists && fake_path_exists(path);
}

int world_signal(int pidfd, int signal) {
    return fake_runtime_signal(pidfd, signal);
}

/* ---- descriptors: each number stands for one place ---- */

/* Those of files that are there, as of those of strangers, are lower. */
#define FIRST_FD 1000000

struct watch {
    int fd;
    watch_ready ready;
    void *context;
};

static struct watch **places; /* of FIRST_FD and the following */
static int *free_fds;
static int place_count, free_count, place_capacity;

static void *grown(void *memory, size_t size) {
    void *larger = realloc(memory, size);
    if (!larger)
        abort();
    return larger;
}

int fake_fd_open(void) {
    if (free_count > 0)
        return free_fds[--free_count];
    if (place_count == place_capacity) {
        place_capacity = place_capacity ? place_capacity * 2 : 256;
        places = grown(places, (size_t)place_capacity * sizeof(struct watch *));
        free_fds = grown(free_fds, (size_t)place_capacity * sizeof(int));
    }
    places[place_count] = NULL;
    return FIRST_FD + place_count++;
}

void fake_fd_close(int fd) {
    if (places[fd - FIRST_FD])
        fake_broken("a descriptor was closed while it was watched");
    free_fds[free_count++] = fd;
}

void fake_fd_fire(int fd) {
    const struct watch *watch = places[fd - FIRST_FD];
    if (watch)
        watch->ready(watch->context);
}

int watch_open(struct manager *manager, int fd, uint32_t events, enum watch_order order,
               watch_ready ready, void *context, struct watch **ret_watch) {
    struct watch *watch = malloc(sizeof(*watch));
    (void)manager, (void)events, (void)order;
    if (!watch)
        return -ENOMEM;
    if (fd >= FIRST_FD && places[fd - FIRST_FD])
        fake_broken("a descriptor was watched twice");
    *watch = (struct watch){fd, ready, context};
    if (fd >= FIRST_FD)
        places[fd - FIRST_FD] = watch;
    else
        fake_stranger_watch(fd, ready, context);
    *ret_watch = watch;
    fake_watches++;
    return 0;
}

void watch_close(struct watch *watch) {
    if (!watch)
        return;
    if (watch->fd >= FIRST_FD)
        places[watch->fd - FIRST_FD] = NULL;
    else
        fake_stranger_watch(watch->fd, NULL, NULL);
    fake_watches--;
    free(watch);
}

/* ---- sockets and FIFOs ---- */

struct notify {
    struct service *service;
};

int notify_open(struct service *service, struct notify **ret_notify, struct fault *fault) {
    (void)fault;
    struct notify *notify = malloc(sizeof(*notify));
    if (!notify)
        return -ENOMEM;
    notify->service = service;
    *ret_notify = notify;
    fake_sockets++;
    return 0;
}

const char *notify_directory(const struct notify *notify) {
    return notify ? "/notify" : NULL;
}

void notify_receive(struct notify *notify) {
    const struct notification ready = {.ready = true, .main_pidfd = -1};
    struct service *service = notify ? notify->service : NULL;
    if (service && service->unit->service.type != SERVICE_FD && fake_take_said(service->name))
        service_notified(service, &ready);
}

void notify_consume(struct manager *manager) {
    (void)manager;
}

void notify_close(struct notify *notify) {
    if (!notify)
        return;
    if (!fake_dead)
        fake_take_said(notify->service->name);
    fake_sockets--;
    free(notify);
}

struct ready_pipe {
    struct service *service;
};

int ready_pipe_open(struct service *service, struct ready_pipe **ret_pipe, int *ret_write_end,
                    struct fault *fault) {
    (void)fault;
    struct ready_pipe *pipe = malloc(sizeof(*pipe));
    if (!pipe)
        return -ENOMEM;
    pipe->service = service;
    *ret_pipe = pipe;
    *ret_write_end = -1;
    return 0;
}

int ready_pipe_resume(struct service *service, struct ready_pipe **ret_pipe, struct fault *fault) {
    int unused;
    return service->unit->service.type == SERVICE_FD
               ? ready_pipe_open(service, ret_pipe, &unused, fault)
               : 0;
}

void ready_pipe_receive(struct ready_pipe *pipe) {
    if (!pipe || !fake_take_said(pipe->service->name))
        return;
    struct service *service = pipe->service;
    service_poll_run(service); /* the pipe may be gone with the run */
    if (service->main && !service->private->was_ready)
        service_handle(service, EVENT_SAID_READY);
}

void ready_pipe_close(struct ready_pipe *pipe) {
    free(pipe);
}

struct output {
    struct service *service;
};

int output_open(struct service *service, struct output **ret_output, struct fault *fault) {
    (void)fault;
    struct output *output = malloc(sizeof(*output));
    if (!output)
        return -ENOMEM;
    output->service = service;
    *ret_output = output;
    fake_outputs++;
    return 0;
}

int output_resume(struct service *service, pid_t pid, struct output **ret_output,
                  struct fault *fault) {
    (void)pid;
    return output_open(service, ret_output, fault);
}

int output_streams(const struct output *output, int *ret_out, int *ret_error, struct fault *fault) {
    (void)output, (void)ret_out, (void)ret_error, (void)fault;
    return 0;
}

int output_update(struct output *output, struct service *service, pid_t pid, struct fault *fault) {
    (void)output, (void)service, (void)pid, (void)fault;
    return 0;
}

int console_open(struct service *service, struct console **ret_console, struct fault *fault) {
    (void)service, (void)ret_console;
    return fault_say(fault, EOPNOTSUPP, "there are no terminals here");
}

void console_begin(struct console *console, int master) {
    (void)console, (void)master;
}

void console_resume(struct console *console) {
    (void)console;
}

void console_end(struct console *console) {
    (void)console;
}

int console_attach(struct console *console, int *ret_master, int *ret_output, struct fault *fault) {
    (void)console, (void)ret_master, (void)ret_output;
    return fault_say(fault, EOPNOTSUPP, "there are no terminals here");
}

void console_close(struct console *console) {
    (void)console;
}

void outputs_resume(struct manager *manager) {
    (void)manager;
}

void output_close(struct output *output) {
    fake_outputs -= output != NULL;
    free(output);
}

/* ---- the loop ---- */

static void print_broken(const char *rule) {
    printf("# broken: %s\n", rule);
    exit(1);
}

void (*fake_broken)(const char *rule) = print_broken;
void (*fake_observe)(struct service *service, enum service_state before);

void bus_service_changed(struct bus *bus, struct service *service, enum service_state before) {
    (void)bus;
    if (fake_dead)
        return;
    fake_runtime_observe(service, before);
    if (fake_observe)
        fake_observe(service, before);
}

/* What was observed is not told before it is written down. */
void bus_tell(struct bus *bus) {
    (void)bus;
}

void (*fake_observe_health)(struct service *service, enum health_state before);

void bus_health_changed(struct bus *bus, struct service *service, enum health_state before) {
    (void)bus;
    if (fake_observe_health && !fake_dead)
        fake_observe_health(service, before);
}

void fake_manager_close(void) {
    manager_free(take(fake_manager));
    alarm_at = date_alarm_at = NEVER;
}

void fake_manager_open(struct unit_set *set) {
    const struct manager_options options = {.runtime_directory = "/fake"};
    alarm_at = date_alarm_at = NEVER;
    fake_managers++;
    if (manager_new(&options, NULL, NULL, &fake_manager) < 0)
        abort();
    fake_manager->set = set;
    fake_manager->bus = (struct bus *)(void *)&fake_now; /* somebody listens */
}

void fake_open(uint64_t seed) {
    struct fault fault;
    log_open(getenv("RINGFENCE_TRACE") ? LEVEL_DEBUG : LEVEL_ERROR - 1);
    random_state = seed;
    fake_now = SEC;
    date_offset = 1700000000 * SEC;
    facts_file_remove(NULL, NULL);
    fake_manager_open(fake_set_new());
    if (manager_adopt(fake_manager, &fault) != 0)
        abort();
}

void fake_close(void) {
    fake_manager_close();
    timers_free(&fake_timers);
    free(places);
    free(free_fds);
    places = NULL;
    free_fds = NULL;
    place_count = free_count = place_capacity = 0;
    fake_finished = false;
}

/* When the first of all comes, by the clock that nobody sets. */
static uint64_t next_event(void) {
    uint64_t next = timers_next(&fake_timers);
    uint64_t date = date_alarm_at == NEVER ? NEVER : date_alarm_at - date_offset;
    if (date_alarm_at < world_date(NULL))
        date = fake_now;
    if (date < next)
        next = date;
    return alarm_at < next ? alarm_at : next;
}

bool fake_step(void) {
    uint64_t next = next_event();
    if (next == NEVER)
        return false;
    if (next > fake_now)
        fake_now = next;
    if (alarm_at <= fake_now) {
        alarm_at = NEVER;
        manager_alarm(fake_manager);
    } else if (date_alarm_at <= world_date(NULL)) {
        date_alarm_at = NEVER;
        manager_dates(fake_manager);
    } else {
        fake_timers_step();
    }
    return true;
}

void fake_run(uint64_t duration) {
    uint64_t until = fake_now + duration;
    while (next_event() <= until && fake_step())
        ;
    fake_now = until;
}

struct service *fake_service(const char *name) {
    return manager_find(fake_manager, name);
}

/* No unit of the simulation has one. */
int host_terminal_open(const char *path, int *ret_fd, struct fault *fault) {
    (void)ret_fd;
    return fault_say(fault, ENXIO, "cannot open the terminal \"%s\"", path);
}
