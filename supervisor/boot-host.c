#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/boot-steps.h"
#include "units/base/fault.h"
#include "units/base/file.h"
#include "units/base/scoped.h"
#include "units/base/text.h"
#include "units/boot.h"

#define FILE_MAX ((size_t)64 * 1024)

/* ---- the host's name ---- */

int boot_set_hostname(const struct boot_work *work, struct fault *fault) {
    scoped_free char *file = NULL;
    const char *name = work->settings->hostname;
    char present[256] = "";
    if (!name && file_read_linked("/etc/hostname", FILE_MAX, &file, NULL, NULL) >= 0) {
        char *line = file;
        while (*line == '#') /* hostname(5) */
            line += strcspn(line, "\n"), line += *line != 0;
        line[strcspn(line, " \t\r\n")] = '\0';
        name = *line ? line : NULL;
    }
    gethostname(present, sizeof(present) - 1);
    if (!name && present[0] && strcmp(present, "(none)") != 0)
        return 1; /* the kernel's command line gave it one */
    if (!name)
        name = "localhost";
    if (sethostname(name, strlen(name)) < 0)
        return fault_set(fault, errno, "cannot set the host name \"%s\"", name);
    return 0;
}

/* ---- the loopback interface ---- */

int boot_raise_loopback(const struct boot_work *work, struct fault *fault) {
    scoped_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_name = "lo"};
    (void)work;
    if (fd < 0 && errno == EAFNOSUPPORT) {
        fault_say(fault, errno, "this kernel has no IPv4");
        return 1;
    }
    if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0)
        return fault_set(fault, errno, "cannot read the loopback interface");
    if (request.ifr_flags & IFF_UP)
        return 0;
    request.ifr_flags |= IFF_UP;
    if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        return fault_set(fault, errno, "cannot set the loopback interface up");
    return 0;
}

/* ---- settings of the kernel ---- */

/* As sysctl(8): the first separator tells which of "." and "/" stands for that of a path. */
static void key_to_path(const char *key, size_t length, char *ret_path, size_t size) {
    size_t first = strcspn(key, "./");
    bool dotted = first < length && key[first] == '.';
    int prefix = snprintf(ret_path, size, "/proc/sys/%.*s", (int)length, key);
    for (char *at = ret_path + strlen("/proc/sys/"); dotted && at < ret_path + prefix; at++)
        *at = (char)(*at == '.' ? '/' : *at == '/' ? '.' : *at);
}

/* "KEY=VALUE", with blanks around both. */
static int apply_sysctl(const char *item, struct fault *fault) {
    char path[512], value[1024];
    size_t length = strcspn(item, "=");
    const char *from = item + length + (item[length] == '=');
    while (length > 0 && isspace((unsigned char)item[length - 1]))
        length--;
    from += strspn(from, " \t");
    size_t value_length = strcspn(from, "\n");
    while (value_length > 0 && isspace((unsigned char)from[value_length - 1]))
        value_length--;
    if (length == 0 || length > 400 || value_length >= sizeof(value))
        return fault_say(fault, EINVAL, "\"%.80s\" is no setting of the kernel", item);
    key_to_path(item, length, path, sizeof(path));
    snprintf(value, sizeof(value), "%.*s", (int)value_length, from);
    return strstr(path, "/../") ? fault_say(fault, EINVAL, "\"%s\" has a component \"..\"", path)
                                : file_write(AT_FDCWD, path, value, fault);
}

/* sysctl.d(5): "-" before a key, it may fail; "#" and ";" begin a comment. */
static void apply_file(const char *path, int *result, struct fault *fault) {
    scoped_free char *data = NULL;
    struct fault why = {""};
    struct stat status;
    if (stat(path, &status) == 0 && S_ISCHR(status.st_mode))
        return; /* a link to /dev/null: the file of this name means nothing */
    int error = file_read_linked(path, FILE_MAX, &data, NULL, &why);
    boot_collect(error, &why, result, fault);
    char *rest = data;
    for (char *line; rest && (line = strsep(&rest, "\n"));) {
        line += strspn(line, " \t\r");
        bool may_fail = *line == '-';
        if (*line == '\0' || *line == '#' || *line == ';')
            continue;
        error = strchr(line, '=') ? apply_sysctl(line + may_fail, &why)
                                  : fault_say(&why, EINVAL, "\"%.80s\" has no \"=\"", line);
        if (error < 0 && !may_fail) {
            fault_prefix(&why, error, "%s", path);
            boot_collect(error, &why, result, fault);
        }
    }
}

static int is_setting_file(const struct dirent *entry) {
    size_t length = strlen(entry->d_name), suffix = strlen(".conf");
    return entry->d_name[0] != '.' && length > suffix &&
           strcmp(entry->d_name + length - suffix, ".conf") == 0;
}

/* Whether an earlier directory has a file of this name, which masks it. */
static bool is_masked(const struct strings *directories, size_t before, const char *name) {
    for (size_t i = 0; i < before; i++) {
        scoped_free char *path = NULL;
        if (asprintf(&path, "%s/%s", directories->items[i], name) < 0)
            path = NULL;
        else if (access(path, F_OK) == 0)
            return true;
    }
    return false;
}

