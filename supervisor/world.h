#pragma once
/* All that the policy asks of the world beside the runtime: clocks, chance, descriptors, one alarm.
 * world.c answers from the kernel through sd-event; the simulation links its own answers. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct manager;
struct watch;

uint64_t world_now(struct manager *manager);       /* CLOCK_BOOTTIME, microseconds */
uint64_t world_date(struct manager *manager);      /* CLOCK_REALTIME, microseconds */
uint64_t world_monotonic(struct manager *manager); /* CLOCK_MONOTONIC, microseconds */
uint64_t world_random(struct manager *manager);    /* all 64 bits */

/* What is ready at the same time is told in this order, so that a process that said READY and ended
 * was ready before it ended. */
enum watch_order { WATCH_REPORT, WATCH_NOTIFY, WATCH_CHILDREN, WATCH_CGROUP, WATCH_SOCKET };

/* Calls while the descriptor has one of the EPOLL* events; it stays the caller's and is closed
 * after watch_close. */
typedef void (*watch_ready)(void *context);
int watch_open(struct manager *manager, int fd, uint32_t events, enum watch_order order,
               watch_ready ready, void *context, struct watch **ret_watch);
void watch_close(struct watch *watch); /* accepts NULL; also from within its own call */

/* timers_run (timers.h) is to be called at this time; NEVER: not at all. */
void world_alarm(struct manager *manager, uint64_t at);
/* manager_dates (manager-private.h) is to be called at this date, and at once whenever the clock
 * was set before it came; NEVER: neither. */
void world_date_alarm(struct manager *manager, uint64_t date);

/* The number that a process has in its own pid namespace; its own where that cannot be told. */
pid_t world_pid_inside(pid_t pid);

/* To whoever keeps us alive, in the lines of sd_notify(3). Best effort. */
void world_tell_keeper(struct manager *manager, const char *message);

/* Whether the machine begins and ends with us: then the keeper obeys REBOOT=1. */
bool world_machine_is_ours(void);

/* Field 22 of /proc/PID/stat, which with the pid tells one process of a boot from all others; 0
 * where there is none. */
uint64_t world_start_time(pid_t pid);
/* A pidfd of that process, or -ESRCH where the number is another's by now. */
int world_open_process(pid_t pid, uint64_t start_time);
/* Whether it is a child of the process that has started us, which will tell of its end. */
bool world_is_sibling(pid_t pid);
/* How a process ended that is not our child, as of waitpid(2); -EAGAIN where nobody has waited for
 * it yet, -EOPNOTSUPP where the kernel does not tell (before 6.15). */
int world_exit_status(int pidfd, int *ret_wait_status);

/* To a process held by a pidfd; 0 or -errno. */
int world_signal(int pidfd, int signal);

/* On the host; symbolic links are followed. */
bool world_path_exists(const char *path);
/* Something is mounted on it. */
bool world_path_is_mount_point(const char *path);

/* The loop ends after the present event. */
void world_finish(struct manager *manager);
