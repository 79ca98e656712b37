/* Stands in for ringfence-manager and ringfence-logd under a real ringfenced, and for systemd above
 * it. As a child it does what the file NAME.script beside it says, a command a line, and notes what
 * happens to it in the file `events`:
 *
 *     note TEXT
 *     notify TEXT              | is a newline
 *     stray TEXT               a notification by a child of its own
 *     large                    a notification of 8,000 bytes
 *     flood COUNT TEXT         so many notifications, then SIGKILL
 *     sleep MS
 *     wait                     until SIGTERM or SIGINT
 *     hang                     deaf to all
 *     exit STATUS
 *     raise SIGNAL
 *     orphan MS                a grandchild that lives so long
 *     orphans COUNT            that end at once
 *     write PATH
 *     told NAME                notes a variable of the environment
 *     store COUNT NAME TEXT    a file with this text, so many times
 *     drop NAME
 *     held                     notes what the keeper handed over
 *     exits                    notes who ended
 *     count N                  waits until so many did
 *
 * `fake-child listen PATH` prints notifications, one a line, until it is ended.
 *
 * `fake-child hand-over STATE PROGRAM ARGUMENT...` becomes a keeper that takes over what STATE
 * says, where "@LOCK@" and its like are replaced by the numbers of such descriptors. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/keeper/protocol.h"
#include "units/base/scoped.h"

static char directory[PATH_MAX / 2];
static const char *name;

static void note(const char *text) {
    char path[PATH_MAX], line[1024];
    snprintf(path, sizeof path, "%s/events", directory);
    snprintf(line, sizeof line, "%s %s\n", name, text);
    scoped_fd int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, line, strlen(line)) < 0)
        abort();
}

static socklen_t make_address(struct sockaddr_un *address, const char *path) {
    size_t length = strlen(path);
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (length >= sizeof address->sun_path)
        abort();
    memcpy(address->sun_path, path, length);
    if (*path == '@')
        address->sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
}

static void swap(char *text, char from, char to) {
    for (char *at = text; (at = strchr(at, from));)
        *at = to;
}

/* With so many copies of a descriptor. */
static void send_with(const char *text, size_t length, int fd, size_t count) {
    struct sockaddr_un address;
    socklen_t size = make_address(&address, getenv("NOTIFY_SOCKET"));
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(KEEPER_MESSAGE_FDS * sizeof(int))];
    } control = {.header = {.cmsg_level = SOL_SOCKET,
                            .cmsg_type = SCM_RIGHTS,
                            .cmsg_len = CMSG_LEN(count * sizeof(int))}};
    struct iovec data = {(char *)text, length};
    struct msghdr message = {
        .msg_name = &address, .msg_namelen = size, .msg_iov = &data, .msg_iovlen = 1};
    scoped_fd int sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    for (size_t i = 0; i < count; i++)
        memcpy(CMSG_DATA(&control.header) + i * sizeof fd, &fd, sizeof fd);
    if (count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    }
    if (sendmsg(sender, &message, 0) < 0)
        note(strerror(errno));
}

static void notify(const char *text, size_t length) {
    send_with(text, length, -1, 0);
}

/* COUNT NAME TEXT */
static void store(char *words) {
    size_t count = (size_t)atoi(strsep(&words, " "));
    char message[512];
    const char *name_stored = strsep(&words, " ");
    scoped_fd int fd = memfd_create("stored", MFD_CLOEXEC);
    if (fd < 0 || write(fd, words, strlen(words)) < 0)
        abort();
    snprintf(message, sizeof message, "FDSTORE=1\nFDNAME=%s", name_stored);
    while (count > 0) {
        size_t some = count < KEEPER_MESSAGE_FDS ? count : KEEPER_MESSAGE_FDS;
        send_with(message, strlen(message), fd, some);
        count -= some;
    }
}

/* "held NAME=TEXT" for each descriptor. */
static void held(void) {
    char line[512], text[256], out[1024];
    lseek(KEEPER_NAMES, 0, SEEK_SET);
    scoped_file FILE *names = fdopen(dup(KEEPER_NAMES), "re");
    while (names && fgets(line, sizeof line, names)) {
        char *name_held = NULL;
        int fd = (int)strtol(line, &name_held, 10);
        ssize_t length = pread(fd, text, sizeof text - 1, 0);
        line[strcspn(line, "\n")] = text[length < 0 ? 0 : length] = '\0';
        snprintf(out, sizeof out, "held %s=%s", name_held + 1, length < 0 ? "?" : text);
        note(out);
    }
    note("holds no more");
}

