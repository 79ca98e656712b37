/* What a run answers of itself: its processes, and by which descriptors it tells of them. */

#include "tests/supervisor/fake-sandbox.h"

pid_t run_pid(const struct run *run) {
    return run->learned;
}

int run_take_terminal(struct run *run) {
    (void)run;
    return -1;
}

pid_t run_program_pid(const struct run *run) {
    return run->learned;
}

int run_status_fd(const struct run *run) {
    return run->status_fd;
}

int run_program_pidfd(const struct run *run) {
    return run->program_fd;
}

int run_program_ended(struct run *run, int *ret_wait_status) {
    if (run->left && run->status_fd >= 0) {
        fake_fd_close(run->status_fd);
        run->status_fd = -1;
        run->told_left = true;
    }
    if (run->told_left)
        *ret_wait_status = run->left_status;
    return run->told_left;
}

int run_pidfd(const struct run *run) {
    return run->pidfd;
}

int run_report_fd(const struct run *run) {
    return run->heard ? -1 : run->report_fd;
}

bool run_would_drop(const struct run *run, int signal) {
    (void)signal;
    return run->plan.drops_signal;
}

bool run_waits(const struct run *run) {
    return run->waits && !run->released && run->learned && !run->heard;
}
