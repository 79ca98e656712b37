#include "supervisor/keeper/machine/watchdog.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/watchdog.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "supervisor/keeper/plain.h"
#include "units/base/scoped.h"

#define DEVICE "/dev/watchdog"

/* A "V" before the close is the kernel's sign that it is meant; without it the device stays armed,
 * as it does over an exec of the keeper. */
static void disarm(struct watchdog *watchdog) {
    if (watchdog->fd >= 0 && write(watchdog->fd, "V", 1) < 0)
        say("cannot disarm \"" DEVICE "\": %s", strerror(errno));
    watchdog->fd = close_fd(watchdog->fd);
}

static void set_timeout(const struct watchdog *watchdog) {
    int timeout = (int)watchdog->seconds;
    if (ioctl(watchdog->fd, WDIOC_SETTIMEOUT, &timeout) == 0)
        return;
    int error = errno;
    if (ioctl(watchdog->fd, WDIOC_GETTIMEOUT, &timeout) < 0)
        timeout = 0;
    say("\"" DEVICE "\" does not take a timeout of %u s: %s; its own is %d s", watchdog->seconds,
        strerror(error), timeout);
}

static int try_open(struct watchdog *watchdog) {
    watchdog->fd = open(DEVICE, O_WRONLY | O_CLOEXEC);
    if (watchdog->fd < 0)
        return -errno;
    set_timeout(watchdog);
    return 0;
}

void watchdog_arm(struct watchdog *watchdog, unsigned seconds) {
    watchdog->seconds = seconds;
    if (seconds == 0)
        disarm(watchdog);
    else if (watchdog->fd >= 0)
        set_timeout(watchdog);
    else if (try_open(watchdog) < 0)
        say("cannot open \"" DEVICE "\": %s; it is tried again", strerror(errno));
}

void watchdog_feed(struct watchdog *watchdog) {
    if (watchdog->seconds && watchdog->fd < 0)
        try_open(watchdog);
    if (watchdog->fd >= 0)
        ioctl(watchdog->fd, WDIOC_KEEPALIVE, 0);
}
