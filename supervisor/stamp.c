#include "supervisor/stamp.h"

#include <fcntl.h>
#include <string.h>

#include "supervisor/log.h"
#include "supervisor/manager.h"
#include "units/base/file.h"
#include "units/base/number.h"

#define DIRECTORY "timers"
#define STAMP_MAX ((size_t)64) /* bytes of a file */

/* ---- files of one line ---- */

static char *path_of(const char *parent, const char *name) {
    char *path = NULL;
    return asprintf(&path, "%s/" DIRECTORY "%s%s", parent, *name ? "/" : "", name) < 0 ? NULL
                                                                                       : path;
}

static int read_line(const char *path, char **ret_line, struct fault *fault) {
    int error = file_read(AT_FDCWD, path, STAMP_MAX, ret_line, NULL, fault);
    if (error >= 0)
        (*ret_line)[strcspn(*ret_line, "\n")] = '\0';
    return error;
}

static int write_line(const char *parent, const char *name, const char *value,
                      struct fault *fault) {
    scoped_free char *directory = path_of(parent, ""), *path = path_of(parent, name);
    if (!directory || !path)
        return fault_set(fault, ENOMEM, "cannot keep the timer of %s", name);
    char line[STAMP_MAX + 1];
    int length = snprintf(line, sizeof(line), "%s\n", value);
    int error = directory_make(AT_FDCWD, directory, 0700, fault);
    return error < 0 ? error
                     : file_replace(AT_FDCWD, path, line, (size_t)length, 0600, false, fault);
}

/* ---- how far a timer has come ---- */

static bool parse(char *line, struct stamp *ret_stamp) {
    struct stamp stamp;
    char *second = line, *first = strsep(&second, " ");
    if (number_parse(first, &stamp.done) < 0 ||
        number_parse(second ? second : first, &stamp.last) < 0 || stamp.done > INT64_MAX ||
        stamp.last > INT64_MAX)
        return false;
    *ret_stamp = stamp;
    return true;
}

int stamp_read(const struct manager *manager, const char *name, struct stamp *ret_stamp,
               struct fault *fault) {
    scoped_free char *path = path_of(manager->options.state_directory, name), *line = NULL;
    if (!path)
        return fault_set(fault, ENOMEM, "cannot read the timer of %s", name);
    int error = read_line(path, &line, fault);
    if (error < 0)
        return error;
    if (!*line) /* a power cut kept the file, and not what was written to it */
        return -ENOENT;
    return parse(line, ret_stamp)
               ? 0
               : fault_say(fault, EINVAL, "\"%s\" holds no time in microseconds", path);
}

int stamp_write(const struct manager *manager, const char *name, const struct stamp *stamp,
                struct fault *fault) {
    char value[STAMP_MAX];
    snprintf(value, sizeof(value), "%llu %llu", (unsigned long long)stamp->done,
             (unsigned long long)stamp->last);
    return write_line(manager->options.state_directory, name, value, fault);
}

int stamp_remove(const struct manager *manager, const char *name, struct fault *fault) {
    scoped_free char *path = path_of(manager->options.state_directory, name);
    if (!path)
        return fault_set(fault, ENOMEM, "cannot forget the timer of %s", name);
    if (unlink(path) < 0 && errno != ENOENT)
        return fault_set(fault, errno, "cannot remove \"%s\"", path);
    return 0;
}

/* ---- that it has come since the boot ---- */

static char *boot_id(void) {
    char *id = NULL;
    return read_line("/proc/sys/kernel/random/boot_id", &id, NULL) < 0 ? NULL : id;
}

bool stamp_has_booted(const struct manager *manager, const char *name) {
    scoped_free char *path = path_of(manager->options.runtime_directory, name);
    scoped_free char *now = boot_id(), *then = NULL;
    return path && now && read_line(path, &then, NULL) >= 0 && strcmp(now, then) == 0;
}

int stamp_set_booted(const struct manager *manager, const char *name, struct fault *fault) {
    scoped_free char *id = boot_id();
    return write_line(manager->options.runtime_directory, name, id ? id : "", fault);
}

void stamp_forget_boot(const struct manager *manager) {
    scoped_free char *path = path_of(manager->options.runtime_directory, "");
    struct fault fault = {{0}};
    if (path && directory_remove(AT_FDCWD, path, &fault) < 0)
        log_line(LEVEL_WARNING, "%s", fault.text);
}
