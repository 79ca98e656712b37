#include <inttypes.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>

#include "supervisor/ctl/output.h"
#include "supervisor/ctl/view.h"
#include "supervisor/ctl/when.h"
#include "supervisor/log/reader.h"
#include "units/base/number.h"
#include "units/draft.h"
#include "units/set.h"
#include "units/unit.h"

const struct flag logs_flags[] = {
    {"follow", 'f', NULL, "go on as more is written"},
    {"lines", 'n', "N", "the last N lines only"},
    {"since", 0, "TIME", "nothing older than this: \"10min\", \"yesterday\", \"2026-11-21 20:00\""},
    {"until", 0, "TIME", "nothing younger than this"},
    {"no-prefix", 0, NULL, "what was written alone, without time and unit"},
    {"log-dir", 0, "DIR", "read this directory, without asking the manager"},
    {0},
};

#define LOG_DIRECTORY "/var/log/ringfence"

/* ---- what is asked for ---- */

struct question {
    struct log_query query;
    char *directory;
    char **units; /* their own names, where aliases were given */
    bool bare;
};

static void question_free(struct question *question) {
    for (char **unit = question->units; unit && *unit; unit++)
        free(*unit);
    free(question->units);
    free(question->directory);
}
#define scoped_question __attribute__((cleanup(question_free)))

/* The value of logging.driver as it would be written in the file; quotes and all. */
static int read_driver(sd_bus *bus, const char *unit, char **ret_driver, struct fault *fault) {
    scoped(sd_bus_message_unref) sd_bus_message *reply = NULL;
    scoped_free char *path = NULL;
    sd_bus_error answer = SD_BUS_ERROR_NULL;
    const char *name, *value;
    char title[64];
    int given, error = sd_bus_path_encode(BUS_UNIT_PATH, unit, &path);

    key_title(offsetof(struct unit, logging.driver), title, sizeof(title));
    if (error >= 0)
        error =
            sd_bus_get_property(bus, NULL, path, BUS_UNIT, "Settings", &answer, &reply, "a(ssb)");
    if (error < 0) {
        int code = client_error(&answer, error, fault);
        sd_bus_error_free(&answer);
        return code;
    }
    error = sd_bus_message_enter_container(reply, 'a', "(ssb)");
    while (error >= 0 && (error = sd_bus_message_read(reply, "(ssb)", &name, &value, &given)) > 0)
        if (strcmp(name, title) == 0) {
            *ret_driver = strdup(value);
            return EXIT_OK;
        }
    return error < 0 ? client_broken(error, fault) : EXIT_OK;
}

/* Aliases are resolved. Whose output goes elsewhere has, at most, old lines in files. */
static int resolve(sd_bus *bus, struct question *question, char *const *names,
                   struct fault *fault) {
    for (size_t i = 0; names[i]; i++) {
        scoped_view struct view view = {0};
        scoped_free char *driver = NULL;
        int code = view_read(bus, names[i], &view, fault);
        if (code == EXIT_OK)
            code = read_driver(bus, view.name, &driver, fault);
        if (code != EXIT_OK)
            return code;
        if (driver && strcmp(driver, "\"file\"") != 0)
            tool_fail(EXIT_OK, "the output of %s goes elsewhere: its log driver is %s", view.name,
                      driver);
        free(question->units[i]);
        question->units[i] = take(view.name);
    }
    return EXIT_OK;
}

/* The logs outlive the manager: without one, those of the default place are read. */
static int find_directory(const struct tool *tool, const struct arguments *arguments,
                          struct question *question) {
    scoped(sd_bus_flush_close_unref) sd_bus *bus = NULL;
    const char *given = arguments_value(arguments, "log-dir");
    struct fault fault;

    if (given) {
        question->directory = strdup(given);
        return question->directory ? EXIT_OK : tool_fail(EXIT_FAILED, "out of memory");
    }
    int code = client_open(tool, &bus, &fault);
    if (code == EXIT_OK)
        code = client_property(bus, "LogDirectory", &question->directory, &fault);
    if (code == EXIT_UNREACHABLE && access(LOG_DIRECTORY, F_OK) == 0) {
        tool_fail(code, "%s; reading \"" LOG_DIRECTORY "\"", fault.text);
        question->directory = strdup(LOG_DIRECTORY);
        return question->directory ? EXIT_OK : tool_fail(EXIT_FAILED, "out of memory");
    }
    if (code != EXIT_OK)
        return tool_fail(code,
                         code == EXIT_UNREACHABLE ? "%s; --log-dir DIR reads without it" : "%s",
                         fault.text);
    code = resolve(bus, question, arguments->operands, &fault);
    return code == EXIT_OK ? EXIT_OK : tool_fail(code, "%s", fault.text);
}

static int copy_names(struct question *question, const struct arguments *arguments) {
    question->units = calloc(arguments->count + 1, sizeof(*question->units));
    for (size_t i = 0; question->units && i < arguments->count; i++) {
        if (!unit_name_is_valid(arguments->operands[i]))
            return tool_fail(EXIT_NO_UNIT, "\"%s\" is not a unit's name", arguments->operands[i]);
        question->units[i] = strdup(arguments->operands[i]);
        if (!question->units[i])
            return tool_fail(EXIT_FAILED, "out of memory");
    }
    return question->units ? EXIT_OK : tool_fail(EXIT_FAILED, "out of memory");
}

