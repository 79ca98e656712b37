/* Descriptors that came from a service (units/base/foreign.h), above all a file whose server never
 * answers to the one who closes it: a small FUSE server plays it. */

#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/test.h"
#include "units/base/file.h"
#include "units/base/foreign.h"

static bool is_closed(int fd) {
    return fcntl(fd, F_GETFD) < 0 && errno == EBADF;
}

TEST(what_is_a_file) {
    int ends[2], pair[2];
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    const int none[] = {-1,
                        ends[0],
                        ends[1],
                        pair[0],
                        memfd_create("memory", MFD_CLOEXEC),
                        eventfd(0, EFD_CLOEXEC),
                        (int)syscall(SYS_pidfd_open, getpid(), 0)};
    const int files[] = {open("/", O_PATH | O_CLOEXEC), open("/", O_RDONLY | O_CLOEXEC),
                         open("/proc/self/exe", O_RDONLY | O_CLOEXEC),
                         open("/dev/null", O_RDONLY | O_CLOEXEC)};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        CHECK(!foreign_is_file(none[i]));
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        CHECK(files[i] >= 0 && foreign_is_file(files[i]));
}

TEST(all_kinds_are_closed) {
    int pair[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    const int all[] = {pair[0], open("/proc/self/exe", O_RDONLY | O_CLOEXEC), pair[1],
                       memfd_create("memory", MFD_CLOEXEC), open("/", O_RDONLY | O_CLOEXEC)};
    int list[sizeof(all) / sizeof(all[0])];
    memcpy(list, all, sizeof(all));
    foreign_close(list, sizeof(all) / sizeof(all[0]));
    CHECK(wait(NULL) > 0 && wait(NULL) > 0); /* who held the sockets, who closed the files */
    CHECK(wait(NULL) < 0 && errno == ECHILD);
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        CHECK(is_closed(all[i]));
}

/* Answers to all but FUSE_FLUSH, which close(2) waits for. */
static void serve(int device) {
    static char request[FUSE_MIN_READ_BUFFER * 20];
    for (ssize_t length; (length = read(device, request, sizeof(request))) > 0;) {
        struct fuse_in_header asked;
        struct {
            struct fuse_out_header header;
            union {
                struct fuse_init_out init;
                struct fuse_attr_out attributes;
                struct fuse_open_out open;
            };
        } answer = {0};
        memcpy(&asked, request, sizeof(asked));
        answer.header.unique = asked.unique;
        answer.header.len = sizeof(answer.header);
        switch (asked.opcode) {
        case FUSE_INIT:
            answer.init = (struct fuse_init_out){.major = FUSE_KERNEL_VERSION, .minor = 31};
            answer.header.len += sizeof(answer.init);
            break;
        case FUSE_GETATTR:
            answer.attributes.attr = (struct fuse_attr){.ino = 1, .mode = S_IFREG | 0600};
            answer.header.len += sizeof(answer.attributes);
            break;
        case FUSE_OPEN:
            answer.header.len += sizeof(answer.open);
            break;
        case FUSE_FLUSH:
            continue;
        default:
            answer.header.error = -ENOSYS;
        }
        if (write(device, &answer, answer.header.len) < 0)
            _exit(1);
    }
    _exit(0);
}

/* In a mount namespace of the test's own. */
static int open_hanging(pid_t *ret_server) {
    char options[64], place[] = "/tmp/foreign.XXXXXX";
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        SKIP("mounts take root");
    int device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (device < 0)
        SKIP("this kernel has no FUSE");
    int target = mkostemp(place, O_CLOEXEC);
    CHECK(target >= 0);
    snprintf(options, sizeof(options), "fd=%d,rootmode=100600,user_id=0,group_id=0", device);
    CHECK(mount("test", place, "fuse", 0, options) == 0);
    *ret_server = fork();
    if (*ret_server == 0)
        serve(device);
    close(device);
    close(target);
    int fd = open(place, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK(umount2(place, MNT_DETACH) == 0 && unlink(place) == 0);
    return fd;
}

TEST(a_file_whose_server_does_not_answer_holds_up_nobody) {
    pid_t server;
    int hanging = open_hanging(&server), memory = memfd_create("memory", MFD_CLOEXEC);
    int list[] = {hanging, memory};
    CHECK(foreign_is_file(hanging));
    foreign_close(list, 2);
    CHECK(is_closed(memory));
    alarm(20); /* the test has failed then */
    while (!is_closed(hanging))
        poll(NULL, 0, 1);
    CHECK(waitpid(-1, NULL, WNOHANG) == 0); /* who closes it waits for the server, */
    kill(server, SIGKILL);
    CHECK(wait(NULL) > 0 && wait(NULL) > 0); /* and to its end only */
}

/* A manager that dies while its child waits: the next one finds its lock, and may have it. */
TEST(who_waits_keeps_no_lock_of_one_that_has_ended) {
    pid_t server;
    int ready[2], hanging = open_hanging(&server);
    int file = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    char byte = 0;
    CHECK(file >= 0 && pipe2(ready, O_CLOEXEC) == 0);
    pid_t owner = fork();
    if (owner == 0) {
        int list[] = {hanging};
        int error = file_lock(file);
        foreign_close(list, 1);
        while (!is_closed(hanging))
            poll(NULL, 0, 1);
        bool told = error == 0 && write(ready[1], "y", 1) == 1;
        while (told)
            pause();
        _exit(1);
    }
    close(ready[1]);
    alarm(20); /* the test has failed then */
    CHECK(read(ready[0], &byte, 1) == 1);
    CHECK(file_lock(file) == -EBUSY);
    kill(owner, SIGKILL);
    CHECK(waitpid(owner, NULL, 0) == owner);
    struct flock lock = {.l_type = F_WRLCK};
    CHECK(fcntl(file, F_SETLK, &lock) < 0); /* it is there still */
    CHECK(file_lock(file) == 0);
    kill(server, SIGKILL);
    CHECK(waitpid(server, NULL, 0) == server);
}

TEST_MAIN
