#include "supervisor/fd-store.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "supervisor/keeper/protocol.h"
#include "supervisor/service.h"
#include "supervisor/state.h"
#include "supervisor/world.h"
#include "units/base/foreign.h"
#include "units/base/scoped.h"
#include "units/base/text.h"

#define KEPT KEEPER_FOREIGN /* the keeper's copies, in the order of ours */

struct item {
    struct fd_store *store;
    int fd;
    char *name;
    struct watch *watch; /* NULL: not polled */
};

struct fd_store {
    struct service *service;
    struct item *items[FD_STORE_MAX]; /* in the order of their coming */
    size_t count;
};

/* Its descriptor is left open. */
static int item_free(struct item *item) {
    int fd = item->fd;
    watch_close(item->watch);
    free(item->name);
    free(item);
    return fd;
}

/* The keeper has one name for all. */
static void keep_again(const struct fd_store *store) {
    int fds[FD_STORE_MAX];
    for (size_t i = 0; i < store->count; i++)
        fds[i] = store->items[i]->fd;
    state_release(store->service, KEPT);
    if (store->count > 0)
        state_hold(store->service, KEPT, fds, store->count);
}

static void drop(struct fd_store *store, size_t index) {
    int fd = item_free(store->items[index]);
    foreign_close(&fd, 1);
    store->count--;
    memmove(&store->items[index], &store->items[index + 1],
            (store->count - index) * sizeof(struct item *));
}

/* Nobody is at the other end any more: it is of no use to a later run. */
static void hung_up(void *context) {
    struct item *item = context;
    struct fd_store *store = item->store;
    for (size_t i = 0; i < store->count; i++)
        if (store->items[i] == item) {
            drop(store, i);
            keep_again(store);
            return;
        }
}

/* Two numbers of one open file: told by the kernel where it has kcmp(2). */
static bool is_same(int one, int other) {
    pid_t self = getpid();
    return syscall(SYS_kcmp, self, self, KCMP_FILE, one, other) == 0;
}

/* Neither exec(2) nor epoll may have to wait for what we keep (foreign.h). Whoever serves the file
 * is not asked what it is. */
static bool is_kept(int fd) {
    struct statx status;
    if (!foreign_is_file(fd))
        return true;
    return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &status) == 0 &&
           S_ISCHR(status.stx_mode);
}

static int make(struct fd_store **store, struct service *service) {
    if (*store)
        return 0;
    *store = calloc(1, sizeof(**store));
    if (!*store)
        return -ENOMEM;
    (*store)->service = service;
    return 0;
}

static int append(struct fd_store *store, int fd, const char *name, bool polled) {
    struct item *item = malloc(sizeof(*item));
    char *copy = strdup(name);
    if (!item || !copy) {
        free(item);
        free(copy);
        return -ENOMEM;
    }
    *item = (struct item){.store = store, .fd = fd, .name = copy};
    /* What epoll cannot watch (a file of a disk) cannot hang up. */
    if (polled && watch_open(store->service->manager, item->fd, EPOLLHUP, WATCH_CGROUP, hung_up,
                             item, &item->watch) < 0)
        item->watch = NULL;
    store->items[store->count++] = item;
    return 1;
}

int fd_store_add(struct fd_store **store, struct service *service, int fd, const char *name,
                 bool polled) {
    if (make(store, service) < 0)
        return -ENOMEM;
    if ((*store)->count == FD_STORE_MAX) /* before the costly search, for the sake of a flood */
        return -E2BIG;
    if (!is_kept(fd))
        return -ENOTSUP;
    for (size_t i = 0; i < (*store)->count; i++)
        if (is_same((*store)->items[i]->fd, fd))
            return 0;
    int error = append(*store, fd, name, polled);
    if (error > 0)
        state_hold(service, KEPT, &fd, 1);
    return error;
}

void fd_store_remove(struct fd_store *store, const char *name) {
    size_t before = store ? store->count : 0;
    for (size_t i = before; i-- > 0;)
        if (strcmp(store->items[i]->name, name) == 0)
            drop(store, i);
    if (store && store->count != before)
        keep_again(store);
}

void fd_store_describe(const struct fd_store *store, struct text *text) {
    for (size_t i = 0; store && i < store->count; i++)
        text_format(text, "%s%c%s", i ? ":" : "", store->items[i]->watch ? '+' : '-',
                    store->items[i]->name);
}

size_t fd_store_take(struct service *service, int ret_fds[static FD_STORE_MAX]) {
    return state_take(service, KEPT, ret_fds, FD_STORE_MAX);
}

/* More came than there are names of where a manager died before it had written them down: then the
 * message that brought the others is in the socket still, and brings them again. */
void fd_store_restore(struct fd_store **store, struct service *service, const char *names,
                      const int *fds, size_t count) {
    scoped_free char *copy = names ? strdup(names) : NULL;
    char *rest = copy;
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        const char *name = rest ? strsep(&rest, ":") : "";
        if (kept < FD_STORE_MAX && *name && make(store, service) >= 0 &&
            append(*store, fds[i], name + 1, *name == '+') > 0) {
            kept++;
            continue;
        }
        int fd = fds[i];
        foreign_close(&fd, 1);
    }
    if (*store && kept < count)
        keep_again(*store);
    else if (kept < count)
        state_release(service, KEPT);
}

size_t fd_store_count(const struct fd_store *store) {
    return store ? store->count : 0;
}

int fd_store_at(const struct fd_store *store, size_t index, const char **ret_name) {
    *ret_name = store->items[index]->name;
    return store->items[index]->fd;
}

void fd_store_free(struct fd_store *store) {
    if (!store)
        return;
    int descriptors[FD_STORE_MAX];
    state_release(store->service, KEPT);
    for (size_t i = 0; i < store->count; i++)
        descriptors[i] = item_free(store->items[i]);
    foreign_close(descriptors, store->count);
    free(store);
}
