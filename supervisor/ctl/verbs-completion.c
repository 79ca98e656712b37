#include <string.h>

#include "supervisor/ctl/output.h"
#include "supervisor/ctl/tool.h"
#include "units/base/names.h"
#include "units/base/scoped.h"

/* What the shells have in common: units and keys as the tool itself tells them. */
#define UNITS "ringfence list 2>/dev/null | awk 'NR > 1 { print $1 }'"
#define KEYS "ringfence describe 2>/dev/null | awk '/^  [a-z_]+[.][a-z_.]+  / { print $1 }'"

static const struct flag json_flags[] = {{"json", 0, NULL, "as JSON, for programs"}, {0}};

/* ---- bash ---- */

static void add_flag_words(const struct flag *flags, struct text *text) {
    for (; flags && flags->name; flags++)
        text_format(text, " --%s", flags->name);
}

static void add_verb_words(struct text *text) {
    for (const struct verb *verb = verbs; verb->name; verb++)
        text_format(text, " %s", verb->name);
}

static void add_case(const struct verb *verb, struct text *text) {
    static const char *const offers[] = {
        [OPERANDS_NONE] = ":",
        [OPERANDS_UNITS] = "words=$(_ringfence_units)",
        [OPERANDS_FILES] = "COMPREPLY=($(compgen -f -- \"$word\")); return",
        [OPERANDS_KEYS] = "words=$(_ringfence_keys)",
        [OPERANDS_VERBS] = "words=$verbs",
    };
    text_format(text, "    %s)\n        flags=\"", verb->name);
    add_flag_words(verb->flags, text);
    if (verb->json)
        text_add(text, " --json");
    text_format(text, "\"\n        [[ $word == -* ]] || %s\n        ;;\n", offers[verb->operands]);
}

static void write_bash(struct text *text) {
    text_add(text, "# eval \"$(ringfence completion)\"\n"
                   "_ringfence_units() {\n"
                   "    " UNITS "\n"
                   "}\n"
                   "_ringfence_keys() {\n"
                   "    " KEYS "\n"
                   "}\n"
                   "_ringfence() {\n"
                   "    local word=${COMP_WORDS[COMP_CWORD]} verb= words= flags= i\n"
                   "    local common=\"");
    add_flag_words(tool_flags, text);
    text_add(text, "\" verbs=\"");
    add_verb_words(text);
    text_add(text, "\"\n"
                   "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
                   "        case ${COMP_WORDS[i]} in\n"
                   "        --runtime-dir | --color) i=$((i + 1)) ;;\n"
                   "        -*) ;;\n"
                   "        *) verb=${COMP_WORDS[i]}; break ;;\n"
                   "        esac\n"
                   "    done\n"
                   "    case $verb in\n"
                   "    '') words=$verbs ;;\n");
    for (const struct verb *verb = verbs; verb->name; verb++)
        add_case(verb, text);
    text_add(text, "    esac\n"
                   "    [[ $word == -* ]] && words=\"$flags $common\"\n"
                   "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
                   "}\n"
                   "complete -F _ringfence ringfence\n");
}

/* ---- zsh ---- */

/* A text between single quotes, with what else has a meaning there behind a backslash. */
static void add_quoted(struct text *text, const char *string, const char *special) {
    for (; *string; string++) {
        if (*string == '\'')
            text_add(text, "'\\");
        else if (strchr(special, *string))
            text_add(text, "\\");
        text_append(text, string, 1);
        if (*string == '\'')
            text_add(text, "'");
    }
}

/* '--lines[the last N lines only]:N:' */
static void add_zsh_flags(const struct flag *flags, struct text *text) {
    for (; flags && flags->name; flags++) {
        text_format(text, " \\\n            '*--%s[", flags->name);
        add_quoted(text, flags->help, "[]:\\");
        text_add(text, "]");
        if (flags->argument)
            text_format(text, ":%s:", flags->argument);
        if (flags->argument && strcmp(flags->argument, "DIR") == 0)
            text_add(text, "_files -/");
        text_add(text, "'");
    }
}

