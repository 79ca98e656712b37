/* The far end of the test machine's second serial line: runs what comes in there. A request is "RUN
 * SECONDS LENGTH\n" and LENGTH bytes of shell script; the answer is "RES CODE LENGTH\n" and what
 * the script wrote. CODE is the exit code, 128 + signal, or 124 where the time was up.
 *
 *   agent                     as init: makes a plain Linux of the machine, and serves the line
 *   agent before PROGRAM...   as init: leaves a child at the line, and becomes the program, which
 *                             finds a machine where nothing is mounted yet
 *   agent line                under another init: serves the line */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "units/base/scoped.h"

#define LINE_SIZE 128
#define SCRIPT_LIMIT (1 << 20)
#define OUTPUT_LIMIT (4 << 20) /* what is more is dropped: the line carries 0.5 MB a second */

struct output {
    char *data;
    size_t size;
};

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- the machine ---- */

static void mount_one(const char *type, const char *target, unsigned long flags, const char *data) {
    mkdir(target, 0755);
    if (mount(type, target, type, flags, data) < 0)
        fprintf(stderr, "agent: cannot mount %s: %s\n", target, strerror(errno));
}

static void mount_all(void) {
    const unsigned long quiet = MS_NOSUID | MS_NOEXEC | MS_NODEV;
    mount_one("proc", "/proc", quiet, NULL);
    mount_one("sysfs", "/sys", quiet, NULL);
    mount_one("devtmpfs", "/dev", MS_NOSUID, "mode=0755");
    mount_one("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "ptmxmode=0666,mode=0620,gid=5");
    mount_one("tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777");
    mount_one("mqueue", "/dev/mqueue", quiet, NULL);
    mount_one("tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755");
    mount_one("cgroup2", "/sys/fs/cgroup", quiet, "nsdelegate");
    /* As an init of a distribution does it: mounts made here are seen in every namespace below. */
    mount(NULL, "/", NULL, MS_REC | MS_SHARED, NULL);
}

/* /etc/modules holds paths in the order of loading. */
static void load_modules(void) {
    scoped_file FILE *list = fopen("/etc/modules", "re");
    char path[256];
    while (list && fgets(path, sizeof path, list)) {
        path[strcspn(path, "\n")] = '\0';
        scoped_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST))
            fprintf(stderr, "agent: cannot load %s: %s\n", path, strerror(errno));
    }
}

/* ---- the line ---- */

/* Before an init that is under test nothing is mounted, and the root may be read-only: the node
 * lies in a file system of its own, which is gone again before that init sees it. */
static void make_line(void) {
    mkdir("/dev", 0755);
    if (mount("tmpfs", "/dev", "tmpfs", MS_NOSUID, NULL) < 0 ||
        mknod("/dev/ttyS1", S_IFCHR | 0600, makedev(4, 65)) < 0)
        fprintf(stderr, "agent: cannot make /dev/ttyS1: %s\n", strerror(errno));
}

