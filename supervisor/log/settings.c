#include "supervisor/log/settings.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "units/base/fault.h"
#include "units/base/file.h"
#include "units/base/number.h"
#include "units/base/scoped.h"

enum {
    SETTINGS_MOST = 4096, /* bytes of the file */
    VALUE_MOST = 24,      /* bytes of a value */
    LINE_MOST = 1 << 20   /* of max_line: the ledger holds a line of that length */
};

const struct settings settings_usual = {SINKS, {10 << 20, 3, 64 << 10}, 0, 0};

static const struct number {
    const char *key;
    uint64_t least, most;
} numbers[] = {
    {"max_size", 1, UINT64_MAX}, {"max_files", 1, 10000},
    {"max_line", 1, LINE_MOST},  {"rate", 0, UINT64_MAX}, /* lines; 0: no limit */
    {"interval", 1, UINT64_MAX},                          /* ms in which they may come */
};
enum { MAX_SIZE, MAX_FILES, MAX_LINE, RATE, INTERVAL };
static_assert(ELEMENTS(numbers) == INTERVAL + 1, "a row for every number");

/* The value of the line `key=VALUE`. */
static bool find(const char *text, const char *key, char ret_value[static VALUE_MOST]) {
    size_t length = strlen(key);
    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        size_t size = strcspn(line, "\n");
        if (size <= length || strncmp(line, key, length) != 0 || line[length] != '=')
            continue;
        size -= length + 1;
        if (size >= VALUE_MOST)
            return false;
        memcpy(ret_value, line + length + 1, size);
        ret_value[size] = '\0';
        return true;
    }
    return false;
}

static int find_driver(const char *text, size_t *ret_driver) {
    char word[VALUE_MOST];
    if (!find(text, "driver", word))
        return -EINVAL;
    size_t driver = 0;
    while (driver < SINKS && strcmp(word, sink_kinds[driver].word) != 0)
        driver++;
    *ret_driver = driver;
    return driver == SINKS && strcmp(word, "file") != 0 ? -EINVAL : 0;
}

int settings_parse(const char *text, struct settings *ret_settings, struct fault *fault) {
    uint64_t values[ELEMENTS(numbers)];
    char value[VALUE_MOST];
    struct settings settings;
    if (find_driver(text, &settings.driver) < 0)
        return fault_say(fault, EINVAL, "no usable driver in its settings");
    for (size_t i = 0; i < ELEMENTS(numbers); i++)
        if (!find(text, numbers[i].key, value) || number_parse(value, &values[i]) < 0 ||
            values[i] < numbers[i].least || values[i] > numbers[i].most)
            return fault_say(fault, EINVAL, "no usable %s in its settings", numbers[i].key);
    settings.limits = (struct log_limits){values[MAX_SIZE], (unsigned)values[MAX_FILES],
                                          (size_t)values[MAX_LINE]};
    if (settings.driver < SINKS && settings.limits.max_line > sink_kinds[settings.driver].line_most)
        settings.limits.max_line = sink_kinds[settings.driver].line_most;
    settings.rate = values[RATE];
    settings.interval = values[INTERVAL];
    *ret_settings = settings;
    return 0;
}

int settings_read(int directory, struct settings *ret_settings, struct fault *fault) {
    scoped_free char *text = NULL;
    int error = file_read(directory, SETTINGS_FILE, SETTINGS_MOST, &text, NULL, fault);
    return error ? error : settings_parse(text, ret_settings, fault);
}

/* Up to two digits' worth of blanks may follow each number: the file never changes its length. */
int writers_parse(const char *text, struct writers *ret_writers) {
    pid_t pids[2];
    for (size_t i = 0; i < ELEMENTS(pids); i++) {
        char digits[VALUE_MOST] = "";
        uint64_t number;
        size_t length = strspn(text, "0123456789");
        if (length >= sizeof digits)
            return -EBADMSG;
        memcpy(digits, text, length);
        if (number_parse(digits, &number) < 0 || number > INT32_MAX)
            return -EBADMSG;
        pids[i] = (pid_t)number;
        text += length;
        text += strspn(text, " ");
    }
    if (strcmp(text, "\n") != 0)
        return -EBADMSG;
    *ret_writers = (struct writers){pids[0], pids[1]};
    return 0;
}

/* Read while it is written, it may be torn: then it is no two numbers, or the news of the write
 * that comes right after it has it read again. */
int writers_read(int directory, struct writers *ret_writers) {
    char text[64];
    scoped_fd int fd =
        openat(directory, WRITERS_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (length < 0)
        return -errno;
    text[length] = '\0';
    return writers_parse(text, ret_writers);
}
