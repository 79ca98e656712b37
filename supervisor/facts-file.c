#include "supervisor/facts-file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "supervisor/facts.h"
#include "supervisor/log.h"
#include "supervisor/manager.h"
#include "units/base/file.h"

#define UNITS "units"
#define MANAGER "manager"
#define WANTED "wanted"

static const char *const names[] = {[FACTS_FILE] = "facts", [FACTS_UNIT_FILE] = "unit"};

/* RUNTIME_DIR/units/NAME/FILE, without FILE where `file` is NULL, and without NAME where that is.
 */
static char *path_of(const struct manager *manager, const char *unit, const char *file) {
    const char *runtime = manager->options.runtime_directory;
    char *path = NULL;
    int length = unit ? asprintf(&path, "%s/" UNITS "/%s%s%s", runtime, unit, file ? "/" : "",
                                 file ? file : "")
                      : asprintf(&path, "%s/%s", runtime, file ? file : UNITS);
    return length < 0 ? NULL : path;
}

static char *file_path(const struct manager *manager, const char *unit, enum facts_file file) {
    return path_of(manager, unit, unit ? names[file] : MANAGER);
}

/* ---- writing ---- */

int facts_file_write(const struct manager *manager, const char *unit, enum facts_file file,
                     const char *data, size_t length, struct fault *fault) {
    scoped_free char *path = file_path(manager, unit, file);
    if (!path)
        return fault_set(fault, ENOMEM, "cannot save the state of %s", unit ? unit : "all");
    int error = file_replace(AT_FDCWD, path, data, length, 0600, false, fault);
    if (error != -ENOENT || !unit)
        return error;
    scoped_free char *directory = path_of(manager, unit, NULL);
    if (!directory)
        return fault_set(fault, ENOMEM, "cannot save the state of %s", unit);
    error = directory_make(AT_FDCWD, directory, 0700, fault);
    return error < 0 ? error : file_replace(AT_FDCWD, path, data, length, 0600, false, fault);
}

int facts_file_want(const struct manager *manager, const char *unit, bool wanted,
                    struct fault *fault) {
    scoped_free char *path = path_of(manager, unit, WANTED);
    if (!path)
        return fault_set(fault, ENOMEM, "cannot save the state of %s", unit);
    if (!wanted)
        return unlink(path) < 0 && errno != ENOENT
                   ? fault_set(fault, errno, "cannot remove \"%s\"", path)
                   : 0;
    scoped_fd int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd < 0 ? fault_set(fault, errno, "cannot make \"%s\"", path) : 0;
}

void facts_file_remove(const struct manager *manager, const char *unit) {
    scoped_free char *directory = path_of(manager, unit, NULL);
    scoped_free char *own = unit ? NULL : path_of(manager, NULL, MANAGER);
    struct fault fault = {{0}};
    if (own)
        unlink(own);
    if (directory && directory_remove(AT_FDCWD, directory, &fault) < 0)
        log_line(LEVEL_WARNING, "%s", fault.text);
}

/* ---- reading ---- */

/* What a person may have put there by mistake, or somebody else on purpose. */
static int check_file(int fd, const char *path, struct fault *fault) {
    struct stat file;
    if (fstat(fd, &file) < 0)
        return fault_set(fault, errno, "cannot look at \"%s\"", path);
    if (!S_ISREG(file.st_mode) || file.st_nlink != 1)
        return fault_say(fault, EPERM, "\"%s\" is no file of one name", path);
    if (file.st_uid != geteuid() || file.st_mode & 077)
        return fault_say(fault, EPERM, "\"%s\" is not ours alone (owner %d, mode %04o)", path,
                         (int)file.st_uid, file.st_mode & 07777U);
    if (file.st_size > (off_t)FACTS_SIZE_MAX)
        return fault_say(fault, EFBIG, "\"%s\" is longer than %zu bytes", path, FACTS_SIZE_MAX);
    return 0;
}