static int read_time(const struct arguments *arguments, const char *flag, uint64_t *ret_time) {
    const char *given = arguments_value(arguments, flag);

    if (given && when_parse(given, output_now(), ret_time) < 0)
        return tool_fail(EXIT_USAGE,
                         "logs: \"%s\" is not a time, as \"10min\", \"yesterday\" or "
                         "\"2026-11-21 20:00\"",
                         given);
    return EXIT_OK;
}

static int read_question(const struct tool *tool, const struct arguments *arguments,
                         struct question *question) {
    struct log_query *query = &question->query;
    const char *lines = arguments_value(arguments, "lines");
    int code;

    query->last = LOG_ALL;
    query->follow = arguments_value(arguments, "follow") != NULL;
    question->bare = arguments_value(arguments, "no-prefix") != NULL;
    if (lines && strcmp(lines, "all") != 0 && number_parse(lines, &query->last) < 0)
        return tool_fail(EXIT_USAGE, "logs: \"%s\" is not a number of lines", lines);
    if (question->bare && tool->json)
        return tool_fail(EXIT_USAGE, "logs: --no-prefix and --json: one of the two");
    if ((code = read_time(arguments, "since", &query->since)) != EXIT_OK ||
        (code = read_time(arguments, "until", &query->until)) != EXIT_OK ||
        (code = copy_names(question, arguments)) != EXIT_OK ||
        (code = find_directory(tool, arguments, question)) != EXIT_OK)
        return code;
    query->units = (const char *const *)question->units;
    query->unit_count = arguments->count;
    return EXIT_OK;
}

/* ---- what is shown ---- */

/* A colour for each unit, always the same. */
static int unit_colour(const char *unit) {
    static const int colours[] = {32, 33, 34, 35, 36, 92, 93, 94, 95, 96};
    unsigned hash = 5381;
    for (; *unit; unit++)
        hash = hash * 33 + (unsigned char)*unit;
    return colours[hash % ELEMENTS(colours)];
}

static void add_coloured_head(struct text *text, const struct log_record *record) {
    char time[LOG_TIME_LENGTH + 1];
    log_time_print(record->time, time);
    text_format(text, "\x1b[2m%s\x1b[0m \x1b[%dm%s[%d]\x1b[0m %s%s%s%s: ", time,
                unit_colour(record->unit), record->unit, (int)record->pid,
                record->stream == LOG_OUT ? "" : "\x1b[31m", log_stream_word(record->stream),
                record->partial ? "+" : "", record->stream == LOG_OUT ? "" : "\x1b[0m");
}

/* On a terminal, what a service wrote must not steer it. Where the text alone is shown, the parts
 * of a line come together again. */
static int print_record(const struct tool *tool, const struct log_record *record, bool bare,
                        bool clean) {
    scoped_text struct text text = {0};
    char head[LOG_HEADER_MOST];

    if (tool->json) {
        log_record_json(&text, record);
    } else {
        if (!bare && tool->colour)
            add_coloured_head(&text, record);
        else if (!bare)
            text_append(&text, head, log_record_head(record, head));
        if (clean)
            text_add_clean_bytes(&text, record->text, record->length);
        else if (record->length > 0)
            text_append(&text, record->text, record->length);
    }
    if (!bare || !record->partial)
        text_add(&text, "\n");
    if (text.failed)
        return tool_fail(EXIT_FAILED, "out of memory");
    if (text.length && fwrite(text.data, 1, text.length, stdout) != text.length)
        return tool_fail(EXIT_FAILED, "cannot write: %s", strerror(errno));
    return EXIT_OK;
}

/* How long to wait for more (ms); -1: for ever. */
static int patience(const struct log_query *query) {
    uint64_t now = output_now();
    if (!query->until)
        return -1;
    uint64_t left = query->until > now ? (query->until - now) / 1000 + 1 : 0;
    return left < INT32_MAX ? (int)left : INT32_MAX;
}

static int print_records(const struct tool *tool, struct log_reader *reader,
                         const struct question *question) {
    bool clean = isatty(STDOUT_FILENO);
    struct log_record record;
    struct fault fault;

    for (;;) {
        int code, result;
        while ((result = log_reader_next(reader, &record, &fault)) > 0)
            if ((code = print_record(tool, &record, question->bare, clean)) != EXIT_OK)
                return code;
        if (result < 0)
            return tool_fail(EXIT_FAILED, "%s", fault.text);
        if (fflush(stdout) != 0)
            return tool_fail(EXIT_FAILED, "cannot write: %s", strerror(errno));
        int wait = patience(&question->query);
        if (!question->query.follow || wait == 0)
            return EXIT_OK;
        struct pollfd waited = {.fd = log_reader_fd(reader), .events = POLLIN};
        if (poll(&waited, 1, wait) < 0 && errno != EINTR)
            return tool_fail(EXIT_FAILED, "cannot wait: %s", strerror(errno));
    }
}

int verb_logs(const struct tool *tool, const struct arguments *arguments) {
    scoped(log_reader_close) struct log_reader *reader = NULL;
    scoped_question struct question question = {0};
    struct fault fault;

    int code = read_question(tool, arguments, &question);
    if (code != EXIT_OK)
        return code;
    int error = log_reader_open(question.directory, &question.query, &reader, &fault);
    if (error < 0)
        return tool_fail(error == -EACCES ? EXIT_PERMISSION : EXIT_FAILED, "%s", fault.text);
    return print_records(tool, reader, &question);
}
