#include <stdio.h>
#include <string.h>

#include "supervisor/ctl/output.h"
#include "supervisor/ctl/tool.h"
#include "units/base/scoped.h"

/* ---- help ---- */

static void add_flags(const struct flag *flags, struct text *text) {
    for (; flags && flags->name; flags++) {
        char words[64], letter[8] = "    ";
        if (flags->letter)
            snprintf(letter, sizeof(letter), "-%c, ", flags->letter);
        snprintf(words, sizeof(words), "%s--%s%s%s", letter, flags->name,
                 flags->argument ? " " : "", flags->argument ? flags->argument : "");
        text_format(text, "  %-28s %s\n", words, flags->help);
    }
}

static void add_json(const struct verb *verb, struct text *text) {
    if (verb->json)
        text_format(text, "  %-28s %s\n", "    --json", "as JSON, for programs");
}

static void add_verb(const struct tool *tool, const struct verb *verb, struct text *text) {
    text_format(text, "usage: ringfence %s%s%s%s\n\n%s\n", verb->name,
                verb->flags || verb->json ? " [OPTION...]" : "", verb->arguments[0] ? " " : "",
                verb->arguments, verb->help);
    text_add(text, "\n");
    output_colour(tool, text, COLOUR_BOLD, "Options");
    text_add(text, "\n");
    add_flags(verb->flags, text);
    add_json(verb, text);
    add_flags(tool_flags, text);
}

static void add_everything(const struct tool *tool, struct text *text) {
    text_add(text, "usage: ringfence [OPTION...] VERB [ARGUMENT...]\n\n");
    output_colour(tool, text, COLOUR_BOLD, "Verbs");
    text_add(text, "\n");
    for (const struct verb *verb = verbs; verb->name; verb++) {
        char words[64];
        snprintf(words, sizeof(words), "%s %s", verb->name, verb->arguments);
        bool fits = strlen(words) <= 28;
        if (!fits)
            text_format(text, "  %s\n", words);
        text_format(text, "  %-28s %s\n", fits ? words : "", verb->help);
    }
    text_add(text, "\n");
    output_colour(tool, text, COLOUR_BOLD, "Options of every verb");
    text_add(text, "\n");
    add_flags(tool_flags, text);
    text_add(text, "\nExit codes: 0 done, 1 failed, 2 usage, 3 not running, 4 not permitted (of "
                   "status and\nis-active: unknown), 5 no such unit, 6 invalid unit, 7 manager "
                   "unreachable; of exec\nthe program's own, 125 failed, 126 not executable, 127 "
                   "not found, 128+N by a signal.\n");
}

int help_print(const struct tool *tool, const struct verb *verb) {
    scoped_text struct text text = {0};

    if (verb)
        add_verb(tool, verb, &text);
    else
        add_everything(tool, &text);
    return output_print(tool, &text);
}

int verb_help(const struct tool *tool, const struct arguments *arguments) {
    const struct verb *verb = arguments->count ? verb_find(arguments->operands[0]) : NULL;

    if (arguments->count && !verb)
        return verb_refuse(arguments->operands[0]);
    return help_print(tool, verb);
}
