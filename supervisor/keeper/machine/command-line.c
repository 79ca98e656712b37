#include "supervisor/keeper/machine/command-line.h"

#include <stdlib.h>
#include <string.h>

#include "supervisor/keeper/plain.h"
#include "units/base/names.h"
#include "units/base/scoped.h"

#define PREFIX "ringfence."

enum { SECONDS_MOST = 24 * 60 * 60, ROOT_WAIT = 30 };

/* ---- values: each function returns what is wanted where it gets something else ---- */

static const char *read_seconds(const char *value, int *ret_seconds) {
    char *end = NULL;
    long seconds = strtol(value, &end, 10);
    if (!*value || *end || seconds < 0 || seconds > SECONDS_MOST)
        return "a number of seconds, at most those of a day";
    *ret_seconds = (int)seconds;
    return NULL;
}

/* "ringfence.log_dir=DIR" becomes "--log-dir=DIR", in the same place. */
static const char *take_option(struct command_line *line, char *value) {
    if (!*value)
        return "a value";
    char *word = value - 1;
    for (*word = '='; *--word != '.';)
        if (*word == '_')
            *word = '-';
    word[-1] = word[0] = '-';
    word--;
    if (line->option_count < COMMAND_LINE_OPTIONS)
        line->options[line->option_count++] = word;
    return NULL;
}

static const char *take_rescue(struct command_line *line, char *value) {
    static char shell[] = "/bin/sh";
    if (*value != '/' && strcmp(value, "0") != 0 && strcmp(value, "1") != 0)
        return "0, 1 or the path of a program";
    line->rescue = *value == '0' ? NULL : *value == '1' ? shell : value;
    return NULL;
}

static const char *take_log_level(struct command_line *line, char *value) {
    static const char *const levels[] = {"error", "warning", "notice", "info", "debug"};
    for (size_t i = 0; i < ELEMENTS(levels); i++)
        if (strcmp(value, levels[i]) == 0)
            return take_option(line, value);
    return "error, warning, notice, info or debug";
}

static const char *take_watchdog(struct command_line *line, char *value) {
    return read_seconds(value, &line->watchdog);
}

static const char *take_overlay(struct command_line *line, char *value) {
    line->overlay = *value ? value : NULL;
    return *value ? NULL : "a block device, or tmpfs";
}

static const char *take_factory_reset(struct command_line *line, char *value) {
    if (*value)
        return "no value";
    line->factory_reset = true;
    return NULL;
}

static const char *take_root(struct command_line *line, char *value) {
    line->root = value;
    return NULL;
}

static const char *take_root_type(struct command_line *line, char *value) {
    line->root_type = value;
    return NULL;
}

static const char *take_root_options(struct command_line *line, char *value) {
    line->root_options = value;
    return NULL;
}

static const char *take_init(struct command_line *line, char *value) {
    line->init = value;
    return NULL;
}

static const char *take_writable(struct command_line *line, char *value) {
    (void)value;
    line->root_writable = true;
    return NULL;
}

static const char *take_readonly(struct command_line *line, char *value) {
    (void)value;
    line->root_writable = false;
    return NULL;
}

/* Without a number it means for ever, to the kernel and to us. */
static const char *take_root_wait(struct command_line *line, char *value) {
    line->root_wait = -1;
    return *value ? read_seconds(value, &line->root_wait) : NULL;
}

/* ringfenced.8.scd is their manual. What has no prefix of ours is the kernel's own. */
static const struct word {
    const char *name;
    const char *(*parse)(struct command_line *line, char *value);
} words[] = {
    {PREFIX "cgroup", take_option},
    {PREFIX "config", take_option},
    {PREFIX "factory_reset", take_factory_reset},
    {PREFIX "log_dir", take_option},
    {PREFIX "log_level", take_log_level},
    {PREFIX "overlay", take_overlay},
    {PREFIX "rescue", take_rescue},
    {PREFIX "runtime_dir", take_option},
    {PREFIX "state_dir", take_option},
    {PREFIX "target", take_option},
    {PREFIX "units", take_option},
    {PREFIX "watchdog", take_watchdog},
    {"init", take_init},
    {"ro", take_readonly},
    {"root", take_root},
    {"rootflags", take_root_options},
    {"rootfstype", take_root_type},
    {"rootwait", take_root_wait},
    {"rw", take_writable},
};

static const struct word *find_word(const char *name) {
    for (size_t i = 0; i < ELEMENTS(words); i++)
        if (strcmp(words[i].name, name) == 0)
            return &words[i];
    return NULL;
}

static void complain_unknown(const char *name) {
    const char *names[ELEMENTS(words)];
    size_t count = 0;
    while (count < ELEMENTS(words) && strchr(words[count].name, '.')) {
        names[count] = words[count].name + strlen(PREFIX);
        count++;
    }
    const char *nearest = names_nearest(name + strlen(PREFIX), names, count);
    say("kernel command line: unknown key %s%s%s%s", name, nearest ? "; did you mean " PREFIX : "",
        nearest ? nearest : "", nearest ? "?" : "");
}

/* ---- words ---- */

/* To the kernel "-" and "_" are the same in a name, and to us. */
static void take_word(struct command_line *line, char *word) {
    char *value = strchr(word, '=');
    char *end = value ? value : strchr(word, '\0');
    if (value)
        *value++ = '\0';
    if (strncmp(word, PREFIX, strlen(PREFIX)) == 0)
        for (char *at = word; at < end; at++)
            if (*at == '-')
                *at = '_';
    const struct word *known = find_word(word);
    if (!known) {
        if (strncmp(word, PREFIX, strlen(PREFIX)) == 0)
            complain_unknown(word);
        return;
    }
    const char *wanted = known->parse(line, value ? value : end);
    if (wanted)
        say("kernel command line: %s wants %s", known->name, wanted);
}

/* Ends the word at `from` and takes the quotes out of it, which keep blanks together; returns where
 * the rest begins. */
static char *end_word(char *from) {
    bool quoted = false;
    char *to = from;
    for (; *from && (quoted || !strchr(" \t\n", *from)); from++) {
        if (*from == '"')
            quoted = !quoted;
        else
            *to++ = *from;
    }
    char *rest = *from ? from + 1 : from;
    *to = '\0';
    return rest;
}

void command_line_read(struct command_line *ret_line) {
    *ret_line = (struct command_line){.watchdog = -1, .root_wait = ROOT_WAIT};
    read_text("/proc/cmdline", ret_line->text, sizeof ret_line->text);
    for (char *word = ret_line->text, *rest; *word; word = rest) {
        rest = end_word(word);
        /* What follows is the init's own, and the kernel gives it to us as arguments. */
        if (strcmp(word, "--") == 0)
            return;
        if (*word)
            take_word(ret_line, word);
    }
}