static void apply_directory(const struct strings *directories, size_t index, int *result,
                            struct fault *fault) {
    const char *directory = directories->items[index];
    struct dirent **entries = NULL;
    int count = scandir(directory, &entries, is_setting_file, alphasort);
    if (count < 0) {
        struct fault why;
        int error = fault_set(&why, errno, "cannot read \"%s\"", directory);
        boot_collect(error, &why, result, fault);
    }
    for (int i = 0; i < count; i++) {
        scoped_free char *path = NULL;
        if (asprintf(&path, "%s/%s", directory, entries[i]->d_name) < 0)
            path = NULL;
        else if (!is_masked(directories, index, entries[i]->d_name))
            apply_file(path, result, fault);
        free(entries[i]);
    }
    free(entries);
}

int boot_set_sysctl(const struct boot_work *work, struct fault *fault) {
    const struct boot_settings *settings = work->settings;
    int result = 0;
    for (size_t i = 0; i < settings->sysctl_directories.count; i++)
        apply_directory(&settings->sysctl_directories, i, &result, fault);
    for (size_t i = 0; i < settings->sysctl.count; i++) {
        struct fault why = {""};
        int error = apply_sysctl(settings->sysctl.items[i], &why);
        boot_collect(error, &why, &result, fault);
    }
    return result;
}

/* ---- machine-id(5) ---- */

#define MACHINE_ID "/etc/machine-id"
#define MACHINE_ID_LENGTH 32
#define TRANSIENT_ID "/run/machine-id"

/* A file of 32 hexadecimal digits; anything else is as good as none. */
static bool read_machine_id(const char *path, char ret_id[static MACHINE_ID_LENGTH + 2]) {
    scoped_free char *data = NULL;
    size_t length;
    if (file_read_linked(path, FILE_MAX, &data, &length, NULL) < 0 ||
        strspn(data, "0123456789abcdef") != MACHINE_ID_LENGTH ||
        strspn(data, "0") == MACHINE_ID_LENGTH)
        return false;
    snprintf(ret_id, MACHINE_ID_LENGTH + 2, "%.*s\n", MACHINE_ID_LENGTH, data);
    return true;
}

/* A UUID of version 4, as machine-id(5) asks. */
static int make_machine_id(char ret_id[static MACHINE_ID_LENGTH + 2]) {
    unsigned char bytes[MACHINE_ID_LENGTH / 2];
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        return -EIO;
    bytes[6] = (unsigned char)((bytes[6] & 0x0f) | 0x40);
    bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < sizeof(bytes); i++)
        sprintf(ret_id + 2 * i, "%02x", bytes[i]);
    strcpy(ret_id + MACHINE_ID_LENGTH, "\n");
    return 0;
}

/* Over the file of a root that cannot be written; there has to be one, if only an empty one. */
static int bind_machine_id(const char *id, struct fault *fault) {
    int error = file_replace(AT_FDCWD, TRANSIENT_ID, id, strlen(id), 0444, false, fault);
    if (error < 0)
        return error;
    if (access(MACHINE_ID, F_OK) < 0)
        return fault_say(fault, EROFS,
                         "\"" MACHINE_ID "\" can neither be written nor covered: put an empty file "
                         "there when you make the root");
    if (mount(TRANSIENT_ID, MACHINE_ID, NULL, MS_BIND, NULL) < 0)
        return fault_set(fault, errno, "cannot bind \"" TRANSIENT_ID "\" to \"" MACHINE_ID "\"");
    return 0;
}

/* A link leads to the file that is meant. */
static int write_machine_id(const char *id, bool *ret_linked, struct fault *fault) {
    char target[PATH_MAX];
    scoped_fd int etc = open("/etc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    ssize_t length = readlink(MACHINE_ID, target, sizeof(target) - 1);
    target[length > 0 ? length : 0] = '\0';
    *ret_linked = length > 0;
    return file_replace(etc, length > 0 ? target : "machine-id", id, strlen(id), 0444, true, fault);
}

/* A machine whose root cannot be written still keeps its identity, in the state directory; so does
 * one with a link, which may lead to where nothing lasts. */
int boot_provide_machine_id(const struct boot_work *work, struct fault *fault) {
    char id[MACHINE_ID_LENGTH + 2];
    scoped_free char *kept = NULL;
    if (read_machine_id(MACHINE_ID, id))
        return 0;
    if (asprintf(&kept, "%s/machine-id", work->state_directory) < 0) {
        kept = NULL;
        return fault_set(fault, ENOMEM, "cannot make a machine id");
    }
    if (!read_machine_id(kept, id) && make_machine_id(id) < 0)
        return fault_say(fault, EIO, "cannot make a machine id: the kernel has no random bytes");
    struct fault why;
    bool linked;
    int written = write_machine_id(id, &linked, &why);
    if (written >= 0 && !linked)
        return 0;
    int error = directory_make(AT_FDCWD, work->state_directory, 0700, &why);
    if (error >= 0)
        error = file_replace(AT_FDCWD, kept, id, strlen(id), 0444, true, &why);
    if (error < 0 && written < 0)
        boot_note("the machine id lasts until the next boot: %s", why.text);
    return written < 0 ? bind_machine_id(id, fault) : 0;
}
