#pragma once
/* Descriptors that a program keeps with the manager over its restarts (FDSTORE=1 of sd_notify(3)).
 * notify.c fills it, the launch of a run hands them out, a stop drops them. */

#include <stdbool.h>
#include <stddef.h>

struct fd_store;
struct service;
struct text;

#define FD_STORE_MAX 128      /* of one unit */
#define FD_STORE_NAME_MAX 255 /* bytes, as systemd has it */

/* *store is made with the first one. 1: the descriptor is taken over; 0: it is there already,
 * -errno: -E2BIG where the store is full, -ENOTSUP where it is a file or a directory; then it is
 * still the caller's. With `polled` it is dropped when it hangs up. */
int fd_store_add(struct fd_store **store, struct service *service, int fd, const char *name,
                 bool polled);
void fd_store_remove(struct fd_store *store, const char *name); /* accepts NULL */

/* For a later manager: the names with a ":" in between, each behind a "+" where it is polled and a
 * "-" where it is not; and the store made again of the descriptors that the keeper had, which are
 * consumed. */
void fd_store_describe(const struct fd_store *store, struct text *text); /* accepts NULL */
size_t fd_store_take(struct service *service, int ret_fds[static FD_STORE_MAX]);
void fd_store_restore(struct fd_store **store, struct service *service, const char *names,
                      const int *fds, size_t count);

size_t fd_store_count(const struct fd_store *store); /* accepts NULL */
int fd_store_at(const struct fd_store *store, size_t index, const char **ret_name);
void fd_store_free(struct fd_store *store); /* closes them; accepts NULL */
