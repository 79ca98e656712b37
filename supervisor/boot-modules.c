#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "supervisor/boot-steps.h"
#include "units/base/fault.h"
#include "units/base/file.h"
#include "units/base/scoped.h"
#include "units/boot.h"

/* The lists of depmod(8); that of a distribution's kernel has 600 KB. */
#define LIST_MAX ((size_t)16 << 20)
#define COMPRESSED_FILE 4 /* MODULE_INIT_COMPRESSED_FILE of linux/module.h, since 5.17 */

struct modules {
    char directory[128]; /* /lib/modules/RELEASE */
    char *dependencies;  /* modules.dep: "PATH.ko: PATH.ko PATH.ko" */
    char *built_in;      /* modules.builtin: a path a line; NULL: there is no list */
};

static void modules_free(struct modules *modules) {
    free(modules->dependencies);
    free(modules->built_in);
}

static char *read_list(const struct modules *modules, const char *name, struct fault *fault) {
    char path[192], *data = NULL;
    snprintf(path, sizeof(path), "%s/%s", modules->directory, name);
    return file_read(AT_FDCWD, path, LIST_MAX, &data, NULL, fault) < 0 ? NULL : data;
}

static int modules_open(struct modules *modules, struct fault *fault) {
    struct utsname kernel;
    if (uname(&kernel) < 0)
        return fault_set(fault, errno, "cannot tell the kernel's release");
    snprintf(modules->directory, sizeof(modules->directory), "/lib/modules/%s", kernel.release);
    modules->dependencies = read_list(modules, "modules.dep", fault);
    modules->built_in = read_list(modules, "modules.builtin", NULL);
    return modules->dependencies || modules->built_in ? 0 : -ENODATA;
}

/* The kernel takes "-" and "_" for the same. */
static bool same_letter(char left, char right) {
    return (left == '-' ? '_' : left) == (right == '-' ? '_' : right);
}

/* Whether the path is that of NAME.ko, compressed or not. */
static bool is_path_of(const char *path, size_t length, const char *name, size_t name_length) {
    size_t base = length;
    while (base > 0 && path[base - 1] != '/')
        base--;
    if (length - base < name_length + strlen(".ko") ||
        strncmp(path + base + name_length, ".ko", strlen(".ko")) != 0)
        return false;
    for (size_t i = 0; i < name_length; i++)
        if (!same_letter(path[base + i], name[i]))
            return false;
    return true;
}

/* The line that begins with the module's path; NULL. */
static const char *find_line(const char *list, const char *name, size_t length) {
    for (const char *line = list; line && *line; line += strcspn(line, "\n"), line += *line != 0)
        if (is_path_of(line, strcspn(line, ":\n"), name, length))
            return line;
    return NULL;
}

static int insert(const struct modules *modules, const char *path, size_t length,
                  const char *parameters, struct fault *fault) {
    scoped_free char *file = NULL;
    if (asprintf(&file, "%s/%.*s", modules->directory, (int)length, path) < 0) {
        file = NULL;
        return fault_set(fault, ENOMEM, "cannot load a kernel module");
    }
    scoped_fd int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fault_set(fault, errno, "cannot open \"%s\"", file);
    const char *suffix = file + strlen(file) - strlen(".ko");
    bool compressed = strcmp(suffix, ".ko") != 0;
    if (syscall(SYS_finit_module, fd, parameters, compressed ? COMPRESSED_FILE : 0) == 0 ||
        errno == EEXIST)
        return 0;
    if (compressed && (errno == EINVAL || errno == EOPNOTSUPP || errno == ENOEXEC))
        return fault_say(fault, errno,
                         "\"%s\" is compressed, and this kernel does not decompress modules so; "
                         "unpack it and run depmod",
                         file);
    return fault_set(fault, errno, "cannot load \"%s\"", file);
}

/* What a module needs stands behind it, what that needs further behind: from the end. */
static int insert_line(const struct modules *modules, const char *line, const char *parameters,
                       struct fault *fault) {
    size_t own = strcspn(line, ":\n"), end = strcspn(line, "\n");
    while (end > own + 1) {
        size_t begin = end;
        while (begin > own + 1 && line[begin - 1] != ' ')
            begin--;
        if (begin < end && line[begin] != ' ') {
            int error = insert(modules, line + begin, end - begin, "", fault);
            if (error < 0)
                return error;
        }
        end = begin > own + 1 ? begin - 1 : own + 1;
    }
    return insert(modules, line, own, parameters, fault);
}

static int load(const struct modules *modules, const char *item, struct fault *fault) {
    size_t length = strcspn(item, " ");
    const char *line = find_line(modules->dependencies, item, length);
    const char *parameters = item + length + strspn(item + length, " ");
    if (line)
        return insert_line(modules, line, parameters, fault);
    if (find_line(modules->built_in, item, length))
        return 0;
    return fault_say(fault, ENOENT, "there is no module \"%.*s\" in %s", (int)length, item,
                     modules->directory);
}

/* One that cannot be loaded keeps none of the others from it. */
int boot_load_modules(const struct boot_work *work, struct fault *fault) {
    __attribute__((cleanup(modules_free))) struct modules modules = {0};
    const struct strings *list = &work->settings->modules;
    int result = modules_open(&modules, fault);
    if (result < 0)
        return result;
    for (size_t i = 0; i < list->count; i++) {
        struct fault why = {""};
        int error = load(&modules, list->items[i], &why);
        boot_collect(error, &why, &result, fault);
    }
    return result;
}
