/* PID 1 of a container whose unit asks for an init: `ringfence-init PROGRAM STATUS [wait]`. PROGRAM
 * is the pid of its child, the unit's program: signals go there, and its exit status is passed on.
 * Whatever else ends is reaped. STATUS is a descriptor where the end of the program is told as it
 * was, since a PID 1 cannot end by a signal. With "wait" all other processes are waited for;
 * without, they end with us, since the kernel ends a pid namespace with its PID 1.
 *
 * It runs under the unit's own system call filter, so it asks for as little as it can. */

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t program;
static int status_fd;
static int lingers;
static int wait_status;
static int program_ended;

/* What a shell would make of an end by a signal. */
static int exit_code(void) {
    return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

static void end_if_done(int nobody_left) {
    if (program_ended && (!lingers || nobody_left))
        _exit(exit_code());
}

static void reap(void) {
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid != program)
            continue;
        program_ended = 1;
        wait_status = status;
        if (write(status_fd, &status, sizeof status) < 0)
            continue; /* nobody listens any more: the exit code still tells */
    }
    end_if_done(pid < 0 && errno == ECHILD);
}

int main(int argc, char **argv) {
    sigset_t all;
    if (argc < 3 || getpid() != 1)
        return 2;
    prctl(PR_SET_NAME, "ringfence-init"); /* a memory file has none that says anything */
    program = (pid_t)atoi(argv[1]);
    status_fd = atoi(argv[2]);
    lingers = argc > 3;
    /* The kernel drops what PID 1 has no handler for, but not what it blocks. */
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    reap(); /* what ended before the signals were blocked */
    for (;;) {
        int number = sigwaitinfo(&all, NULL);
        if (number == SIGCHLD)
            reap();
        else if (number > 0 && !program_ended)
            kill(program, number);
    }
}
