#pragma once
/* One sentence about a failure, written where it happened, for a person to read. */

#include <stdarg.h>

#define FAULT_SIZE 1024 /* a sentence with two paths in it; what is longer is cut */

struct fault {
    char text[FAULT_SIZE];
};

/* Both return -|error|, so that a caller writes `return fault_set(fault, errno, "cannot ...")`.
 * A NULL fault is allowed: then only the number is told. Neither allocates nor changes errno. */

/* The sentence, then ": " and what the error number means. */
int fault_set(struct fault *fault, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The sentence alone, where the error number would add nothing. */
int fault_say(struct fault *fault, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "context: " before the sentence that is there; returns error unchanged. */
int fault_prefix(struct fault *fault, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
