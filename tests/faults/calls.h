#pragma once
/* The system calls that may fail for want of something, each with the errors that fit it. Read by
 * the injector, which counts and fails them, and by faults.c, which walks through all of them. */

#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>

#define ERRORS_MAX 6
#define CALLS_MAX 128 /* rows */

struct call {
    int number; /* SYS_* */
    const char *name;
    bool (*applies)(const struct seccomp_data *data); /* NULL: always */
    short path;               /* which argument is a path; 0: none, else its number from 1 */
    short errors[ERRORS_MAX]; /* ended by 0 where there are fewer */
};

extern const struct call calls[];
extern const size_t calls_count;

/* The first row of that call. NULL: it is not of interest. */
const struct call *call_find(const struct seccomp_data *data);
