#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "supervisor/bus-client.h"
#include "units/base/file.h"
#include "units/base/names.h"
#include "units/base/number.h"
#include "units/capability-names.h"

#define PROC_FILE_MAX ((size_t)64 * 1024)

/* ---- namespaces ---- */

static const char *const namespace_words[] = {
    [NAMESPACE_USER] = "user",     [NAMESPACE_MOUNT] = "mnt", [NAMESPACE_PID] = "pid",
    [NAMESPACE_NETWORK] = "net",   [NAMESPACE_IPC] = "ipc",   [NAMESPACE_UTS] = "uts",
    [NAMESPACE_CGROUP] = "cgroup", [NAMESPACE_TIME] = "time",
};
static_assert(ELEMENTS(namespace_words) == NAMESPACE_KINDS, "a word for each");
static const struct names namespaces = NAMES(namespace_words);

const char *bus_namespace_word(enum namespace_kind kind) {
    return names_word(&namespaces, (int)kind);
}

static uint64_t inode_of(pid_t pid, enum namespace_kind kind) {
    char path[64];
    struct stat status;

    snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, bus_namespace_word(kind));
    return stat(path, &status) == 0 ? status.st_ino : 0;
}

/* The process is asked first: its mount namespace is a copy of the sandbox's, and what it shares
 * with the host has an inode too. */
uint64_t bus_namespace_inode(struct service *service, enum namespace_kind kind) {
    uint64_t inode = 0;

    if (!service)
        return inode_of(getpid(), kind);
    if (service->main_pid > 0)
        inode = inode_of(service->main_pid, kind);
    if (inode == 0 && service->sandbox)
        inode = sandbox_namespace_inode(service->sandbox, kind);
    return inode;
}

/* ---- figures ---- */

/* Named as the cgroup's files and their lines, io by its two sums. */
static const struct {
    const char *name;
    size_t offset;
} figures[] = {
#define FIGURE(name, member)                                                                       \
    { name, offsetof(struct sandbox_stats, member) }
    FIGURE("memory.current", memory_current),
    FIGURE("memory.peak", memory_peak),
    FIGURE("memory.max", memory_max),
    FIGURE("memory.swap.current", swap_current),
    FIGURE("cpu.usage_usec", cpu_usec),
    FIGURE("cpu.user_usec", cpu_user_usec),
    FIGURE("cpu.system_usec", cpu_system_usec),
    FIGURE("cpu.throttled_usec", cpu_throttled_usec),
    FIGURE("pids.current", pids_current),
    FIGURE("pids.peak", pids_peak),
    FIGURE("pids.max", pids_max),
    FIGURE("io.rbytes", io_read_bytes),
    FIGURE("io.wbytes", io_written_bytes),
#undef FIGURE
};

static uint64_t figure_value(const struct sandbox_stats *stats, size_t index) {
    uint64_t value;
    memcpy(&value, (const char *)stats + figures[index].offset, sizeof(value));
    return value;
}

int bus_append_stats(sd_bus_message *message, struct service *service) {
    struct sandbox_stats stats;
    int error = sd_bus_message_open_container(message, 'a', "{st}");

    if (service->sandbox)
        sandbox_stats(service->sandbox, &stats);
    for (size_t i = 0; error >= 0 && service->sandbox && i < ELEMENTS(figures); i++)
        if (figure_value(&stats, i) != LIMIT_UNSET)
            error =
                sd_bus_message_append(message, "{st}", figures[i].name, figure_value(&stats, i));
    return error < 0 ? error : sd_bus_message_close_container(message);
}

/* ---- facts ---- */

struct visit {
    fact_visitor visitor;
    void *context;
};

