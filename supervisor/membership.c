#include "supervisor/membership.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "units/base/file.h"
#include "units/base/scoped.h"

#define PROC_FILE_MAX 65536

static int read_proc(pid_t pid, const char *file, char **ret_data) {
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
    int error = file_read(AT_FDCWD, path, PROC_FILE_MAX, ret_data, NULL, NULL);
    return error == -ENOENT ? -ESRCH : error;
}

/* The line after `prefix`, cut at its end; NULL. */
static char *find_line(char *data, const char *prefix) {
    size_t length = strlen(prefix);
    for (char *line = data; line && *line; line = strchr(line, '\n'), line += line ? 1 : 0)
        if (strncmp(line, prefix, length) == 0) {
            line[strcspn(line, "\n")] = '\0';
            return line + length;
        }
    return NULL;
}

static bool ends_with(const char *text, const char *end, size_t length) {
    size_t whole = strlen(text);
    return whole >= length && memcmp(text + whole - length, end, length) == 0;
}

/* /proc tells the path from the root of the hierarchy, the unit's directory has the mount point
 * before it: somewhere in the one must be what the other ends with. */
static bool lies_below(const char *path, const char *cgroup) {
    const char *name = strrchr(cgroup, '/');
    size_t length = name ? strlen(name) : 0;
    if (length < 2)
        return false;
    for (const char *at = path; (at = strstr(at, name)); at++)
        if ((at[length] == '/' || at[length] == '\0') &&
            ends_with(cgroup, path, (size_t)(at - path) + length))
            return true;
    return false;
}

int membership_of(const char *cgroup, pid_t pid) {
    scoped_free char *data = NULL;
    int error = read_proc(pid, "cgroup", &data);
    if (error < 0)
        return error;
    const char *path = find_line(data, "0::");
    return path && lies_below(path, cgroup);
}

pid_t membership_inside(pid_t pid) {
    scoped_free char *data = NULL;
    if (read_proc(pid, "status", &data) < 0)
        return 0;
    const char *list = find_line(data, "NSpid:");
    const char *last = list ? strrchr(list, '\t') : NULL;
    return last ? (pid_t)strtol(last + 1, NULL, 10) : 0;
}

pid_t membership_of_pidfd(int pidfd) {
    scoped_free char *data = NULL;
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
    if (file_read(AT_FDCWD, path, PROC_FILE_MAX, &data, NULL, NULL) < 0)
        return 0;
    const char *pid = find_line(data, "Pid:\t");
    long number = pid ? strtol(pid, NULL, 10) : 0;
    return number > 0 ? (pid_t)number : 0;
}

static bool same_namespace(pid_t one, pid_t other) {
    char path[2][64];
    struct stat file[2];
    snprintf(path[0], sizeof(path[0]), "/proc/%d/ns/pid", (int)one);
    snprintf(path[1], sizeof(path[1]), "/proc/%d/ns/pid", (int)other);
    return stat(path[0], &file[0]) == 0 && stat(path[1], &file[1]) == 0 &&
           file[0].st_ino == file[1].st_ino && file[0].st_dev == file[1].st_dev;
}

static bool is_wanted(pid_t pid, pid_t sender, pid_t theirs) {
    return membership_inside(pid) == theirs && same_namespace(pid, sender);
}

int membership_translate(const char *cgroup, pid_t sender, pid_t theirs, pid_t *ret_pid,
                         int *ret_pidfd) {
    scoped_free char *data = NULL, *path = NULL;
    if (asprintf(&path, "%s/main/cgroup.procs", cgroup) < 0) {
        path = NULL;
        return -ENOMEM;
    }
    int error = file_read(AT_FDCWD, path, PROC_FILE_MAX, &data, NULL, NULL);
    if (error < 0)
        return error;
    char *rest = data;
    for (char *line; (line = strsep(&rest, "\n")) && *line;) {
        pid_t pid = (pid_t)strtol(line, NULL, 10);
        if (pid <= 0 || !is_wanted(pid, sender, theirs))
            continue;
        scoped_fd int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        /* Looked at again while it is held: the number may have changed hands. */
        if (pidfd < 0 || !is_wanted(pid, sender, theirs) || membership_of(cgroup, pid) != 1)
            return -ESRCH;
        *ret_pid = pid;
        *ret_pidfd = take_fd(&pidfd);
        return 0;
    }
    return -ESRCH;
}
