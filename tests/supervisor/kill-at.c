/* Kills a process at the moment when it is about to make a system call:
 *
 *     kill-at PID CALL [N]
 *
 * at its N-th such call (1) from now on; prints "watching" when it looks, and ends when the process
 * has. For tests of what a manager leaves that dies in the middle of an event. */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static const struct {
    const char *name;
    unsigned long long number;
} calls[] = {
    {"renameat", SYS_renameat}, /* facts take their place */
    {"recvfrom", SYS_recvfrom}, /* a message that was handled is taken out */
    {"sendmsg", SYS_sendmsg},   /* somebody is told */
    {"pwrite", SYS_pwrite64},   /* the logger is told whose output it is */
};

static unsigned long long number_of(const char *name) {
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        if (strcmp(calls[i].name, name) == 0)
            return calls[i].number;
    fprintf(stderr, "kill-at: \"%s\" is not among the calls that it knows\n", name);
    exit(2);
}

static int fail(const char *what) {
    fprintf(stderr, "kill-at: cannot %s: %s\n", what, strerror(errno));
    return 1;
}

/* At the beginning of such a call, which is not made where the process is killed here. */
static int is_at(pid_t pid, unsigned long long number) {
    struct __ptrace_syscall_info info;
    return ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) > 0 &&
           info.op == PTRACE_SYSCALL_INFO_ENTRY && info.entry.nr == number;
}

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    pid_t pid = atoi(argv[1]);
    unsigned long long number = number_of(argv[2]);
    int left = argc > 3 ? atoi(argv[3]) : 1, status;
    if (ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD) < 0 ||
        ptrace(PTRACE_INTERRUPT, pid, 0, 0) < 0)
        return fail("trace it");
    for (int looks = 0; waitpid(pid, &status, 0) == pid && WIFSTOPPED(status); looks++) {
        int signal = WSTOPSIG(status);
        int stopped = status >> 16 == PTRACE_EVENT_STOP;
        if (looks == 0) {
            puts("watching");
            fflush(stdout);
        }
        if (signal == (SIGTRAP | 0x80) && is_at(pid, number) && --left == 0)
            return kill(pid, SIGKILL) < 0 ? fail("kill it") : 0;
        int passed = stopped || signal == (SIGTRAP | 0x80) ? 0 : signal;
        if (ptrace(PTRACE_SYSCALL, pid, 0, passed) < 0 && errno != ESRCH)
            return fail("go on");
    }
    return 0;
}
