#pragma once
/* A manager that is killed and the next one: the test forks the first, which builds, runs and
 * saves, kills it, and goes on as the second. For the test programs of adoption. */

#include <sys/prctl.h>
#include <sys/socket.h>

#include "runtime/adopt.h"
#include "tests/runtime/box.h"
#include "units/base/text.h"

/* What the first manager leaves to the next: facts, and descriptors that somebody kept. */
struct left {
    char sandbox[4096], run[1024], notes[1024];
    int fds[SANDBOX_SAVED_MAX];
    size_t fd_count;
    struct run_saved saved;
    pid_t main;
    uint64_t start_time;
    uint64_t network;
};

static struct box box;
static struct left left = {.saved = {-EBADF, -EBADF}};
static useconds_t life_span; /* of the first manager after it has told what it leaves */

/* ---- the first manager ---- */

#define LEFT_MAX (SANDBOX_SAVED_MAX + 2)

static inline void send_left(int channel) {
    union {
        char bytes[CMSG_SPACE(sizeof(int) * LEFT_MAX)];
        struct cmsghdr align;
    } control = {0};
    int fds[LEFT_MAX];
    size_t count = left.fd_count;
    memcpy(fds, left.fds, left.fd_count * sizeof(int));
    if (left.saved.status >= 0)
        fds[count++] = left.saved.status;
    if (left.saved.report >= 0)
        fds[count++] = left.saved.report;
    struct iovec part = {&left, sizeof left};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (count) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(rights), fds, sizeof(int) * count);
    }
    CHECK(sendmsg(channel, &message, 0) == sizeof left);
}

static inline void receive_left(int channel) {
    union {
        char bytes[CMSG_SPACE(sizeof(int) * LEFT_MAX)];
        struct cmsghdr align;
    } control;
    struct iovec part = {&left, sizeof left};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    struct pollfd ready = {channel, POLLIN, 0};
    CHECK(poll(&ready, 1, 20000) == 1);
    CHECK(recvmsg(channel, &message, MSG_CMSG_CLOEXEC) == sizeof left);
    const struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    if (!rights)
        return;
    const int *fds = (const int *)CMSG_DATA(rights), *rest = fds + left.fd_count;
    memcpy(left.fds, fds, left.fd_count * sizeof(int));
    if (left.saved.status >= 0)
        left.saved.status = *rest++;
    if (left.saved.report >= 0)
        left.saved.report = *rest;
}

static inline void save(struct run *run) {
    scoped_text struct text sandbox_words = {0}, run_words = {0};
    CHECK(sandbox_save(box.sandbox, &sandbox_words, left.fds, &left.fd_count) == 0);
    CHECK(sandbox_words.length < sizeof left.sandbox);
    strcpy(left.sandbox, sandbox_words.data);
    snprintf(left.notes, sizeof left.notes, "%s", sandbox_notes(box.sandbox));
    left.network = sandbox_namespace_inode(box.sandbox, NAMESPACE_NETWORK);
    left.saved = RUN_SAVED_NONE;
    if (!run)
        return;
    CHECK(run_save(run, &run_words, &left.saved) == 0);
    CHECK(run_words.length < sizeof left.run);
    strcpy(left.run, run_words.data);
    left.main = run_pid(run);
    left.start_time = run_start_time(run);
}

static inline struct run *start(enum run_place place, const char *line, const struct run *main) {
    BOX_COMMAND(command, (char *)"/bin/sh", (char *)"-c", (char *)line);
    struct run_request request = {
        .place = place, .exec = &command, .ready_fd = -1, .standard = {-1, -1, -1}};
    struct run *run = NULL;
    int error = box_start(&box, &request, main, &run);
    if (error)
        printf("# %s\n", box.fault.text);
    CHECK(error == 0);
    return run;
}

/* Builds, runs the line as the main process, saves, and waits to be killed. */
_Noreturn static inline void be_manager(int channel, const char *line) {
    box_open_runtime(&box);
    box_built(&box);
    save(line ? start(RUN_MAIN, line, NULL) : NULL);
    send_left(channel);
    for (;;)
        pause();
}

/* ---- the one that kills it and goes on ---- */

static inline void prepare(void) {
    box_open(&box); /* the directory, and whether anything of this works here */
    runtime_close(box.runtime);
    box.runtime = NULL;
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
}

/* A manager lives its life up to the kill; then there is a runtime again, not yet settled. */
static inline void succeed_by(void (*life)(int channel, const char *line), const char *line) {
    int channel[2];
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) == 0);
    pid_t manager = fork();
    CHECK(manager >= 0);
    if (manager == 0) {
        close(channel[0]);
        life(channel[1], line);
    }
    close(channel[1]);
    receive_left(channel[0]);
    close(channel[0]);
    usleep(life_span);
    CHECK(kill(manager, SIGKILL) == 0 && waitpid(manager, NULL, 0) == manager);
    box_open_runtime(&box);
}

static inline void succeed(const char *line) {
    succeed_by(be_manager, line);
}

static inline int adopt_words(const char *words) {
    int error = sandbox_adopt(box.runtime, &box.container, words, left.fds, left.fd_count,
                              &box.sandbox, &box.fault);
    left.fd_count = 0; /* consumed */
    return error;
}

static inline void adopt(void) {
    int error = adopt_words(left.sandbox);
    if (error)
        printf("# %s\n", box.fault.text);
    CHECK(error == 0);
}

static inline int adopt_run_words(const char *words, struct run **ret_run) {
    int error = run_adopt(box.sandbox, words, left.saved, ret_run, &box.fault);
    left.saved = RUN_SAVED_NONE; /* consumed */
    return error;
}

static inline struct run *adopt_run(void) {
    struct run *run = NULL;
    int error = adopt_run_words(left.run, &run);
    if (error)
        printf("# %s\n", box.fault.text);
    CHECK(error == 0);
    return run;
}

static inline void settle(void) {
    int error = runtime_settle(box.runtime, &box.fault);
    if (error)
        printf("# %s\n", box.fault.text);
    CHECK(error == 0);
}

static inline void end(void) {
    if (box.sandbox)
        box_remove(&box);
    settle();
    box_close(&box);
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
}

/* The words with another value for a key; NULL: without the key. */
static inline const char *changed(const char *words, const char *key, const char *value) {
    static char text[4096];
    char name[64];
    snprintf(name, sizeof name, " %s=", key);
    const char *at = strstr(words, name);
    CHECK(at);
    const char *rest = at + 1 + strcspn(at + 1, " ");
    snprintf(text, sizeof text, "%.*s%s%s%s", (int)(at - words), words, value ? name : "",
             value ? value : "", rest);
    return text;
}

static inline bool comes(bool (*is_so)(void)) {
    for (int i = 0; i < 2000; i++) {
        if (is_so())
            return true;
        usleep(10000);
    }
    return false;
}

static inline bool is_empty(void) {
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    return sandbox_is_populated(box.sandbox) == 0;
}

static inline void drop_descriptors(void) {
    while (left.fd_count > 0)
        close(left.fds[--left.fd_count]);
}
