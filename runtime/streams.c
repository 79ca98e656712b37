#include "runtime/streams.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "units/base/fault.h"

/* A copy that is in nobody's way. */
static int move_away(const struct streams *streams, int *fd) {
    int copy = fcntl(*fd, F_DUPFD_CLOEXEC, 3);
    if (copy >= 0 && copy == streams->ready_number) /* the next one is another; this one goes */
        copy = fcntl(*fd, F_DUPFD_CLOEXEC, copy + 1);
    if (copy < 0)
        return -errno;
    *fd = copy;
    return 0;
}

int streams_place(struct streams *streams, struct fault *fault) {
    int error = move_away(streams, &streams->report);
    for (int i = 0; i < 3 && !error; i++)
        error = move_away(streams, &streams->standard[i]);
    if (!error && streams->ready >= 0)
        error = move_away(streams, &streams->ready);
    if (error)
        return fault_set(fault, error, "cannot copy a descriptor");
    for (int i = 0; i < 3; i++)
        if (dup2(streams->standard[i], i) < 0)
            return fault_set(fault, errno, "cannot make descriptor %d", i);
    if (streams->ready >= 0 && dup2(streams->ready, streams->ready_number) < 0)
        return fault_set(fault, errno, "cannot make descriptor %d", streams->ready_number);
    return 0;
}

int streams_take_terminal(struct fault *fault) {
    if (ioctl(STDIN_FILENO, TIOCSCTTY, 0) < 0)
        return fault_set(fault, errno, "cannot take the controlling terminal");
    return 0;
}

int streams_close_others(const struct streams *streams, struct fault *fault) {
    int low = streams->ready >= 0 ? streams->ready_number : streams->report;
    int high = streams->report;
    if (low > high) {
        high = low;
        low = streams->report;
    }
    /* Between 2, low, high and the end; an empty stretch is EINVAL and is left out. */
    const struct {
        unsigned first, last;
    } gaps[] = {{3, (unsigned)low - 1},
                {(unsigned)low + 1, (unsigned)high - 1},
                {(unsigned)high + 1, UINT_MAX}};
    for (size_t i = 0; i < sizeof gaps / sizeof gaps[0]; i++)
        if (gaps[i].first <= gaps[i].last && close_range(gaps[i].first, gaps[i].last, 0) < 0)
            return fault_set(fault, errno, "cannot close descriptors");
    return 0;
}
