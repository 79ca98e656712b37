#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "supervisor/manager-private.h"
#include "supervisor/sockets-private.h"
#include "units/base/file.h"

/* Looked up only for the sentence of a failure: all processes are asked, within bounds. */
#define PROCESSES_MAX 4096
#define DESCRIPTORS_MAX 65536
#define TABLE_MAX ((size_t)16 << 20)
#define STATE_LISTENS 0x0a /* TCP_LISTEN; a bound UDP socket has 7, TCP_CLOSE */
#define STATE_BOUND 0x07

/* ---- one of our own ---- */

static bool conflict(const struct port_socket *one, const struct port_socket *other) {
    if (*one->path || *other->path)
        return strcmp(one->path, other->path) == 0;
    bool any = !*one->endpoint.address || !*other->endpoint.address;
    return one->udp == other->udp && one->endpoint.first == other->endpoint.first &&
           (any || strcmp(one->endpoint.address, other->endpoint.address) == 0);
}

static const struct service *find_unit(const struct service *asker,
                                       const struct port_socket *place) {
    const struct service *service;
    list_for_each(service, &asker->manager->services, link) {
        const struct sockets *sockets = service->private->sockets;
        for (size_t i = 0; service != asker && sockets && i < sockets->count; i++)
            if (conflict(&sockets->items[i].place, place))
                return service;
    }
    return NULL;
}

/* ---- the inode of the socket that is in the way ---- */

/* The kernel prints an address as words in its own byte order; a wildcard is all zeros. */
static bool address_matches(const char *hex, const struct port_socket *place) {
    size_t length = strspn(hex, "0123456789ABCDEFabcdef");
    if (!*place->endpoint.address || strspn(hex, "0") == length)
        return true;
    uint32_t address[4], word;
    bool six = strchr(place->endpoint.address, ':') != NULL;
    if (inet_pton(six ? AF_INET6 : AF_INET, place->endpoint.address, address) != 1 ||
        length != (six ? 32 : 8))
        return false;
    for (size_t i = 0; i < length / 8; i++)
        if (sscanf(hex + i * 8, "%8" SCNx32, &word) != 1 || word != address[i])
            return false;
    return true;
}

/* "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0
 * INODE"
 */
static uint64_t inode_in_line(const char *line, const struct port_socket *place) {
    unsigned port, state;
    uint64_t inode;
    char address[40];
    if (sscanf(line, " %*u: %39[^:]:%x %*[^:]:%*x %x %*s %*s %*s %*u %*u %" SCNu64, address, &port,
               &state, &inode) != 4)
        return 0;
    unsigned wanted = place->udp ? STATE_BOUND : STATE_LISTENS;
    return port == place->endpoint.first && state == wanted && address_matches(address, place)
               ? inode
               : 0;
}

/* "ffff: 00000002 00000000 00010000 0001 01 INODE /path" */
static uint64_t inode_in_unix_line(const char *line, const struct port_socket *place) {
    uint64_t inode;
    int end = 0;
    if (sscanf(line, "%*x: %*x %*x %*x %*x %*x %" SCNu64 " %n", &inode, &end) != 1 || end == 0)
        return 0;
    return strcmp(line + end, place->path) == 0 ? inode : 0;
}

static uint64_t find_inode(const struct port_socket *place) {
    static const char *const tables[][2] = {{"/proc/self/net/tcp", "/proc/self/net/tcp6"},
                                            {"/proc/self/net/udp", "/proc/self/net/udp6"},
                                            {"/proc/self/net/unix", NULL}};
    const char *const *files = tables[*place->path ? 2 : place->udp];
    for (int i = 0; i < 2 && files[i]; i++) {
        scoped_free char *data = NULL;
        if (file_read(AT_FDCWD, files[i], TABLE_MAX, &data, NULL, NULL) < 0)
            continue;
        char *rest = data;
        for (char *line; (line = strsep(&rest, "\n"));) {
            uint64_t inode =
                *place->path ? inode_in_unix_line(line, place) : inode_in_line(line, place);
            if (inode)
                return inode;
        }
    }
    return 0;
}

/* ---- the process that has it ---- */

static bool has_open(int proc, const char *pid, const char *wanted, unsigned *looked_at) {
    char path[48], target[64];
    bool found = false;
    snprintf(path, sizeof(path), "%.16s/fd", pid);
    int fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
    if (!directory) {
        close_fd(fd);
        return false;
    }
    for (struct dirent *entry; !found && (entry = readdir(directory));) {
        ssize_t length = readlinkat(fd, entry->d_name, target, sizeof(target) - 1);
        target[length > 0 ? length : 0] = '\0';
        found = strcmp(target, wanted) == 0;
        if (++*looked_at > DESCRIPTORS_MAX)
            break;
    }
    closedir(directory);
    return found;
}

static void print_process(int proc, const char *pid, struct text *text) {
    char path[48];
    scoped_free char *name = NULL;
    snprintf(path, sizeof(path), "%.16s/comm", pid);
    if (file_read(proc, path, 64, &name, NULL, NULL) == 0)
        name[strcspn(name, "\n")] = '\0';
    text_add(text, ", by ");
    text_add_clean(text, name ? name : "a program");
    text_format(text, " (process %s)", pid);
}

static void find_process(uint64_t inode, struct text *text) {
    char wanted[64];
    unsigned processes = 0, looked_at = 0;
    DIR *proc = opendir("/proc");
    if (!proc)
        return;
    snprintf(wanted, sizeof(wanted), "socket:[%" PRIu64 "]", inode);
    for (struct dirent *entry;
         (entry = readdir(proc)) && processes < PROCESSES_MAX && looked_at < DESCRIPTORS_MAX;) {
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        processes++;
        if (has_open(dirfd(proc), entry->d_name, wanted, &looked_at)) {
            print_process(dirfd(proc), entry->d_name, text);
            break;
        }
    }
    closedir(proc);
}

void sockets_name_holder(const struct service *asker, const struct port_socket *place,
                         struct text *text) {
    const struct service *other = find_unit(asker, place);
    if (other) {
        text_format(text, ", by the unit \"%s\"", other->name);
        return;
    }
    uint64_t inode = find_inode(place);
    if (inode)
        find_process(inode, text);
}
