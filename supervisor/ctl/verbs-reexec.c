#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "supervisor/ctl/found.h"
#include "supervisor/ctl/output.h"
#include "supervisor/ctl/view.h"
#include "units/base/number.h"

#define PATIENCE (30 * USEC_PER_SEC)

const struct flag reexec_flags[] = {
    {"timeout", 0, "DURATION", "how long the new manager may take to answer (30s)"},
    {0},
};

/* What there is to tell of a manager: its version, and which process each unit has. */
struct moment {
    char *version;
    struct views views;
};

static void moment_free(struct moment *moment) {
    free(moment->version);
    views_free(&moment->views);
}
SCOPED(moment_free, struct moment *)

static int moment_read(sd_bus *bus, struct moment *moment, struct fault *fault) {
    int code = client_property(bus, "Version", &moment->version, fault);
    return code == EXIT_OK ? views_list(bus, NULL, &moment->views, fault) : code;
}

/* The old manager is gone when its end of the connection is: who answers then is the next one. */
static int wait_for_next(const struct tool *tool, sd_bus *old, uint64_t patience, sd_bus **ret_bus,
                         struct fault *fault) {
    struct pollfd ended = {sd_bus_get_fd(old), POLLRDHUP, 0};
    scoped_text struct text time = {0};
    uint64_t wait_ms = patience / 1000 < INT_MAX ? patience / 1000 : INT_MAX;
    uint64_t deadline = client_now() + patience;
    int code = EXIT_UNREACHABLE;
    if (poll(&ended, 1, (int)wait_ms) == 1)
        code = client_await(tool, deadline, ret_bus, fault);
    duration_print(&time, patience);
    if (code == EXIT_UNREACHABLE)
        fault_say(fault, ETIMEDOUT, "no manager has answered for %s; the services go on",
                  time.data ? time.data : "long");
    return code;
}

/* Units whose process is another one than before, or gone: lost, or ended in between. */
static size_t compare(const struct moment *before, const struct moment *after, struct text *json) {
    size_t changed = 0;
    for (size_t i = 0; i < before->views.count; i++) {
        const struct view *old = &before->views.items[i];
        const struct view *now = views_find(&after->views, old->name);
        uint32_t pid = now ? now->main_pid : 0;
        if (!old->main_pid || old->main_pid == pid)
            continue;
        changed++;
        if (json) {
            json_open(json, NULL, '{');
            json_string(json, "unit", old->name);
            json_unsigned(json, "before", old->main_pid);
            json_unsigned(json, "after", pid);
            json_close(json, '}');
        } else if (pid) {
            printf("%s: process %u before, %u now\n", old->name, old->main_pid, pid);
        } else {
            printf("%s: process %u before, none now\n", old->name, old->main_pid);
        }
    }
    return changed;
}

static int tell(const struct tool *tool, const struct moment *before, const struct moment *after,
                const struct found *found) {
    scoped_text struct text text = {0};
    size_t changed;
    if (!tool->json) {
        changed = compare(before, after, NULL);
        for (size_t i = 0; i < found->lost_count; i++)
            printf("%s: lost: %s\n", found->lost[i].unit, found->lost[i].why);
        printf("units found again: %" PRIu64 ", lost: %zu; ringfence %s -> %s\n", found->count,
               found->lost_count, before->version, after->version);
        return changed || found->lost_count ? EXIT_FAILED : EXIT_OK;
    }
    output_json_begin(&text);
    json_string(&text, "before", before->version);
    json_string(&text, "after", after->version);
    found_json(found, &text);
    json_open(&text, "changed", '[');
    changed = compare(before, after, &text);
    json_close(&text, ']');
    int code = output_json_end(&text);
    return code != EXIT_OK ? code : changed || found->lost_count ? EXIT_FAILED : EXIT_OK;
}

int verb_reexec(const struct tool *tool, const struct arguments *arguments) {
    scoped(sd_bus_flush_close_unref) sd_bus *old = NULL, *next = NULL;
    struct moment before = {0}, after = {0};
    scoped(moment_free) struct moment *held_before = &before, *held_after = &after;
    const char *timeout = arguments_value(arguments, "timeout");
    uint64_t patience = PATIENCE;
    scoped_found struct found found = {0};
    struct fault fault;

    if (timeout && (duration_parse(timeout, &patience) < 0 || patience == DURATION_OFF))
        return tool_fail(EXIT_USAGE, "--timeout=%s: a duration, as \"30s\"", timeout);
    int code = client_open(tool, &old, &fault);
    if (code == EXIT_OK)
        code = moment_read(old, held_before, &fault);
    if (code == EXIT_OK)
        code = client_call(old, "Reexec", NULL, &fault, NULL);
    if (code == EXIT_OK)
        code = wait_for_next(tool, old, patience, &next, &fault);
    if (code == EXIT_OK)
        code = moment_read(next, held_after, &fault);
    if (code == EXIT_OK)
        code = found_read(next, &found, &fault);
    return code == EXIT_OK ? tell(tool, held_before, held_after, &found)
                           : tool_fail(code, "cannot replace the programs: %s", fault.text);
}
