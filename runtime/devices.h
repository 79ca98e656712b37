#pragma once
/* Device nodes that are trusted by their number, never by their name alone. Called by the sandbox,
 * and by the helpers of builds and runs. */

#include <stddef.h>
#include <sys/stat.h>

#include "units/spec.h"

struct fault;

/* A device of the host that a unit is given. */
struct device_node {
    const char *path; /* the container's */
    struct stat status;
    bool read, write, make;
};

/* What the container asks for, as it is on the host now. The caller frees the array; NULL where
 * there is none. -ENODEV where a path is no device. */
int devices_find(const struct container *container, struct device_node **ret_nodes,
                 struct fault *fault);

/* /dev/null of the host: a character device 1:3, or an error. flags as of open(2). */
int devices_open_null(int flags, struct fault *fault);
