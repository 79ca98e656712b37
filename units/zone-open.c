#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "units/base/fault.h"
#include "units/base/names.h"
#include "units/zone.h"

#define DATABASE "/usr/share/zoneinfo"
#define LOCAL "/etc/localtime"
#define ENTRIES_MOST 512 /* of a directory, when a name is guessed; the largest has 180 */
#define DEPTH_MOST 4     /* "America/Argentina/Ushuaia" has 3 */

/* ---- the file ---- */

/* Below a directory, which links of the database do not leave, or anywhere with AT_FDCWD:
 * /etc/localtime is a link itself. */
static int file_open(int directory, const char *path) {
    struct open_how how = {
        .flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
        .resolve = RESOLVE_NO_MAGICLINKS | (directory == AT_FDCWD ? 0 : RESOLVE_BENEATH),
    };
    int fd = (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
    return fd < 0 ? -errno : fd;
}

static int file_load(int fd, const char *name, struct zone **ret_zone, struct fault *fault) {
    struct stat status;
    if (fstat(fd, &status) < 0)
        return fault_set(fault, errno, "cannot read the time zone \"%s\"", name);
    if (!S_ISREG(status.st_mode))
        return fault_say(fault, -EINVAL, "the time zone \"%s\" is no file", name);
    if (status.st_size > ZONE_FILE_MOST)
        return fault_say(fault, -EFBIG, "the time zone \"%s\" has more than %d bytes", name,
                         ZONE_FILE_MOST);
    scoped_free unsigned char *data = malloc(ZONE_FILE_MOST);
    if (!data)
        return fault_set(fault, ENOMEM, "cannot read the time zone \"%s\"", name);
    size_t length = 0;
    while (length < ZONE_FILE_MOST) {
        ssize_t size = read(fd, data + length, ZONE_FILE_MOST - length);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            return fault_set(fault, errno, "cannot read the time zone \"%s\"", name);
        if (size == 0)
            break;
        length += (size_t)size;
    }
    int error = zone_parse(data, length, ret_zone, fault);
    return error ? fault_prefix(fault, error, "time zone \"%s\"", name) : 0;
}

/* ---- the name that was perhaps meant ---- */

struct entries {
    char *names[ENTRIES_MOST];
    size_t count;
};

static void entries_free(struct entries *entries) {
    for (size_t i = 0; i < entries->count; i++)
        free(entries->names[i]);
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* In order, so that of two equally near the same is guessed everywhere. */
static void entries_read(int database, const char *path, struct entries *entries) {
    int fd = openat(database, *path ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (!directory) {
        close_fd(fd);
        return;
    }
    for (struct dirent *entry = readdir(directory); entry && entries->count < ENTRIES_MOST;
         entry = readdir(directory))
        if (entry->d_name[0] >= 'A' && entry->d_name[0] <= 'Z') { /* not posix, right, *.tab */
            entries->names[entries->count] = strdup(entry->d_name);
            entries->count += entries->names[entries->count] != NULL;
        }
    closedir(directory);
    qsort(entries->names, entries->count, sizeof entries->names[0], compare_names);
}

/* Puts "/NAME" to a path that has room for ZONE_NAME_SIZE. */
static bool path_extend(char *path, const char *name) {
    size_t length = strlen(path), more = strlen(name);
    if (length + more + 2 > ZONE_NAME_SIZE)
        return false;
    if (length > 0)
        path[length++] = '/';
    memcpy(path + length, name, more + 1);
    return true;
}

static bool exists(int database, const char *path) {
    int fd = file_open(database, path);
    close_fd(fd);
    return fd >= 0;
}

/* Adds to `path` the entry that is called so, or the one nearest to it: of a lone name ("Berlin")
 * also that in some directory. */
static bool step_into(int database, char *path, const char *name, bool alone) {
    char whole[ZONE_NAME_SIZE];
    strcpy(whole, path);
    if (path_extend(whole, name) && exists(database, whole)) {
        strcpy(path, whole);
        return true;
    }
    struct entries entries __attribute__((cleanup(entries_free))) = {.count = 0};
    entries_read(database, path, &entries);
    for (size_t i = 0; alone && i < entries.count; i++) {
        whole[0] = '\0';
        if (path_extend(whole, entries.names[i]) && path_extend(whole, name) &&
            exists(database, whole)) {
            strcpy(path, whole);
            return true;
        }
    }
    const char *nearest =
        names_nearest(name, (const char *const *)(const void *)entries.names, entries.count);
    return nearest && path_extend(path, nearest);
}

/* ret_guess has ZONE_NAME_SIZE bytes. */
static bool guess(int database, const char *name, char *ret_guess) {
    char copy[ZONE_NAME_SIZE], *rest = NULL;
    bool alone = !strchr(name, '/');
    size_t depth = 0;
    strcpy(copy, name);
    ret_guess[0] = '\0';
    for (char *part = strtok_r(copy, "/", &rest); part; part = strtok_r(NULL, "/", &rest))
        if (++depth > DEPTH_MOST || !step_into(database, ret_guess, part, alone))
            return false;
    struct stat status;
    return fstatat(database, ret_guess, &status, 0) == 0 && S_ISREG(status.st_mode);
}

/* ---- opening ---- */

static int named_open(const char *name, struct zone **ret_zone, struct fault *fault) {
    char nearest[ZONE_NAME_SIZE];
    int error = zone_name_check(name, fault);
    if (error)
        return error;
    scoped_fd int database = open(DATABASE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (database < 0)
        return fault_set(fault, errno, "cannot look up the time zone \"%s\" in " DATABASE, name);
    scoped_fd int fd = file_open(database, name);
    if (fd >= 0)
        return file_load(fd, name, ret_zone, fault);
    if (fd != -ENOENT && fd != -ENOTDIR)
        return fault_set(fault, fd, "cannot open the time zone \"%s\"", name);
    if (guess(database, name, nearest))
        return fault_say(fault, -ENOENT, "there is no time zone \"%s\"; did you mean \"%s\"?", name,
                         nearest);
    return fault_say(fault, -ENOENT, "there is no time zone \"%s\"", name);
}

static int path_open(const char *path, struct zone **ret_zone, struct fault *fault) {
    scoped_fd int fd = file_open(AT_FDCWD, path);
    if (fd < 0)
        return fault_set(fault, fd, "cannot open the time zone \"%s\"", path);
    return file_load(fd, path, ret_zone, fault);
}

/* TZ as tzset(3) reads it; what is neither a path nor a name of the database is a rule. */
static int local_open(struct zone **ret_zone, struct fault *fault) {
    const char *said = getenv("TZ");
    if (!said) {
        int error = path_open(LOCAL, ret_zone, fault);
        return error == -ENOENT ? zone_from_rule("UTC0", ret_zone, fault) : error;
    }
    if (*said == ':')
        said++;
    if (*said == '\0')
        return zone_from_rule("UTC0", ret_zone, fault);
    if (*said == '/')
        return path_open(said, ret_zone, fault);
    if (zone_from_rule(said, ret_zone, NULL) == 0)
        return 0;
    int error = named_open(said, ret_zone, fault);
    return error ? fault_prefix(fault, error, "the local time (TZ)") : 0;
}

int zone_open(const char *name, struct zone **ret_zone, struct fault *fault) {
    return *name ? named_open(name, ret_zone, fault) : local_open(ret_zone, fault);
}
