/* Any bytes as a user and as a root's passwd and group files: whoever is found has an id, a primary
 * group among his groups and an absolute home, and a number is never anybody else's. The input: the
 * user up to the first end of line, passwd up to the first byte 255, the rest is group. */

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/credentials.h"
#include "units/base/file.h"
#include "units/base/scoped.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static char root_path[] = "/tmp/ringfence-fuzz-XXXXXX";
static int root, passwd, group;

static void remove_root(void) {
    directory_remove(AT_FDCWD, root_path, NULL);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    if (!mkdtemp(root_path) || atexit(remove_root) != 0)
        abort();
    root = open(root_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0 || mkdirat(root, "etc", 0755) < 0)
        abort();
    passwd = openat(root, "etc/passwd", O_CREAT | O_RDWR | O_CLOEXEC, 0644);
    group = openat(root, "etc/group", O_CREAT | O_RDWR | O_CLOEXEC, 0644);
    return passwd < 0 || group < 0 ? 1 : 0;
}

/* Copies what comes before the first `end`, and steps over it. */
static size_t cut(const uint8_t **at, size_t *left, int end) {
    const uint8_t *found = *left ? memchr(*at, end, *left) : NULL;
    size_t length = found ? (size_t)(found - *at) : *left;
    *at += length + (found ? 1 : 0);
    *left -= length + (found ? 1 : 0);
    return length;
}

static void fill(int fd, const uint8_t *data, size_t size) {
    if (ftruncate(fd, 0) < 0 || (size && pwrite(fd, data, size, 0) != (ssize_t)size))
        abort();
}

static void check(const char *user, const struct credentials *found) {
    if (found->uid == UINT32_MAX || found->gid == UINT32_MAX || found->home[0] != '/' ||
        found->group_count < 1 || found->group_count > CREDENTIALS_GROUPS ||
        found->groups[0] != found->gid || !memchr(found->home, '\0', sizeof found->home))
        abort();
    size_t digits = strspn(user, "0123456789");
    if (digits > 0 && (user[digits] == '\0' || user[digits] == ':') &&
        strtoull(user, NULL, 10) != found->uid)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char user[256];
    const uint8_t *at = data;
    size_t length = cut(&at, &size, '\n');
    length = length < sizeof user ? length : sizeof user - 1;
    if (length)
        memcpy(user, data, length);
    user[length] = '\0';
    const uint8_t *start = at;
    length = cut(&at, &size, 255);
    fill(passwd, start, length);
    fill(group, at, size);

    struct credentials found;
    if (credentials_resolve(root, user, NULL, NULL, &found, NULL) == 0)
        check(user, &found);
    return 0;
}
