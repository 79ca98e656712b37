#include "supervisor/ctl/output.h"

#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "supervisor/ctl/tool.h"
#include "units/base/number.h"
#include "units/base/scoped.h"

#define JSON_VERSION 1

/* ---- colour ---- */

static const char *const escapes[] = {
    [COLOUR_NONE] = "",         [COLOUR_GOOD] = "\x1b[32m", [COLOUR_BAD] = "\x1b[31m",
    [COLOUR_BUSY] = "\x1b[33m", [COLOUR_DIM] = "\x1b[2m",   [COLOUR_BOLD] = "\x1b[1m",
};
static_assert(ELEMENTS(escapes) == COLOURS, "an escape for each");

void output_choose(struct tool *tool) {
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
    bool terminal = isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;

    tool->colour = terminal && !(no_color && no_color[0]);
    tool->pager = terminal;
}

bool output_choose_colour(struct tool *tool, const char *when) {
    if (strcmp(when, "always") == 0)
        tool->colour = true;
    else if (strcmp(when, "never") == 0)
        tool->colour = false;
    else
        return strcmp(when, "auto") == 0;
    return true;
}

void output_colour(const struct tool *tool, struct text *text, enum colour colour,
                   const char *string) {
    bool coloured = tool->colour && colour != COLOUR_NONE;

    if (coloured)
        text_add(text, escapes[colour]);
    text_add(text, string);
    if (coloured)
        text_add(text, "\x1b[0m");
}

enum colour output_state_colour(const char *state) {
    static const struct {
        const char *state;
        enum colour colour;
    } colours[] = {
        {"ready", COLOUR_GOOD},    {"listening", COLOUR_GOOD}, {"reloading", COLOUR_GOOD},
        {"failed", COLOUR_BAD},    {"invalid", COLOUR_BAD},    {"waiting", COLOUR_BUSY},
        {"created", COLOUR_BUSY},  {"starting", COLOUR_BUSY},  {"restarting", COLOUR_BUSY},
        {"stopping", COLOUR_BUSY},
    };
    for (size_t i = 0; i < ELEMENTS(colours); i++)
        if (strcmp(colours[i].state, state) == 0)
            return colours[i].colour;
    return COLOUR_DIM;
}

/* ---- writing ---- */

static bool is_longer_than_terminal(const struct text *text) {
    struct winsize size;
    size_t lines = 0;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row == 0)
        return false;
    for (size_t i = 0; i < text->length; i++)
        lines += text->data[i] == '\n';
    return lines >= size.ws_row;
}

/* False where no pager could be started; then nothing was written. */
static bool page(const struct text *text) {
    const char *pager = getenv("RINGFENCE_PAGER");
    if (!pager)
        pager = getenv("PAGER");
    if (!pager)
        pager = "less";
    if (!pager[0] || strcmp(pager, "cat") == 0)
        return false;
    setenv("LESS", "FRX", 0);
    signal(SIGPIPE, SIG_IGN); /* who leaves the pager early wants no more */
    FILE *pipe = popen(pager, "we");
    if (!pipe)
        return false;
    fwrite(text->data, 1, text->length, pipe);
    int status = pclose(pipe);
    return status >= 0 && !(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NOT_FOUND);
}

int output_print(const struct tool *tool, struct text *text) {
    if (text->failed)
        return tool_fail(EXIT_FAILED, "out of memory");
    if (text->length == 0 || (tool->pager && is_longer_than_terminal(text) && page(text)))
        return EXIT_OK;
    if (fwrite(text->data, 1, text->length, stdout) != text->length || fflush(stdout) != 0)
        return tool_fail(EXIT_FAILED, "cannot write: %s", strerror(errno));
    return EXIT_OK;
}

void output_json_begin(struct text *text) {
    json_open(text, NULL, '{');
    json_unsigned(text, "version", JSON_VERSION);
}

int output_json_end(struct text *text) {
    static const struct tool plain = {0};
    json_close(text, '}');
    text_add(text, "\n");
    return output_print(&plain, text);
}

/* ---- times and sizes ---- */

uint64_t output_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
}

void output_duration(struct text *text, uint64_t usec) {
    static const struct {
        const char *word;
        uint64_t seconds;
    } parts[] = {{"d", 86400}, {"h", 3600}, {"min", 60}, {"s", 1}};
    uint64_t seconds = usec / USEC_PER_SEC;
    int shown = 0;

    if (seconds == 0) {
        text_format(text, "%" PRIu64 "ms", usec / 1000);
        return;
    }
    for (size_t i = 0; i < ELEMENTS(parts) && shown < 2; i++) {
        uint64_t count = seconds / parts[i].seconds;
        seconds %= parts[i].seconds;
        if (count == 0 && shown == 0)
            continue;
        if (count)
            text_format(text, "%s%" PRIu64 "%s", shown ? " " : "", count, parts[i].word);
        shown++;
    }
}

void output_time(struct text *text, uint64_t realtime) {
    time_t seconds = (time_t)(realtime / USEC_PER_SEC);
    struct tm broken;
    char buffer[64];

    if (!localtime_r(&seconds, &broken) ||
        strftime(buffer, sizeof(buffer), "%Y-%m-%d %H:%M:%S", &broken) == 0)
        return;
    text_add(text, buffer);
}

void output_size(struct text *text, uint64_t bytes) {
    static const char units[] = "BKMGTP";
    double value = (double)bytes;
    size_t unit = 0;

    if (bytes == SIZE_NONE) {
        text_add(text, "max");
        return;
    }
    while (value >= 1023.5 && unit + 2 < sizeof(units)) {
        value /= 1024;
        unit++;
    }
    if (unit > 0 && value < 9.95 && value - (double)(uint64_t)value >= 0.05)
        text_format(text, "%.1f%c", value, units[unit]);
    else
        text_format(text, "%.0f%c", value, units[unit]);
}