static int line_open(void) {
    int fd = open("/dev/ttyS1", O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct termios settings;
    if (fd < 0 || tcgetattr(fd, &settings) < 0)
        return fd;
    cfmakeraw(&settings);
    cfsetspeed(&settings, B115200);
    tcsetattr(fd, TCSANOW, &settings);
    return fd;
}

static int read_exactly(int fd, char *data, size_t size) {
    while (size) {
        ssize_t count = read(fd, data, size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return -EIO;
        data += count;
        size -= (size_t)count;
    }
    return 0;
}

static int write_exactly(int fd, const char *data, size_t size) {
    while (size) {
        ssize_t count = write(fd, data, size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        data += count;
        size -= (size_t)count;
    }
    return 0;
}

static int read_line(int fd, char line[LINE_SIZE]) {
    size_t used = 0;
    while (used < LINE_SIZE - 1) {
        if (read_exactly(fd, line + used, 1) < 0)
            return -EIO;
        if (line[used] == '\n')
            break;
        used++;
    }
    line[used] = '\0';
    return 0;
}

/* ---- beside an init that is under test ---- */

static int init_proc = -EBADF; /* a /proc of our own, mounted nowhere */

/* The machine may run out of memory; whoever tells of it must not be the one that is killed. */
static void live_beside(void) {
    int context = fsopen("proc", FSOPEN_CLOEXEC);
    if (context >= 0 && fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
        init_proc = fsmount(context, FSMOUNT_CLOEXEC, 0);
    close_fd(context);
    scoped_fd int fd = openat(init_proc, "self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write_exactly(fd, "-1000", 5) < 0)
        fprintf(stderr, "agent: no /proc: %s\n", strerror(errno));
    setsid();
}

/* A script sees what init sees, also after init has changed its root. */
static void enter_init(void) {
    scoped_fd int namespace = openat(init_proc, "1/ns/mnt", O_RDONLY | O_CLOEXEC);
    scoped_fd int oom = openat(init_proc, "self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (setns(namespace, CLONE_NEWNS) < 0 || write_exactly(oom, "0", 1) < 0)
        fprintf(stderr, "agent: cannot see what init sees: %s\n", strerror(errno));
}

/* ---- one script ---- */

static pid_t script_start(const char *script, int *ret_output) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    pid_t child = fork();
    if (child == 0) {
        setsid();
        if (init_proc >= 0)
            enter_init();
        scoped_fd int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        dup2(null, STDIN_FILENO);
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        execl("/bin/sh", "sh", "-c", script, NULL);
        _exit(127);
    }
    close(ends[1]);
    *ret_output = ends[0];
    return child;
}

static void output_take(struct output *output, int fd) {
    char part[4096];
    ssize_t count = read(fd, part, sizeof part);
    if (count <= 0 || output->size + (size_t)count > OUTPUT_LIMIT)
        return;
    memcpy(output->data + output->size, part, (size_t)count);
    output->size += (size_t)count;
}

/* Reads until the script's own process has ended: what it left behind may hold the pipe open. As
 * init we reap everybody else's children on the way. */
static int script_wait(pid_t child, int fd, int seconds, struct output *output) {
    const int64_t deadline = now_ms() + seconds * 1000LL;
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    int status = 0, code = -1;
    while (code < 0) {
        if (poll(&poll_fd, 1, 20) > 0)
            output_take(output, fd);
        if (poll_fd.revents & POLLHUP)
            usleep(2000); /* nothing to read any more, the end is near */
        for (pid_t ended; (ended = waitpid(-1, &status, WNOHANG)) > 0;)
            if (ended == child)
                code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        if (code < 0 && now_ms() > deadline) {
            kill(-child, SIGKILL);
            waitpid(child, &status, 0);
            code = 124;
        }
    }
    while (poll(&poll_fd, 1, 0) > 0 && (poll_fd.revents & POLLIN))
        output_take(output, fd);
    return code;
}

/* Answers one request; an error means that the line is out of step and nothing can be saved. */
static int serve(int line, struct output *output) {
    char header[LINE_SIZE];
    int seconds = 0, code = 125;
    size_t length = 0;
    if (read_line(line, header) < 0 || sscanf(header, "RUN %d %zu", &seconds, &length) != 2 ||
        length > SCRIPT_LIMIT)
        return -EPROTO;
    scoped_free char *script = calloc(1, length + 1);
    if (!script || read_exactly(line, script, length) < 0)
        return -EIO;
    scoped_fd int fd = -EBADF;
    output->size = 0;
    pid_t child = script_start(script, &fd);
    if (child > 0)
        code = script_wait(child, fd, seconds, output);
    int used = snprintf(header, sizeof header, "RES %d %zu\n", code, output->size);
    if (write_exactly(line, header, (size_t)used) < 0)
        return -EIO;
    return write_exactly(line, output->data, output->size);
}

static int serve_all(int line) {
    struct output output = {.data = malloc(OUTPUT_LIMIT)};
    if (line < 0 || !output.data || write_exactly(line, "RES 0 0\n", 8) < 0) {
        fprintf(stderr, "agent: no line\n");
        return 1;
    }
    setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
    setenv("HOME", "/root", 1);
    setenv("LC_ALL", "C.UTF-8", 1);
    while (serve(line, &output) == 0)
        ;
    free(output.data);
    return 0;
}

int main(int argc, char **argv) {
    const bool is_init = getpid() == 1;
    const bool before = is_init && argc > 2 && strcmp(argv[1], "before") == 0;
    if (!is_init && (argc != 2 || strcmp(argv[1], "line") != 0)) {
        fprintf(stderr, "agent: this is the init of a test machine\n");
        return 2;
    }
    if (before)
        make_line();
    else if (is_init)
        mount_all();
    load_modules();
    scoped_fd int line = line_open();
    if (before)
        umount2("/dev", MNT_DETACH);
    if (before && fork() != 0) {
        execv(argv[2], argv + 2);
        fprintf(stderr, "agent: cannot run %s: %s\n", argv[2], strerror(errno));
        return 1;
    }
    if (before)
        live_beside();
    int code = serve_all(line);
    if (before || !is_init)
        return code;
    sync();
    reboot(RB_POWER_OFF);
    return 1;
}
