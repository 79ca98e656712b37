#include "supervisor/device/uevents.h"

#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "units/base/scoped.h"

enum {
    FROM_KERNEL = 1, /* multicast groups; udev's links below /dev come later than the device */
    FROM_UDEV = 2,
    LOOK_AGAIN = 1000
};

int uevents_open(void) {
    const struct sockaddr_nl address = {.nl_family = AF_NETLINK,
                                        .nl_groups = FROM_KERNEL | FROM_UDEV};
    scoped_fd int fd =
        socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) < 0)
        return -errno;
    return take_fd(&fd);
}

/* Reads all that is there. What was lost for want of room (ENOBUFS) may have been it. */
static bool tells_of_block(int fd) {
    static const char wanted[] = "SUBSYSTEM=block"; /* each word ends in a zero byte */
    char message[8192];
    bool told = false;
    for (;;) {
        ssize_t length = recv(fd, message, sizeof message, MSG_DONTWAIT);
        if (length < 0 && errno != ENOBUFS && errno != EINTR)
            return told;
        told |= length < 0 ? errno == ENOBUFS
                           : memmem(message, (size_t)length, wanted, sizeof wanted) != NULL;
    }
}

static int64_t milliseconds_now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

void uevents_await(int fd, int milliseconds) {
    if (fd < 0 && (milliseconds < 0 || milliseconds > LOOK_AGAIN))
        milliseconds = LOOK_AGAIN;
    struct pollfd polled = {fd, POLLIN, 0};
    int64_t end = milliseconds_now() + milliseconds;
    do {
        int64_t left = end - milliseconds_now();
        int wait = milliseconds < 0 ? -1 : left > 0 ? (int)left : 0;
        if (poll(&polled, 1, wait) == 0 || (polled.revents && tells_of_block(fd)))
            return;
    } while (milliseconds < 0 || milliseconds_now() < end);
}