static void exits(void) {
    struct keeper_exit record;
    char out[128];
    while (recv(KEEPER_EXITS, &record, sizeof record, MSG_DONTWAIT) == sizeof record) {
        snprintf(out, sizeof out, "exit %d %d %d", record.pid, record.wait_status,
                 record.start_time > 0);
        note(out);
    }
    note("knows no more");
}

static void count_exits(int most) {
    struct keeper_exit record;
    char out[64];
    int count = 0;
    while (count < most && recv(KEEPER_EXITS, &record, sizeof record, 0) == sizeof record)
        count++;
    snprintf(out, sizeof out, "exits %d", count);
    note(out);
}

static void orphans(int count) {
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < count; i++)
            if (fork() == 0)
                _exit(0);
        _exit(0);
    }
    waitpid(child, NULL, 0);
}

static void in_child(const char *text) {
    pid_t child = fork();
    if (child == 0) {
        notify(text, strlen(text));
        _exit(0);
    }
    waitpid(child, NULL, 0);
}

/* Its parent is gone when it ends: it is the keeper's to reap. */
static void orphan(int milliseconds) {
    pid_t child = fork();
    if (child == 0) {
        pid_t grandchild = fork();
        if (grandchild == 0) {
            prctl(PR_SET_NAME, "orphan");
            poll(NULL, 0, milliseconds);
            _exit(3);
        }
        char text[32];
        snprintf(text, sizeof text, "orphan %d", (int)grandchild);
        note(text);
        _exit(0);
    }
    waitpid(child, NULL, 0);
}

static void wait_for_end(const sigset_t *set) {
    for (int signal;;) {
        if (sigwait(set, &signal) != 0)
            abort();
        note(signal == SIGTERM ? "SIGTERM" : signal == SIGINT ? "SIGINT" : "SIGHUP");
        if (signal != SIGHUP)
            return;
    }
}

/* What concerns what the keeper keeps. False: none of these. */
static bool obey_about_keeping(const char *word, char *rest) {
    char text[512];
    if (strcmp(word, "store") == 0) {
        store(rest);
    } else if (strcmp(word, "drop") == 0) {
        snprintf(text, sizeof text, "FDSTOREREMOVE=1\nFDNAME=%s", rest);
        notify(text, strlen(text));
    } else if (strcmp(word, "held") == 0) {
        held();
    } else if (strcmp(word, "exits") == 0) {
        exits();
    } else if (strcmp(word, "count") == 0) {
        count_exits(atoi(rest));
    } else if (strcmp(word, "orphans") == 0) {
        orphans(atoi(rest));
    } else if (strcmp(word, "told") == 0) {
        snprintf(text, sizeof text, "told %s", getenv(rest) ? getenv(rest) : "nothing");
        note(text);
    } else if (strcmp(word, "flood") == 0) {
        for (int count = atoi(strsep(&rest, " ")); count > 0; count--)
            notify(rest, strlen(rest));
        raise(SIGKILL);
    } else {
        return false;
    }
    return true;
}

static void obey(char *command, const sigset_t *set) {
    char *word = strsep(&command, " ");
    char *rest = command ? command : word + strlen(word);
    if (obey_about_keeping(word, rest)) {
        return;
    } else if (strcmp(word, "hang") == 0) {
        for (;;)
            pause();
    } else if (strcmp(word, "write") == 0) {
        scoped_fd int fd = open(rest, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0 || write(fd, "x", 1) < 0)
            note("cannot write");
    } else if (strcmp(word, "note") == 0) {
        note(rest);
    } else if (strcmp(word, "notify") == 0) {
        swap(rest, '|', '\n');
        notify(rest, strlen(rest));
    } else if (strcmp(word, "stray") == 0) {
        in_child(rest);
    } else if (strcmp(word, "large") == 0) {
        static char many[8000] = "READY=1\nX=";
        memset(many + 10, 'x', sizeof many - 10);
        notify(many, sizeof many);
    } else if (strcmp(word, "sleep") == 0) {
        poll(NULL, 0, atoi(rest));
    } else if (strcmp(word, "orphan") == 0) {
        orphan(atoi(rest));
    } else if (strcmp(word, "wait") == 0) {
        wait_for_end(set);
    } else if (strcmp(word, "exit") == 0) {
        exit(atoi(rest));
    } else if (strcmp(word, "raise") == 0) {
        sigset_t one;
        sigemptyset(&one);
        sigaddset(&one, atoi(rest));
        sigprocmask(SIG_UNBLOCK, &one, NULL);
        signal(atoi(rest), SIG_DFL);
        raise(atoi(rest));
    } else {
        note("does not know a command");
        abort();
    }
}

