#include "supervisor/witness.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "supervisor/manager-private.h"
#include "supervisor/restart.h"
#include "supervisor/world.h"
#include "units/base/number.h"

/* The kernel has the status once its parent has waited for it, which some never do. */
#define PATIENCE USEC_PER_SEC

struct witness {
    struct list link; /* adoption.witnesses */
    struct manager *manager;
    pid_t pid;
    uint64_t start_time;
    int pidfd;
    struct watch *watch; /* of its end, then of its being waited for */
    struct deadline patience;
};

static void witness_free(struct witness *witness) {
    timers_cancel(&witness->manager->private->timers, &witness->patience);
    watch_close(witness->watch);
    close_fd(witness->pidfd);
    list_remove(&witness->link);
    free(witness);
}

static void testify(struct witness *witness, int wait_status) {
    struct manager *manager = witness->manager;
    pid_t pid = witness->pid;
    uint64_t start_time = witness->start_time;
    witness_free(witness);
    children_end_adopted(&manager->private->children, pid, start_time, wait_status);
    manager_event_ended(manager);
}

static void look(void *context) {
    struct witness *witness = context;
    struct manager *manager = witness->manager;
    int wait_status = WAIT_UNSEEN;
    if (world_exit_status(witness->pidfd, &wait_status) != -EAGAIN || witness->patience.slot) {
        testify(witness, wait_status);
        return;
    }
    watch_close(take(witness->watch));
    timers_set(&manager->private->timers, &witness->patience, world_now(manager) + PATIENCE);
    if (watch_open(manager, witness->pidfd, 0, WATCH_CHILDREN, look, witness, &witness->watch) < 0)
        testify(witness, WAIT_UNSEEN);
    else
        manager_event_ended(manager);
}

static void patience_passed(struct deadline *deadline) {
    testify(list_entry(deadline, struct witness, patience), WAIT_UNSEEN);
}

int witness_open(struct manager *manager, pid_t pid, uint64_t start_time, int pidfd) {
    struct witness *witness = malloc(sizeof(*witness));
    if (!witness)
        return -ENOMEM;
    *witness = (struct witness){.manager = manager,
                                .pid = pid,
                                .start_time = start_time,
                                .pidfd = fcntl(pidfd, F_DUPFD_CLOEXEC, 0),
                                .patience.passed = patience_passed};
    list_append(&manager->private->adoption.witnesses, &witness->link);
    int error = witness->pidfd < 0 ? -errno
                                   : watch_open(manager, witness->pidfd, EPOLLIN, WATCH_CHILDREN,
                                                look, witness, &witness->watch);
    if (error < 0)
        witness_free(witness);
    return error;
}

void witnesses_free(struct manager *manager) {
    struct witness *witness, *following;
    list_for_each_safe(witness, following, &manager->private->adoption.witnesses, link) {
        witness_free(witness);
    }
}
