/* A service that speaks sd_notify(3) through libsystemd. Its arguments are done one after another:
 *
 *     say TEXT          a message (| is a newline)
 *     say-child TEXT    by a child that ends at once
 *     barrier           waits until all was read
 *     sleep MS
 *     hang              for ever, deaf to TERM
 *     store NAME TEXT   a memory file, kept
 *     store-file NAME FILE
 *     store-pipe NAME   a pipe whose other end closes
 *     keep-pipe NAME    the same, and it is not to be polled
 *     listen            prints what was handed over
 *     ping N            WATCHDOG=1, N times in time
 *     reload            answers each SIGHUP
 *     stale             answers with an old time
 *     mainpid FD        a child becomes the main process (FD: by its pidfd), and it ends
 *     print TEXT
 *     exit CODE
 *     wait              until SIGTERM */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "units/base/scoped.h"

static void fail(const char *what, int error) {
    printf("%s: %s\n", what, strerror(-error));
    exit(9);
}

static void say(const char *text) {
    char message[4096];
    snprintf(message, sizeof message, "%s", text);
    for (char *at = message; (at = strchr(at, '|'));)
        *at = '\n';
    int error = sd_notify(0, message);
    if (error <= 0)
        fail("sd_notify", error);
}

static void say_from_child(const char *text) {
    pid_t child = fork();
    if (child == 0) {
        say(text);
        _exit(0);
    }
    waitpid(child, NULL, 0);
}

static void send_fd(const char *message, int fd) {
    int error = sd_pid_notify_with_fds(0, 0, message, &fd, 1);
    if (error <= 0)
        fail("sd_pid_notify_with_fds", error);
}

static void store(const char *name, const char *text) {
    char message[512];
    scoped_fd int fd = memfd_create("stored", MFD_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) < 0 || lseek(fd, 0, SEEK_SET) < 0)
        fail("memfd_create", -errno);
    snprintf(message, sizeof message, "FDSTORE=1\nFDNAME=%s", name);
    send_fd(message, fd);
}

static void store_file(const char *name, const char *path) {
    char message[512];
    scoped_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        fail(path, -errno);
    snprintf(message, sizeof message, "FDSTORE=1\nFDNAME=%s", name);
    send_fd(message, fd);
}

static void store_pipe(const char *name, bool polled) {
    char message[512];
    int ends[2];
    if (pipe(ends) < 0)
        fail("pipe", -errno);
    snprintf(message, sizeof message, "FDSTORE=1\nFDNAME=%s%s", name, polled ? "" : "\nFDPOLL=0");
    send_fd(message, ends[0]);
    close(ends[0]);
    close(ends[1]);
}

static void print_listen(void) {
    char **names = NULL;
    int count = sd_listen_fds_with_names(0, &names);
    printf("handed over: %d", count);
    for (int i = 0; i < count; i++) {
        char text[64] = "";
        ssize_t length = read(SD_LISTEN_FDS_START + i, text, sizeof text - 1);
        printf(" %s=%.*s", names[i], (int)(length > 0 ? length : 0), text);
        lseek(SD_LISTEN_FDS_START + i, 0, SEEK_SET);
        free(names[i]);
    }
    free(names);
    puts("");
}

static void ping(int times) {
    uint64_t period = 0;
    if (sd_watchdog_enabled(0, &period) <= 0)
        fail("sd_watchdog_enabled", -ENODATA);
    for (int i = 0; i < times; i++) {
        say("WATCHDOG=1");
        poll(NULL, 0, (int)(period / 2000));
    }
}

static void answer(bool stale, const sigset_t *signals) {
    for (int number;;) {
        struct timespec now;
        char message[128];
        sigwait(signals, &number);
        if (number == SIGTERM)
            exit(0);
        clock_gettime(CLOCK_MONOTONIC, &now);
        unsigned long long usec =
            (unsigned long long)now.tv_sec * 1000000 + (unsigned long long)now.tv_nsec / 1000;
        snprintf(message, sizeof message, "RELOADING=1\nMONOTONIC_USEC=%llu",
                 stale ? usec - 60000000 : usec);
        say(message);
        poll(NULL, 0, 200);
        say("READY=1\nSTATUS=reloaded");
    }
}

static void move_main(bool by_pidfd, const sigset_t *signals) {
    char message[64];
    pid_t child = fork();
    if (child == 0) {
        int number;
        sigwait(signals, &number);
        exit(0);
    }
    if (by_pidfd) {
        int fd = (int)syscall(SYS_pidfd_open, child, 0);
        if (fd < 0)
            fail("pidfd_open", -errno);
        send_fd("MAINPIDFD=1", fd);
        close(fd);
    } else {
        snprintf(message, sizeof message, "MAINPID=%d", (int)child);
        say(message);
    }
}

static char **obey(char **word, const sigset_t *signals) {
    const char *command = *word++;
    int number;
    if (strcmp(command, "say") == 0) {
        say(*word++);
    } else if (strcmp(command, "say-child") == 0) {
        say_from_child(*word++);
    } else if (strcmp(command, "barrier") == 0) {
        int error = sd_notify_barrier(0, 5000000);
        printf("barrier: %d\n", error);
    } else if (strcmp(command, "sleep") == 0) {
        poll(NULL, 0, atoi(*word++));
    } else if (strcmp(command, "hang") == 0) {
        for (;;)
            pause();
    } else if (strcmp(command, "store") == 0) {
        store(word[0], word[1]);
        word += 2;
    } else if (strcmp(command, "store-file") == 0) {
        store_file(word[0], word[1]);
        word += 2;
    } else if (strcmp(command, "store-pipe") == 0 || strcmp(command, "keep-pipe") == 0) {
        store_pipe(*word++, *command == 's');
    } else if (strcmp(command, "listen") == 0) {
        print_listen();
    } else if (strcmp(command, "ping") == 0) {
        ping(atoi(*word++));
    } else if (strcmp(command, "reload") == 0 || strcmp(command, "stale") == 0) {
        answer(*command == 's', signals);
    } else if (strcmp(command, "mainpid") == 0) {
        move_main(strcmp(*word++, "pidfd") == 0, signals);
    } else if (strcmp(command, "print") == 0) {
        puts(*word++);
    } else if (strcmp(command, "exit") == 0) {
        exit(atoi(*word++));
    } else if (strcmp(command, "wait") == 0) {
        sigwait(signals, &number);
    } else {
        fail(command, -EINVAL);
    }
    return word;
}

int main(int argc, char **argv) {
    sigset_t signals;
    (void)argc;
    setvbuf(stdout, NULL, _IOLBF, 0);
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    for (char **word = argv + 1; *word;)
        word = obey(word, &signals);
    return 0;
}