static int listen_to(const char *path) {
    struct sockaddr_un address;
    socklen_t size = make_address(&address, path);
    scoped_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (const struct sockaddr *)&address, size) < 0)
        return EXIT_FAILURE;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (char message[4097];;) {
        ssize_t length = recv(fd, message, sizeof message - 1, 0);
        if (length < 0)
            return EXIT_FAILURE;
        message[length] = '\0';
        swap(message, '\n', '|');
        puts(message);
    }
}

/* ---- a predecessor of a keeper, in ./run ---- */

static int make_notifications(void) {
    struct sockaddr_un address;
    const int one = 1;
    char path[PATH_MAX];
    if (!getcwd(path, sizeof path - sizeof "/run/keeper"))
        abort();
    strcat(path, "/run/keeper");
    socklen_t size = make_address(&address, path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (bind(fd, (const struct sockaddr *)&address, size) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof one) < 0)
        abort();
    return fd;
}

/* What stands between two @ is the name of a descriptor, or SELF. */
static void fill_in(FILE *saved, int lock, int notifications, int exits_end, int stored) {
    const struct {
        const char *word;
        int fd;
    } words[] = {{"LOCK@", lock},
                 {"NOTIFICATIONS@", notifications},
                 {"EXITS@", exits_end},
                 {"STORED@", stored}};
    char line[512];
    while (fgets(line, sizeof line, saved)) {
        char *mark = strchr(line, '@');
        if (mark)
            *mark++ = '\0';
        dprintf(KEEPER_STATE, "%s", line);
        for (size_t i = 0; mark && i < ELEMENTS(words); i++)
            if (strncmp(mark, words[i].word, strlen(words[i].word)) == 0)
                dprintf(KEEPER_STATE, "%d%s", words[i].fd, mark + strlen(words[i].word));
        if (mark && strncmp(mark, "SELF@", 5) == 0)
            dprintf(KEEPER_STATE, "./ringfenced%s", mark + 5);
    }
}

static int hand_over(const char *state, char **arguments) {
    int pair[2];
    for (int fd = KEEPER_EXITS; fd <= KEEPER_STATE; fd++)
        dup2(STDERR_FILENO, fd); /* so that nothing else gets these numbers */
    scoped_file FILE *saved = fopen(state, "re");
    int stored = memfd_create("stored", 0), lock = open("run", O_RDONLY | O_DIRECTORY);
    if (!saved || write(stored, "kept", 4) != 4 || lock < 0 ||
        socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
        return EXIT_FAILURE;
    dup2(pair[0], KEEPER_EXITS);
    dup2(memfd_create("names", MFD_CLOEXEC), KEEPER_NAMES);
    dup2(memfd_create("state", MFD_CLOEXEC), KEEPER_STATE);
    close(pair[0]);
    fill_in(saved, lock, make_notifications(), pair[1], stored);
    execv(arguments[0], arguments);
    return EXIT_FAILURE;
}

int main(int argc, char **argv) {
    char path[PATH_MAX];
    if (argc > 3 && strcmp(argv[1], "hand-over") == 0)
        return hand_over(argv[2], argv + 3);
    if (argc == 3 && strcmp(argv[1], "listen") == 0)
        return listen_to(argv[2]);
    const char *given = getenv("FAKE_CHILD_DIRECTORY"), *slash = strrchr(argv[0], '/');
    if (!given)
        return EXIT_FAILURE;
    snprintf(directory, sizeof directory, "%s", given);
    name = slash ? slash + 1 : argv[0];

    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    snprintf(path, sizeof path, "%s/%s.script", directory, name);
    scoped_file FILE *script = fopen(path, "re");
    static char text[1 << 16];
    size_t size = script ? fread(text, 1, sizeof text - 1, script) : 0;
    text[size] = '\0';
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) && *line;)
        obey(line, &set);
    return 0;
}
