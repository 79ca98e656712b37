#include <poll.h>
#include <string.h>

#include "supervisor/ctl/output.h"
#include "supervisor/ctl/view.h"
#include "supervisor/log/reader.h"
#include "units/base/number.h"
#include "units/set.h"

const struct flag logs_flags[] = {
    {"follow", 'f', NULL, "go on as more is written"},
    {"lines", 'n', "N", "the last N lines only"},
    {"since", 0, "DURATION", "nothing older than this, as \"10min\""},
    {"log-dir", 0, "DIR", "read this directory, without asking the manager"},
    {0},
};

#define LOG_DIRECTORY "/var/log/ringfence"

/* The logs outlive the manager: without one, those of the default place are read. */
static int find_directory(const struct tool *tool, const struct arguments *arguments,
                          char **ret_directory) {
    scoped(sd_bus_flush_close_unref) sd_bus *bus = NULL;
    const char *given = arguments_value(arguments, "log-dir");
    struct fault fault;

    if (given) {
        *ret_directory = strdup(given);
        return *ret_directory ? EXIT_OK : tool_fail(EXIT_FAILED, "out of memory");
    }
    int code = client_open(tool, &bus, &fault);
    if (code == EXIT_OK)
        code = client_property(bus, "LogDirectory", ret_directory, &fault);
    if (code == EXIT_UNREACHABLE && access(LOG_DIRECTORY, F_OK) == 0) {
        tool_fail(code, "%s; reading \"" LOG_DIRECTORY "\"", fault.text);
        *ret_directory = strdup(LOG_DIRECTORY);
        return *ret_directory ? EXIT_OK : tool_fail(EXIT_FAILED, "out of memory");
    }
    if (code != EXIT_OK)
        return tool_fail(code,
                         code == EXIT_UNREACHABLE ? "%s; --log-dir DIR reads without it" : "%s",
                         fault.text);
    for (char **unit = arguments->operands; *unit; unit++) {
        scoped_view struct view view = {0};
        if ((code = view_read(bus, *unit, &view, &fault)) != EXIT_OK)
            return tool_fail(code, "%s", fault.text);
    }
    return EXIT_OK;
}

/* On a terminal, what a service wrote must not steer it. */
static int print_record(const struct tool *tool, const struct log_record *record, bool clean) {
    scoped_text struct text raw = {0}, text = {0};

    if (tool->json)
        log_record_json(&raw, record), text_add(&raw, "\n");
    else
        log_record_write(&raw, record);
    if (raw.data && clean)
        text_add_clean(&text, raw.data);
    const struct text *shown = clean ? &text : &raw;
    if (raw.failed || text.failed)
        return tool_fail(EXIT_FAILED, "out of memory");
    if (shown->length && fwrite(shown->data, 1, shown->length, stdout) != shown->length)
        return tool_fail(EXIT_FAILED, "cannot write: %s", strerror(errno));
    return EXIT_OK;
}

static int print_records(const struct tool *tool, struct log_reader *reader, bool follow) {
    bool clean = isatty(STDOUT_FILENO);
    struct log_record record;
    struct fault fault;

    for (;;) {
        int code, result;
        while ((result = log_reader_next(reader, &record, &fault)) > 0)
            if ((code = print_record(tool, &record, clean)) != EXIT_OK)
                return code;
        if (result < 0)
            return tool_fail(EXIT_FAILED, "%s", fault.text);
        if (fflush(stdout) != 0)
            return tool_fail(EXIT_FAILED, "cannot write: %s", strerror(errno));
        if (!follow)
            return EXIT_OK;
        struct pollfd waited = {.fd = log_reader_fd(reader), .events = POLLIN};
        if (poll(&waited, 1, -1) < 0 && errno != EINTR)
            return tool_fail(EXIT_FAILED, "cannot wait: %s", strerror(errno));
    }
}

static int check_names(char *const *names) {
    for (; *names; names++)
        if (!unit_name_is_valid(*names))
            return tool_fail(EXIT_NO_UNIT, "\"%s\" is not a unit's name", *names);
    return EXIT_OK;
}

int verb_logs(const struct tool *tool, const struct arguments *arguments) {
    const char *lines = arguments_value(arguments, "lines");
    const char *since = arguments_value(arguments, "since");
    scoped(log_reader_close) struct log_reader *reader = NULL;
    scoped_free char *directory = NULL;
    struct log_query query = {.units = (const char *const *)arguments->operands,
                              .unit_count = arguments->count,
                              .last = LOG_ALL,
                              .follow = arguments_value(arguments, "follow") != NULL};
    uint64_t usec;
    struct fault fault;
    int code;

    if (lines && number_parse(lines, &query.last) < 0)
        return tool_fail(EXIT_USAGE, "logs: \"%s\" is not a number of lines", lines);
    if (since && (duration_parse(since, &usec) < 0 || usec == DURATION_OFF))
        return tool_fail(EXIT_USAGE, "logs: \"%s\" is not a duration, as \"10min\"", since);
    if (since)
        query.since = output_now() - usec;
    if ((code = check_names(arguments->operands)) != EXIT_OK ||
        (code = find_directory(tool, arguments, &directory)) != EXIT_OK)
        return code;
    int error = log_reader_open(directory, &query, &reader, &fault);
    if (error < 0)
        return tool_fail(error == -EACCES ? EXIT_PERMISSION : EXIT_FAILED, "%s", fault.text);
    return print_records(tool, reader, query.follow);
}