static void tell(const struct visit *visit, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void tell(const struct visit *visit, const char *name, const char *format, ...) {
    char value[FAULT_SIZE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(value, sizeof(value), format, arguments);
    va_end(arguments);
    visit->visitor(visit->context, name, value);
}

static char *proc_read(pid_t pid, const char *name) {
    char path[64];
    char *data = NULL;
    size_t length;

    snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    return file_read(AT_FDCWD, path, PROC_FILE_MAX, &data, &length, NULL) < 0 ? NULL : data;
}

/* "         0     131072      65536\n" becomes "0 131072 65536", lines joined by ", ". */
static void visit_map(const struct visit *visit, pid_t pid, const char *name) {
    scoped_free char *data = proc_read(pid, name);
    scoped_text struct text text = {0};
    char *lines = data, *line;

    while (lines && (line = strsep(&lines, "\n"))) {
        uint32_t inside, outside, count;
        if (sscanf(line, "%" SCNu32 " %" SCNu32 " %" SCNu32, &inside, &outside, &count) == 3)
            text_format(&text, "%s%u %u %u", text.length ? ", " : "", inside, outside, count);
    }
    if (text.length)
        visit->visitor(visit->context, name, text.data);
}

/* "CHOWN KILL": the effective set by name. */
static void visit_capabilities(const struct visit *visit, const char *mask) {
    scoped_text struct text text = {0};
    uint64_t bits = strtoull(mask, NULL, 16);

    for (int number = 0; number < 64; number++)
        if (bits >> number & 1)
            text_format(&text, "%s%s", text.length ? " " : "", capability_word(number));
    visit->visitor(visit->context, "capabilities", text.length ? text.data : "none");
}

/* Lines of /proc/PID/status, under the kernel's own names. */
static void visit_status(const struct visit *visit, pid_t pid) {
    static const char *const wanted[] = {"Uid",    "Gid",    "Groups", "CapInh",     "CapPrm",
                                         "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp"};
    scoped_free char *data = proc_read(pid, "status");
    char *lines = data, *line;

    while (lines && (line = strsep(&lines, "\n"))) {
        char *value = line;
        const char *name = strsep(&value, ":");
        for (size_t i = 0; value && i < ELEMENTS(wanted); i++) {
            if (strcmp(name, wanted[i]) != 0)
                continue;
            value += strspn(value, " \t");
            for (char *tab = value; (tab = strchr(tab, '\t'));)
                *tab = ' ';
            for (size_t end = strlen(value); end > 0 && value[end - 1] == ' ';)
                value[--end] = '\0'; /* Groups ends in one */
            visit->visitor(visit->context, name, value);
            if (strcmp(name, "CapEff") == 0)
                visit_capabilities(visit, value);
            break;
        }
    }
}

static void visit_sandbox(const struct visit *visit, struct service *service) {
    struct sandbox_stats stats;
    uint32_t base, count;

    tell(visit, "cgroup", "%s", sandbox_cgroup(service->sandbox));
    if (sandbox_id_range(service->sandbox, &base, &count))
        tell(visit, "id_range", "%u:%u", base, count);
    sandbox_stats(service->sandbox, &stats);
    for (size_t i = 0; i < ELEMENTS(figures); i++) {
        uint64_t value = figure_value(&stats, i);
        if (value == SIZE_NONE)
            tell(visit, figures[i].name, "max");
        else if (value != LIMIT_UNSET)
            tell(visit, figures[i].name, "%" PRIu64, value);
    }
}

bool bus_is_active(const struct service *service) {
    return service->state == SERVICE_READY || service->state == SERVICE_RELOADING ||
           service->state == SERVICE_LISTENING;
}

int bus_append_sockets(sd_bus_message *message, const struct service *service) {
    scoped_text struct text text = {0};
    service_describe_sockets(service, &text);
    return bus_append_clean(message, text.data);
}

void bus_facts_visit(struct service *service, fact_visitor visitor, void *context) {
    const struct visit visit = {visitor, context};
    scoped_text struct text sockets = {0};
    char name[32];

    if (service->main_pid > 0)
        tell(&visit, "pid", "%d", service->main_pid);
    service_describe_sockets(service, &sockets);
    if (sockets.data)
        visitor(context, "sockets", sockets.data);
    for (int kind = 0; kind < NAMESPACE_KINDS; kind++) {
        const char *word = bus_namespace_word((enum namespace_kind)kind);
        uint64_t inode = bus_namespace_inode(service, (enum namespace_kind)kind);
        snprintf(name, sizeof(name), "ns.%s", word);
        if (inode)
            tell(&visit, name, "%s:[%" PRIu64 "]", word, inode);
    }
    if (service->main_pid > 0) {
        visit_map(&visit, service->main_pid, "uid_map");
        visit_map(&visit, service->main_pid, "gid_map");
        visit_status(&visit, service->main_pid);
    }
    if (service->sandbox)
        visit_sandbox(&visit, service);
}
