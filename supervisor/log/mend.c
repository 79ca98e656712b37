#include "supervisor/log/mend.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/log/record.h"
#include "units/base/fault.h"
#include "units/base/scoped.h"
#include "units/base/text.h"

enum { RECORD_MOST = 2 << 20 }; /* bytes; none is as long */

static bool is_data(char byte) {
    return byte != '\0';
}

static bool is_newline(char byte) {
    return byte == '\n';
}

/* The offset behind the last such byte before `end`; 0 where there is none. */
static int find_back(int fd, off_t end, bool (*is_sought)(char), off_t *ret_offset) {
    char block[4096];
    while (end > 0) {
        off_t start = (end - 1) / (off_t)sizeof block * (off_t)sizeof block;
        ssize_t length = pread(fd, block, (size_t)(end - start), start);
        if (length <= 0)
            return length < 0 ? -errno : -EIO;
        for (ssize_t i = length - 1; i >= 0; i--)
            if (is_sought(block[i])) {
                *ret_offset = start + i + 1;
                return 0;
            }
        end = start;
    }
    *ret_offset = 0;
    return 0;
}

/* A record of which the end is not there: the same as a partial one, or nothing. */
static int read_torn(int fd, off_t start, off_t end, struct text *record) {
    struct log_record torn;
    size_t length = (size_t)(end - start);
    if (length > RECORD_MOST)
        return 0;
    scoped_free char *bytes = malloc(length + 1);
    if (!bytes)
        return -ENOMEM;
    ssize_t count = pread(fd, bytes, length, start);
    if (count < 0)
        return -errno;
    if (log_record_parse(bytes, (size_t)count, &torn) < 0)
        return 0;
    torn.partial = true;
    log_record_write(record, &torn);
    return record->failed ? -ENOMEM : 0;
}

int log_mend(int fd, const char *path, struct fault *fault) {
    scoped_text struct text record = {0};
    struct stat status;
    off_t start = 0, end = 0;
    int error = fstat(fd, &status) < 0 ? -errno : 0;
    if (!error)
        error = find_back(fd, status.st_size, is_data, &end);
    if (!error)
        error = find_back(fd, end, is_newline, &start);
    if (!error && start == status.st_size)
        return 0;
    if (!error)
        error = read_torn(fd, start, end, &record);
    if (error)
        return fault_set(fault, error, "cannot read the log file \"%s\"", path);
    if (ftruncate(fd, start) < 0)
        return fault_set(fault, errno, "cannot cut the log file \"%s\"", path);
    if (record.length > 0 && write(fd, record.data, record.length) < 0)
        return fault_set(fault, errno, "cannot write the log file \"%s\"", path);
    return 0;
}
