/* What a test has services do: they speak, end, and name another process as their main one. */

#include <fcntl.h>
#include <string.h>

#include "tests/supervisor/fake-sandbox.h"

void fake_notify(const char *name, bool ready, bool stopping, const char *status) {
    const struct notification notification = {
        .ready = ready, .stopping = stopping, .status = status, .main_pidfd = -1};
    fake_say(name, &notification);
}

void fake_say(const char *name, const struct notification *notification) {
    service_notified(fake_service(name), notification);
    manager_event_ended(fake_manager);
}

bool fake_may_ask_for_time(const struct service *service) {
    return service && service->main && service->main->requests++ < 3;
}

void fake_exit(const char *name, int wait_status) {
    struct run *run = fake_service(name)->main;
    fake_run_end(run, wait_status, 0);
}

void fake_move_main(const char *name) {
    struct service *service = manager_lookup(fake_manager, name);
    struct run *run = service ? service->main : NULL;
    if (!run || !run->executed || run->sandbox->frozen || service->private->main_pidfd >= 0 ||
        run->sandbox->processes <= run->alive)
        return;
    run->sandbox->moved = fake_new_pid();
    const struct notification notification = {.main_pid = run->sandbox->moved,
                                              .main_pidfd = open("/dev/null", O_PATH | O_CLOEXEC)};
    service_notified(service, &notification);
    manager_event_ended(fake_manager);
}

void fake_end_moved(const char *name) {
    struct sandbox *sandbox;
    list_for_each(sandbox, &fake_all, link) {
        if (strcmp(sandbox->name, name) == 0)
            sandbox->moved = 0;
    }
}

int fake_runtime_signal(int pidfd, int signal) {
    struct service *service;
    list_for_each(service, &fake_manager->services, link) {
        struct sandbox *sandbox = service->sandbox;
        if (service->private->main_pidfd != pidfd || !sandbox)
            continue;
        if (sandbox->processes <= (sandbox->run && sandbox->run->alive))
            return -ESRCH;
        if (signal == 0 || signal == SIGCONT || signal == SIGHUP)
            return 0;
        if (sandbox->frozen)
            fake_break("it is asked to stop while it is frozen", service);
        if (sandbox->plan.stop_time != NEVER)
            fake_happen(&sandbox->orphans, sandbox->plan.stop_time);
        return 0;
    }
    return -ESRCH;
}

static void told_left(struct deadline *deadline) {
    struct run *run = list_entry(deadline, struct run, tells_left);
    int fd = run->status_fd >= 0 ? run->status_fd : run->program_fd;
    if (fd >= 0)
        fake_fd_fire(fd);
}

void fake_run_tell_left(struct run *run) {
    run->tells_left.passed = told_left;
    fake_happen(&run->tells_left, 0);
}
