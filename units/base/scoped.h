#pragma once
/* Things that end with the block that declared them. Everybody who owns something uses it.
 *
 *     scoped_fd int fd = open(...);
 *     scoped_free char *copy = strdup(...);
 *     scoped(unit_unref) struct unit *unit = NULL;
 *     return take(copy);
 *
 * All of them keep errno. A destructor named in scoped() takes one pointer and accepts NULL. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Declares the cleanup of one destructor: SCOPED(unit_unref, struct unit *) beside its prototype.
 */
#define SCOPED(destructor, type)                                                                   \
    static inline void scoped_##destructor(type *owner) {                                          \
        int saved = errno;                                                                         \
        destructor(*owner);                                                                        \
        errno = saved;                                                                             \
    }

#define scoped(destructor) __attribute__((cleanup(scoped_##destructor)))
#define scoped_free __attribute__((cleanup(scoped_free_)))
#define scoped_fd __attribute__((cleanup(scoped_fd_)))
#define scoped_file __attribute__((cleanup(scoped_file_)))

/* Hands a pointer over: its value, and NULL stays behind. */
#define take(pointer)                                                                              \
    ({                                                                                             \
        __typeof__(pointer) *taken_from_ = &(pointer);                                             \
        __typeof__(pointer) taken_ = *taken_from_;                                                 \
        *taken_from_ = NULL;                                                                       \
        taken_;                                                                                    \
    })

/* Hands a descriptor over: its value, and -EBADF stays behind. */
static inline int take_fd(int *fd) {
    int taken = *fd;
    *fd = -EBADF;
    return taken;
}

/* Closes what is open, tolerates what is not; returns -EBADF to store in its place. */
static inline int close_fd(int fd) {
    if (fd >= 0) {
        int saved = errno;
        close(fd);
        errno = saved;
    }
    return -EBADF;
}

static inline void scoped_free_(void *owner) {
    void **pointer = owner;
    int saved = errno;
    free(*pointer);
    errno = saved;
}

static inline void scoped_fd_(int *fd) {
    *fd = close_fd(*fd);
}

static inline void scoped_file_(FILE **file) {
    int saved = errno;
    if (*file)
        fclose(*file);
    errno = saved;
}

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))
