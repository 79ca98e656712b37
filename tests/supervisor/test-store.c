/* The keeper's store of descriptors (supervisor/keeper/store.h). */

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "supervisor/keeper/store.h"
#include "tests/test.h"

static struct store store;

static int add(const char *name, int fd) {
    return store_add(&store, name, &fd, 1);
}

/* "NUMBER NAME" of all, one a line. */
static const char *written(const char *before) {
    static char text[1 << 16];
    int file = memfd_create("names", MFD_CLOEXEC);
    CHECK(store_write(&store, file, before) == 0);
    ssize_t length = pread(file, text, sizeof(text) - 1, 0);
    CHECK(length >= 0);
    text[length] = '\0';
    close(file);
    return text;
}

TEST(an_empty_store) {
    CHECK_TEXT(written(""), "");
    store_drop(&store, "*");
    store_drop(&store, "web/socket");
    store_hand_over(&store, true);
    CHECK(store_records(&store)->count == 0 && store_records(&store)->length == 0);
}

/* Negative numbers are nobody's descriptors: nothing is closed. */
TEST(the_order_stays_whatever_is_dropped) {
    static const int pair[] = {-20, -21};
    CHECK(add("web/socket", -10) == 0);
    CHECK(store_add(&store, "web/sandbox", pair, 2) == 0);
    CHECK(add("db/socket", -30) == 0);
    CHECK(add("web/socket", -11) == 0);
    CHECK(add("webber/socket", -40) == 0);
    CHECK_TEXT(written("fd "), "fd -10 web/socket\nfd -20 web/sandbox\nfd -21 web/sandbox\n"
                               "fd -30 db/socket\nfd -11 web/socket\nfd -40 webber/socket\n");
    store_drop(&store, "web/sock"); /* no name of anybody */
    CHECK(store_records(&store)->count == 6);
    store_drop(&store, "web/socket");
    CHECK_TEXT(written(""), "-20 web/sandbox\n-21 web/sandbox\n-30 db/socket\n-40 webber/socket\n");
    store_drop(&store, "web/*");
    CHECK_TEXT(written(""), "-30 db/socket\n-40 webber/socket\n");
    CHECK(add("web/socket", -12) == 0);
    CHECK_TEXT(written(""), "-30 db/socket\n-40 webber/socket\n-12 web/socket\n");
    store_drop(&store, "*");
    CHECK(store_records(&store)->count == 0 && store_records(&store)->length == 0);
}

TEST(what_comes_one_by_one_takes_no_more_room) {
    static const int all[] = {-1, -2, -3};
    CHECK(store_add(&store, "web/sandbox", all, 3) == 0);
    size_t length = store_records(&store)->length;
    store_drop(&store, "web/sandbox");
    for (size_t i = 0; i < 3; i++)
        CHECK(add("web/sandbox", all[i]) == 0);
    CHECK(store_records(&store)->length == length && store_records(&store)->count == 3);
    CHECK_TEXT(written(""), "-1 web/sandbox\n-2 web/sandbox\n-3 web/sandbox\n");
    /* The last one is not what it was once another is gone. */
    CHECK(add("db/sandbox", -4) == 0);
    store_drop(&store, "db/*");
    CHECK(add("web/sandbox", -5) == 0);
    CHECK(add("db/sandbox", -6) == 0);
    CHECK(add("web/sandbox", -7) == 0);
    CHECK_TEXT(written(""), "-1 web/sandbox\n-2 web/sandbox\n-3 web/sandbox\n-5 web/sandbox\n"
                            "-6 db/sandbox\n-7 web/sandbox\n");
    for (int i = 0; i < 600; i++) /* more than one record counts */
        CHECK(add("web/sandbox", -100 - i) == 0);
    CHECK(store_records(&store)->count == 606);
    store_drop(&store, "web/*");
    CHECK_TEXT(written(""), "-6 db/sandbox\n");
}

TEST(what_is_dropped_is_closed_and_what_is_kept_is_no_childs) {
    int kept = memfd_create("kept", MFD_CLOEXEC), dropped = memfd_create("dropped", MFD_CLOEXEC);
    CHECK(add("a", kept) == 0 && add("b", dropped) == 0);
    store_hand_over(&store, true);
    CHECK(fcntl(kept, F_GETFD) == 0 && fcntl(dropped, F_GETFD) == 0);
    store_hand_over(&store, false);
    CHECK(fcntl(kept, F_GETFD) == FD_CLOEXEC);
    store_drop(&store, "b");
    CHECK(fcntl(kept, F_GETFD) == FD_CLOEXEC);
    CHECK(fcntl(dropped, F_GETFD) < 0 && errno == EBADF);
}