static int check_directory(const char *path, struct fault *fault) {
    struct stat directory;
    if (lstat(path, &directory) < 0)
        return fault_set(fault, errno, "cannot look at \"%s\"", path);
    if (!S_ISDIR(directory.st_mode) || directory.st_uid != geteuid() || directory.st_mode & 077)
        return fault_say(fault, EPERM, "\"%s\" is no directory that is ours alone", path);
    return 0;
}

static int read_all(int fd, const char *path, char **ret_data, struct fault *fault) {
    scoped_free char *data = malloc(FACTS_SIZE_MAX + 1);
    size_t length = 0;
    if (!data)
        return fault_set(fault, ENOMEM, "cannot read \"%s\"", path);
    for (ssize_t more; length < FACTS_SIZE_MAX; length += (size_t)more) {
        more = read(fd, data + length, FACTS_SIZE_MAX - length);
        if (more < 0)
            return fault_set(fault, errno, "cannot read \"%s\"", path);
        if (more == 0)
            break;
    }
    data[length] = '\0';
    *ret_data = take(data);
    return 0;
}

int facts_file_read(const struct manager *manager, const char *unit, enum facts_file file,
                    char **ret_data, struct fault *fault) {
    scoped_free char *path = file_path(manager, unit, file);
    scoped_free char *directory = unit ? path_of(manager, unit, NULL) : NULL;
    if (!path || (unit && !directory))
        return fault_set(fault, ENOMEM, "cannot read the state of %s", unit ? unit : "all");
    int error = directory ? check_directory(directory, fault) : 0;
    if (error < 0)
        return error;
    scoped_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return fault_set(fault, errno, "cannot open \"%s\"", path);
    error = check_file(fd, path, fault);
    return error < 0 ? error : read_all(fd, path, ret_data, fault);
}

int facts_file_is_wanted(const struct manager *manager, const char *unit) {
    scoped_free char *path = path_of(manager, unit, WANTED);
    scoped_free char *directory = path_of(manager, unit, NULL);
    struct fault fault;
    if (!path || !directory)
        return -ENOMEM;
    int error = check_directory(directory, &fault);
    if (error < 0)
        return error;
    scoped_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    error = check_file(fd, path, &fault);
    return error < 0 ? error : 1;
}

/* ---- all of them ---- */

static int by_name(const void *one, const void *other) {
    return strcmp(*(char *const *)one, *(char *const *)other);
}

static int add_name(char ***list, size_t *count, const char *name) {
    char **longer = reallocarray(*list, *count + 1, sizeof(char *));
    if (!longer)
        return -ENOMEM;
    *list = longer;
    longer[*count] = strdup(name);
    if (!longer[*count])
        return -ENOMEM;
    ++*count;
    return 0;
}

int facts_file_list(const struct manager *manager, char ***ret_names, size_t *ret_count,
                    struct fault *fault) {
    scoped_free char *path = path_of(manager, NULL, NULL);
    char **list = NULL;
    size_t count = 0;
    int error = path ? check_directory(path, fault) : -ENOMEM;
    DIR *directory = error < 0 ? NULL : opendir(path);
    if (!directory)
        return error < 0 ? error : fault_set(fault, errno, "cannot open \"%s\"", path);
    const struct dirent *entry;
    while (error >= 0 && (error = directory_next(directory, &entry)) > 0)
        if (entry->d_name[0] != '.')
            error = add_name(&list, &count, entry->d_name);
    closedir(directory);
    if (error < 0) {
        while (count > 0)
            free(list[--count]);
        free(list);
        return fault_set(fault, error, "cannot list \"%s\"", path);
    }
    if (count > 0)
        qsort(list, count, sizeof(char *), by_name);
    *ret_names = list;
    *ret_count = count;
    return 0;
}

const char *facts_file_boot(const struct manager *manager) {
    static char id[40]; /* it does not change while we live */
    scoped_free char *line = NULL;
    (void)manager;
    if (!*id &&
        file_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", sizeof(id), &line, NULL, NULL) >= 0)
        snprintf(id, sizeof(id), "%.36s", line);
    return id;
}
