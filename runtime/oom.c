#include "runtime/oom.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "units/base/scoped.h"

#define LOG "/dev/kmsg"
#define RECORD_MAX 8192   /* bytes; the kernel gives no longer ones */
#define USER_RECORD 8     /* from this priority on it is a program that wrote it, not the kernel */
#define RECORDS_MAX 65536 /* a log that is written faster than we read it has no end */

/* The text after `name`, which is one of the pairs that commas part. */
static const char *find_value(const char *record, const char *name) {
    const char *found = strstr(record, name);
    return found && found > record && (found[-1] == ',' || found[-1] == ':') ? found + strlen(name)
                                                                             : NULL;
}

static bool lies_below(const char *path, const char *cgroup) {
    size_t length = strlen(cgroup);
    return strncmp(path, cgroup, length) == 0 && (path[length] == '/' || path[length] == ',');
}

/* oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=...,mems_allowed=0,oom_memcg=/a,
 * task_memcg=/a/b,task=dd,pid=123,uid=0 (since 5.0, mm/oom_kill.c). A name may hold commas too. */
bool oom_parse(const char *record, const char *cgroup, struct oom_victim *ret_victim) {
    const char *text = strtoul(record, NULL, 10) < USER_RECORD ? strchr(record, ';') : NULL;
    const char *kill = text ? strstr(text, "oom-kill:") : NULL;
    const char *where = kill ? find_value(kill, "task_memcg=") : NULL;
    const char *name = where ? strstr(where, ",task=") : NULL;
    if (!name || !lies_below(where, cgroup))
        return false;
    name += strlen(",task=");
    const char *end = NULL;
    for (const char *at = name; (at = strstr(at, ",pid=")); at++)
        end = at;
    struct oom_victim victim = {.pid = end ? (pid_t)strtol(end + strlen(",pid="), NULL, 10) : 0};
    if (victim.pid <= 0)
        return false;
    size_t length = (size_t)(end - name);
    for (size_t i = 0; i < length && i < sizeof(victim.name) - 1; i++)
        victim.name[i] = isprint((unsigned char)name[i]) ? name[i] : '?';
    *ret_victim = victim;
    return true;
}

bool oom_find(const char *cgroup, struct oom_victim *ret_victim) {
    char record[RECORD_MAX + 1];
    bool found = false;
    scoped_fd int fd = open(LOG, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    for (int left = RECORDS_MAX; fd >= 0 && left > 0; left--) {
        ssize_t length = read(fd, record, RECORD_MAX);
        if (length < 0 && (errno == EPIPE || errno == EINTR)) /* what was next is overwritten */
            continue;
        if (length <= 0)
            break;
        record[length] = '\0';
        found |= oom_parse(record, cgroup, ret_victim);
    }
    return found;
}