static void write_zsh(struct text *text) {
    static const char *const offers[] = {
        [OPERANDS_NONE] = "",
        [OPERANDS_UNITS] = " '*:unit:_ringfence_units'",
        [OPERANDS_FILES] = " '*:file:_files'",
        [OPERANDS_KEYS] = " '*:key:_ringfence_keys'",
        [OPERANDS_VERBS] = " '*:verb:_ringfence_verbs'",
    };
    text_add(text, "#compdef ringfence\n"
                   "_ringfence_units() { compadd -- ${(f)\"$(" UNITS ")\"} }\n"
                   "_ringfence_keys() { compadd -- ${(f)\"$(" KEYS ")\"} }\n"
                   "_ringfence_verbs() {\n"
                   "    local -a verbs=(");
    for (const struct verb *verb = verbs; verb->name; verb++) {
        text_format(text, "\n        '%s:", verb->name);
        add_quoted(text, verb->help, "\\");
        text_add(text, "'");
    }
    text_add(text, ")\n"
                   "    _describe verb verbs\n"
                   "}\n"
                   "_ringfence() {\n"
                   "    local state\n"
                   "    _arguments -C");
    add_zsh_flags(tool_flags, text);
    text_add(text, " \\\n            '1:verb:_ringfence_verbs' '*::argument:->arguments'\n"
                   "    [[ $state == arguments ]] || return\n"
                   "    case $words[1] in\n");
    for (const struct verb *verb = verbs; verb->name; verb++) {
        text_format(text, "    %s)\n        _arguments%s", verb->name, offers[verb->operands]);
        add_zsh_flags(verb->flags, text);
        add_zsh_flags(verb->json ? json_flags : NULL, text);
        add_zsh_flags(tool_flags, text);
        text_add(text, "\n        ;;\n");
    }
    text_add(text, "    esac\n"
                   "}\n"
                   "if [[ $funcstack[1] == _ringfence ]]; then\n" /* a file of $fpath */
                   "    _ringfence \"$@\"\n"
                   "else\n"
                   "    compdef _ringfence ringfence\n"
                   "fi\n");
}

/* ---- fish ---- */

/* complete -c ringfence CONDITION -l lines -s n -r -d 'the last N lines only' */
static void add_fish_flags(const struct flag *flags, const char *verb, struct text *text) {
    for (; flags && flags->name; flags++) {
        text_add(text, "complete -c ringfence");
        if (verb)
            text_format(text, " -n '__fish_seen_subcommand_from %s'", verb);
        text_format(text, " -l %s", flags->name);
        if (flags->letter)
            text_format(text, " -s %c", flags->letter);
        if (flags->argument)
            text_add(text, " -r");
        text_add(text, " -d '");
        for (const char *at = flags->help; *at; at++)
            text_format(text, "%s%c", strchr("'\\", *at) ? "\\" : "", *at);
        text_add(text, "'\n");
    }
}

static void add_fish_verb(const struct verb *verb, struct text *text) {
    static const char *const offers[] = {
        [OPERANDS_NONE] = NULL,
        [OPERANDS_UNITS] = "(__ringfence_units)",
        [OPERANDS_FILES] = NULL,
        [OPERANDS_KEYS] = "(__ringfence_keys)",
        [OPERANDS_VERBS] = "(__ringfence_verbs)",
    };
    text_format(text, "complete -c ringfence -n __fish_use_subcommand -a %s -d '", verb->name);
    for (const char *at = verb->help; *at; at++)
        text_format(text, "%s%c", strchr("'\\", *at) ? "\\" : "", *at);
    text_add(text, "'\n");
    if (offers[verb->operands])
        text_format(text, "complete -c ringfence -n '__fish_seen_subcommand_from %s' -a '%s'\n",
                    verb->name, offers[verb->operands]);
    if (verb->operands == OPERANDS_FILES)
        text_format(text, "complete -c ringfence -n '__fish_seen_subcommand_from %s' -F\n",
                    verb->name);
    add_fish_flags(verb->flags, verb->name, text);
    add_fish_flags(verb->json ? json_flags : NULL, verb->name, text);
}

static void write_fish(struct text *text) {
    text_add(text, "function __ringfence_units\n    " UNITS "\nend\n"
                   "function __ringfence_keys\n    " KEYS "\nend\n"
                   "function __ringfence_verbs\n    printf '%s\\n'");
    for (const struct verb *verb = verbs; verb->name; verb++)
        text_format(text, " %s", verb->name);
    text_add(text, "\nend\ncomplete -c ringfence -f\n");
    add_fish_flags(tool_flags, NULL, text);
    for (const struct verb *verb = verbs; verb->name; verb++)
        add_fish_verb(verb, text);
}

/* ---- the verb ---- */

static const char *const shell_words[] = {"bash", "fish", "zsh"};
static const struct names shells = NAMES(shell_words);
static void (*const writers[])(struct text *text) = {write_bash, write_fish, write_zsh};

int verb_completion(const struct tool *tool, const struct arguments *arguments) {
    scoped_text struct text text = {0};
    struct tool plain = *tool;
    int shell = arguments->count ? names_value(&shells, arguments->operands[0]) : 0;

    if (shell < 0)
        return tool_fail(EXIT_USAGE, "completion: \"%s\" is none of bash, fish and zsh",
                         arguments->operands[0]);
    writers[shell](&text);
    plain.pager = false;
    return output_print(&plain, &text);
}
