#include "units/base/fault.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int negative(int error) {
    return error > 0 ? -error : error;
}

/* vsnprintf says how long the text would have been; what fits is what we have. */
static size_t written(int length) {
    if (length < 0)
        return 0;
    return (size_t)length < FAULT_SIZE ? (size_t)length : FAULT_SIZE - 1;
}

int fault_set(struct fault *fault, int error, const char *format, ...) {
    if (fault) {
        int saved = errno;
        va_list arguments;
        va_start(arguments, format);
        size_t length = written(vsnprintf(fault->text, FAULT_SIZE, format, arguments));
        va_end(arguments);
        /* strerrordesc_np is a table look-up: safe in a forked child, no locale. */
        const char *meaning = strerrordesc_np(abs(error));
        snprintf(fault->text + length, FAULT_SIZE - length, ": %s",
                 meaning ? meaning : "unknown error");
        errno = saved;
    }
    return negative(error);
}

int fault_say(struct fault *fault, int error, const char *format, ...) {
    if (fault) {
        int saved = errno;
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(fault->text, FAULT_SIZE, format, arguments);
        va_end(arguments);
        errno = saved;
    }
    return negative(error);
}

int fault_prefix(struct fault *fault, int error, const char *format, ...) {
    if (fault) {
        int saved = errno;
        char rest[FAULT_SIZE];
        memcpy(rest, fault->text, FAULT_SIZE);
        va_list arguments;
        va_start(arguments, format);
        size_t length = written(vsnprintf(fault->text, FAULT_SIZE, format, arguments));
        va_end(arguments);
        snprintf(fault->text + length, FAULT_SIZE - length, ": %s", rest);
        errno = saved;
    }
    return error;
}
