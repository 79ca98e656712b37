#include "runtime/streams.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "units/base/fault.h"
#include "units/base/scoped.h"

#define FIRST 3 /* SD_LISTEN_FDS_START of sd_listen_fds(3) */

/* The first number that no socket gets. */
static int end_of_sockets(const struct streams *streams) {
    return FIRST + (int)streams->listen_count;
}

/* A copy that is in nobody's way. */
static int move_away(const struct streams *streams, int *fd) {
    int copy = fcntl(*fd, F_DUPFD_CLOEXEC, end_of_sockets(streams));
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
    for (size_t i = 0; i < streams->listen_count && !error; i++)
        error = move_away(streams, &streams->listen[i]);
    if (!error && streams->ready >= 0)
        error = move_away(streams, &streams->ready);
    if (error)
        return fault_set(fault, error, "cannot copy a descriptor");
    for (int i = 0; i < 3; i++)
        if (dup2(streams->standard[i], i) < 0)
            return fault_set(fault, errno, "cannot make descriptor %d", i);
    return 0;
}

int streams_take_terminal(struct fault *fault) {
    if (ioctl(STDIN_FILENO, TIOCSCTTY, 0) < 0)
        return fault_set(fault, errno, "cannot take the controlling terminal");
    return 0;
}

/* The lowest of the kept ones that is at least `from`; UINT_MAX where there is none. */
static unsigned next_kept(const int *kept, size_t count, unsigned from) {
    unsigned lowest = UINT_MAX;
    for (size_t i = 0; i < count; i++)
        if (kept[i] >= 0 && (unsigned)kept[i] >= from && (unsigned)kept[i] < lowest)
            lowest = (unsigned)kept[i];
    return lowest;
}

int streams_keep(unsigned from, const int *kept, size_t count, struct fault *fault) {
    for (;;) {
        unsigned next = next_kept(kept, count, from);
        unsigned last = next == UINT_MAX ? UINT_MAX : next - 1;
        if (from <= last && close_range(from, last, 0) < 0)
            return fault_set(fault, errno, "cannot close descriptors");
        if (next == UINT_MAX)
            return 0;
        from = next + 1;
    }
}

int streams_finish(const struct streams *streams, struct fault *fault) {
    for (size_t i = 0; i < streams->listen_count; i++)
        if (dup2(streams->listen[i], FIRST + (int)i) < 0)
            return fault_set(fault, errno, "cannot make descriptor %d", FIRST + (int)i);
    if (streams->ready >= 0 && dup2(streams->ready, streams->ready_number) < 0)
        return fault_set(fault, errno, "cannot make descriptor %d", streams->ready_number);
    const int kept[] = {streams->ready >= 0 ? streams->ready_number : -1, streams->report};
    return streams_keep((unsigned)end_of_sockets(streams), kept, ELEMENTS(kept), fault);
}
