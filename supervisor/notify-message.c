#include "supervisor/notify-message.h"

#include <string.h>

#include "supervisor/fd-store.h"
#include "units/base/names.h"
#include "units/base/number.h"
#include "units/base/scoped.h"

/* What has one meaning alone. */
static const struct flag {
    const char *line;
    size_t offset; /* of a bool in struct notify_message */
    bool value;
} flags[] = {
#define SAID(member) offsetof(struct notify_message, said.member)
    {"READY=1", SAID(ready), true},
    {"STOPPING=1", SAID(stopping), true},
    {"RELOADING=1", SAID(reloading), true},
    {"RESTART_RESET=1", SAID(restart_reset), true},
    {"WATCHDOG=1", SAID(ping), true},
    {"WATCHDOG=trigger", SAID(trigger), true},
    {"MAINPIDFD=1", offsetof(struct notify_message, main_pidfd), true},
    {"FDSTORE=1", offsetof(struct notify_message, store), true},
    {"FDSTOREREMOVE=1", offsetof(struct notify_message, remove), true},
    {"FDPOLL=0", offsetof(struct notify_message, poll), false},
    {"BARRIER=1", offsetof(struct notify_message, barrier), true},
};

/* What names a number of microseconds, or a text. */
static const struct value {
    const char *name;
    bool is_number;
    size_t offset;
} values[] = {
    {"MONOTONIC_USEC=", true, SAID(monotonic)},
    {"WATCHDOG_USEC=", true, SAID(watchdog)},
    {"EXTEND_TIMEOUT_USEC=", true, SAID(extend)},
    {"STATUS=", false, SAID(status)},
    {"ERRNO=", false, SAID(errno_text)},
    {"BUSERROR=", false, SAID(bus_error)},
    {"EXIT_STATUS=", false, SAID(exit_status)},
    {"MAINPID=", false, offsetof(struct notify_message, main_pid)},
    {"FDNAME=", false, offsetof(struct notify_message, fd_name)},
#undef SAID
};

static const char *const access_items[] = {
    [ACCESS_ALL] = "NOTIFYACCESS=all",
    [ACCESS_EXEC] = "NOTIFYACCESS=exec",
    [ACCESS_MAIN] = "NOTIFYACCESS=main",
    [ACCESS_NONE] = "NOTIFYACCESS=none",
};
_Static_assert(ELEMENTS(access_items) == ACCESS_NONE + 1, "a line for every access");

static bool take_flag(const char *line, struct notify_message *message) {
    for (size_t i = 0; i < ELEMENTS(flags); i++)
        if (strcmp(line, flags[i].line) == 0) {
            *(bool *)((char *)message + flags[i].offset) = flags[i].value;
            return true;
        }
    for (int access = ACCESS_ALL; access <= ACCESS_NONE; access++)
        if (strcmp(line, access_items[access]) == 0) {
            message->said.access = (enum notify_access)access;
            return true;
        }
    return false;
}

static void take_value(const char *line, struct notify_message *message) {
    for (size_t i = 0; i < ELEMENTS(values); i++) {
        size_t length = strlen(values[i].name);
        if (strncmp(line, values[i].name, length) != 0)
            continue;
        char *place = (char *)message + values[i].offset;
        uint64_t number;
        if (!values[i].is_number)
            *(const char **)(void *)place = line + length;
        else if (number_parse(line + length, &number) >= 0)
            *(uint64_t *)(void *)place = number;
        return;
    }
}

/* 1 to 255 printable characters of ASCII, without ":". */
static bool is_name(const char *name) {
    size_t length = strlen(name);
    for (size_t i = 0; i < length; i++)
        if (name[i] < ' ' || name[i] > '~' || name[i] == ':')
            return false;
    return length > 0 && length <= FD_STORE_NAME_MAX;
}

void notify_message_parse(char *text, struct notify_message *ret_message) {
    struct notify_message message = {.said.main_pidfd = -1, .poll = true};
    for (char *line; (line = strsep(&text, "\n"));)
        if (!take_flag(line, &message))
            take_value(line, &message);
    if (message.fd_name && !is_name(message.fd_name))
        message.fd_name = NULL;
    *ret_message = message;
}