/* A connection whose last words nobody reads, and which lingers for ten seconds when it is closed.
 */
static int lingering(int *ret_peer) {
    static char words[1 << 20];
    const struct linger linger = {.l_onoff = 1, .l_linger = 10};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(listener, (struct sockaddr *)&address, size) == 0 && listen(listener, 1) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &size) == 0);
    CHECK(connect(fd, (struct sockaddr *)&address, size) == 0);
    *ret_peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    CHECK(*ret_peer >= 0);
    while (send(fd, words, sizeof(words), MSG_DONTWAIT) > 0)
        ;
    CHECK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) == 0);
    close(listener);
    return fd;
}

TEST(what_a_service_has_left_lingering_holds_up_nobody) {
    int peer = -1, other = memfd_create("other", MFD_CLOEXEC), fd = lingering(&peer);
    time_t begun = time(NULL);
    CHECK(add("web/store", fd) == 0 && add("web/output", other) == 0);
    store_drop(&store, "web/*");
    CHECK(time(NULL) - begun < 5);
    CHECK(fcntl(fd, F_GETFD) < 0 && fcntl(other, F_GETFD) < 0);
    CHECK(wait(NULL) > 0); /* who held it to the end */
    close(peer);
}

enum { MANY = 2000 };
static volatile sig_atomic_t looks, broken;

/* What a crash at this moment would leave to the next keeper. */
static void look(int number) {
    static char text[1 << 16];
    static const int file = 200;
    unsigned kept = 0, odd = 0, dropped = 0;
    (void)number;
    store_write(&store, file, "");
    ssize_t length = pread(file, text, sizeof(text) - 1, 0);
    text[length > 0 ? length : 0] = '\0';
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        kept += strcmp(line, "-1 keep") == 0;
        dropped += strcmp(line, "-2 drop") == 0;
        odd += strcmp(line, "-1 keep") != 0 && strcmp(line, "-2 drop") != 0;
    }
    broken |= odd > 0 || kept != MANY || dropped > MANY;
    looks++;
    ftruncate(file, 0);
    lseek(file, 0, SEEK_SET);
}

TEST(a_crash_in_the_midst_of_a_change_finds_what_was_before_or_after) {
    CHECK(dup2(memfd_create("looked", MFD_CLOEXEC), 200) == 200);
    for (int i = 0; i < MANY; i++)
        CHECK(add("drop", -2) == 0 && add("keep", -1) == 0);
    CHECK(signal(SIGALRM, look) != SIG_ERR);
    while (looks < 1000 && !broken) {
        const struct itimerval soon = {.it_value.tv_usec = 1 + rand() % 60};
        CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
        store_drop(&store, "drop");
        for (int i = 0; i < MANY; i++)
            CHECK(add("drop", -2) == 0);
    }
    CHECK(!broken);
}

TEST(as_many_as_there_may_be) {
    for (int i = 0; i < STORE_MOST; i++)
        CHECK(add("web/sandbox", -1) == 0);
    CHECK(add("web/sandbox", -1) == -ENOSPC);
    CHECK(store_records(&store)->count == STORE_MOST);
    store_drop(&store, "web/*");
    CHECK(add("web/sandbox", -1) == 0);
}

TEST(as_much_as_there_may_be) {
    char name[257];
    size_t count = 0;
    memset(name, 'x', sizeof(name));
    name[256] = '\0';
    CHECK(add(name, -1) == -ENOSPC);
    name[255] = '\0';
    while (add(name, -1) == 0) {
        name[1] = (char)('a' + count % 2); /* so that each has a record of its own */
        count++;
    }
    CHECK(count == STORE_BYTES / (1 + 255 + sizeof(int)));
    CHECK(store_records(&store)->length <= STORE_BYTES);
    CHECK(add("short", -2) == 0); /* what still fits */
    store_drop(&store, "x*");
    CHECK_TEXT(written(""), "-2 short\n");
}

TEST(a_list_that_cannot_be_written) {
    CHECK(add("web/socket", -1) == 0);
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    CHECK(full >= 0);
    CHECK(store_write(&store, full, "") == -ENOSPC);
}

TEST_MAIN
