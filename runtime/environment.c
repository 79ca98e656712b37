#include "runtime/environment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/run.h"
#include "units/base/fault.h"
#include "units/base/file.h"
#include "units/base/scoped.h"

#define FILE_MOST (64 * 1024) /* bytes of an environment file */
#define PID_OF_LISTEN "LISTEN_PID="
#define PID_OF_WATCHDOG "WATCHDOG_PID="
#define TERM_DEFAULT "TERM=xterm"
#define PATH_DEFAULT "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct list {
    char **items;
    size_t count, room;
};

static int find(const struct list *list, const char *item) {
    size_t name = strcspn(item, "=") + 1;
    for (size_t i = 0; i < list->count; i++)
        if (strncmp(list->items[i], item, name) == 0)
            return (int)i;
    return -ENOENT;
}

static int put(struct list *list, const char *item, size_t length) {
    char *copy = strndup(item, length);
    if (!copy)
        return -ENOMEM;
    int there = find(list, copy);
    if (there >= 0) {
        free(list->items[there]);
        list->items[there] = copy;
        return 0;
    }
    if (list->count + 1 >= list->room) {
        size_t room = list->room ? list->room * 2 : 16;
        char **items = reallocarray(list->items, room, sizeof *items);
        if (!items) {
            free(copy);
            return -ENOMEM;
        }
        list->items = items;
        list->room = room;
    }
    list->items[list->count++] = copy;
    list->items[list->count] = NULL;
    return 0;
}

static int put_all(struct list *list, const struct strings *strings) {
    int error = 0;
    for (size_t i = 0; strings && i < strings->count && !error; i++)
        error = put(list, strings->items[i], strlen(strings->items[i]));
    return error;
}

/* One line of a file: "K=V", the value perhaps in one pair of quotes; "#" and ";" begin comments,
 * at the start of a line. */
static int put_line(struct list *list, char *line) {
    line += strspn(line, " \t");
    size_t length = strlen(line);
    while (length && strchr(" \t\r", line[length - 1]))
        line[--length] = '\0';
    if (!*line || *line == '#' || *line == ';')
        return 0;
    char *value = strchr(line, '=');
    if (!value || value == line)
        return -EINVAL;
    value++;
    size_t size = strlen(value);
    if (size >= 2 && (*value == '"' || *value == '\'') && value[size - 1] == *value) {
        memmove(value, value + 1, size - 2);
        value[size - 2] = '\0';
    }
    return put(list, line, strlen(line));
}

/* "-" before the path: it may be missing. */
static int put_file(struct list *list, const char *path, struct fault *fault) {
    bool optional = *path == '-';
    path += optional;
    scoped_free char *data = NULL;
    size_t length;
    int error = file_read(AT_FDCWD, path, FILE_MOST, &data, &length, fault);
    if (error == -ENOENT && optional)
        return 0;
    if (error)
        return error;
    if (strlen(data) != length)
        return fault_say(fault, -EINVAL, "\"%s\" contains a NUL", path);
    char *rest = data;
    unsigned number = 0;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        number++;
        error = put_line(list, line);
        if (error == -EINVAL)
            return fault_say(fault, error, "%s:%u: not of the form NAME=value", path, number);
        if (error)
            return fault_set(fault, error, "cannot read \"%s\"", path);
    }
    return 0;
}

static int put_own(struct list *list, const struct container *container,
                   const struct run_request *request, struct fault *fault) {
    char unit[192];
    snprintf(unit, sizeof unit, "RINGFENCE_UNIT=%s", container->name);
    const char *const first[] = {PATH_DEFAULT, "container=ringfence", unit};
    int error = 0;
    for (size_t i = 0; i < ELEMENTS(first) && !error; i++)
        error = put(list, first[i], strlen(first[i]));
    bool terminal = request->tty || (container->process.tty && request->place == RUN_MAIN);
    if (!error && terminal) /* what every terminal emulator understands; the unit may know better */
        error = put(list, TERM_DEFAULT, strlen(TERM_DEFAULT));
    if (error)
        return fault_set(fault, error, "cannot set the environment");
    const struct strings *files = &container->process.environment_files;
    for (size_t i = 0; i < files->count && !error; i++)
        error = put_file(list, files->items[i], fault);
    return error;
}

static int put_listen(struct list *list, const struct run_request *request) {
    char number[32];
    scoped_free char *named = NULL;
    if (request->listen_count == 0)
        return 0;
    if (asprintf(&named, "LISTEN_FDNAMES=%s", request->listen_names) < 0) {
        named = NULL;
        return -ENOMEM;
    }
    snprintf(number, sizeof number, "LISTEN_FDS=%zu", request->listen_count);
    int error = put(list, number, strlen(number));
    if (!error)
        error = put(list, named, strlen(named));
    return error ? error : put(list, PID_OF_LISTEN, strlen(PID_OF_LISTEN));
}

static int put_watchdog(struct list *list, const struct run_request *request) {
    char time[48];
    if (request->watchdog == 0)
        return 0;
    int length =
        snprintf(time, sizeof time, "WATCHDOG_USEC=%llu", (unsigned long long)request->watchdog);
    int error = put(list, time, (size_t)length);
    return error ? error : put(list, PID_OF_WATCHDOG, strlen(PID_OF_WATCHDOG));
}

static char **place_of(const struct list *list, const char *item, bool used) {
    return used ? &list->items[find(list, item)] : NULL;
}

int environment_prepare(const struct container *container, const struct run_request *request,
                        struct environment *ret_environment, struct fault *fault) {
    struct list list = {0};
    bool own_home = false;
    int error = put_own(&list, container, request, fault);
    if (!error) {
        error = put_all(&list, &container->process.environment);
        if (!error)
            error = put_all(&list, request->environment);
        if (!error)
            error = put_listen(&list, request);
        if (!error)
            error = put_watchdog(&list, request);
        own_home = find(&list, "HOME=") >= 0;
        if (!error && !own_home)
            error = put(&list, "HOME=/", strlen("HOME=/"));
        if (error)
            fault_set(fault, error, "cannot set the environment");
    }
    struct environment environment = {.items = list.items};
    if (error) {
        environment_free(&environment);
        return error;
    }
    if (!own_home)
        environment.home = &list.items[list.count - 1];
    environment.pids[0] = place_of(&list, PID_OF_LISTEN, request->listen_count > 0);
    environment.pids[1] = place_of(&list, PID_OF_WATCHDOG, request->watchdog > 0);
    *ret_environment = environment;
    return 0;
}

void environment_free(struct environment *environment) {
    for (char **item = environment->items; item && *item; item++)
        free(*item);
    free(environment->items);
    *environment = (struct environment){0};
}
