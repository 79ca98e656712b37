#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/keeper/keeper.h"
#include "units/base/scoped.h"

enum option {
    FOREGROUND,
    UNITS,
    RUNTIME,
    STATE,
    LOG,
    CGROUP,
    CONFIG,
    TARGET,
    LOG_LEVEL,
    RESUME,
    HELP,
    VERSION
};

static const struct {
    const char *name, *value, *help;
} table[] = {
    [FOREGROUND] = {"--foreground", NULL, "stop with the terminal; as PID 1, speak on it"},
    [UNITS] = {"--units", "DIR", "unit files, instead of the standard path; repeatable"},
    [RUNTIME] = {"--runtime-dir", "DIR", "sockets and other things of this boot [/run/ringfence]"},
    [STATE] = {"--state-dir", "DIR", "what outlives a boot [/var/lib/ringfence]"},
    [LOG] = {"--log-dir", "DIR", "the services' output [/var/log/ringfence]"},
    [CGROUP] = {"--cgroup", "PATH", "the cgroup below which units get theirs, or ../NAME"},
    [CONFIG] = {"--config", "FILE", "the host's file [/etc/ringfence/ringfence.conf]"},
    [TARGET] = {"--target", "UNIT", "what is started, instead of what the host's file says"},
    [LOG_LEVEL] = {"--log-level", "WORD", "error, warning, notice, info or debug [info]"},
    [RESUME] = {"--resume", NULL, "go on in the place of another; it gives this to its successor"},
    [HELP] = {"--help", NULL, "this text"},
    [VERSION] = {"--version", NULL, "the version"},
};

static const char usage[] = "usage: ringfenced [OPTION]...\n";

static void print_help(void) {
    printf("%sKeeps the declared services alive. SIGTERM stops them all, SIGHUP reloads.\n\n",
           usage);
    for (size_t i = 0; i < ELEMENTS(table); i++)
        printf("  %-14s %-4s  %s\n", table[i].name, table[i].value ? table[i].value : "",
               table[i].help);
}

/* The option that a word is: "--name", or "--name=value" for one that takes a value; or -1. */
static int find(const char *word) {
    for (size_t i = 0; i < ELEMENTS(table); i++) {
        size_t length = strlen(table[i].name);
        if (strncmp(word, table[i].name, length) == 0 &&
            (word[length] == '\0' || (word[length] == '=' && table[i].value)))
            return (int)i;
    }
    return -1;
}

static int complain(const char *what, const char *word) {
    fprintf(stderr, "ringfenced: %s: %s\n%s--help lists the options\n", what, word, usage);
    return -EINVAL;
}

static int answer(int option) {
    if (option == HELP)
        print_help();
    else
        printf("ringfenced %s\n", RINGFENCE_VERSION);
    return 1;
}

int options_parse(int argc, char **argv, bool lenient, struct options *ret_options) {
    struct options options = {.runtime_directory = "/run/ringfence",
                              .log_directory = "/var/log/ringfence",
                              .logd = {"ringfence-logd", "--runtime-dir", NULL, "--log-dir"}};
    int passed = 0, repeated = 0;
    scoped_free char **words = calloc((size_t)argc + 2, sizeof(char *));
    scoped_free char **again = calloc((size_t)argc + 2, sizeof(char *));
    if (!words || !again)
        return complain("out of memory", argv[0]);
    words[passed++] = "ringfence-manager";
    again[repeated++] = argv[0];
    again[repeated++] = "--resume";

    for (int at = 1, next; at < argc; at = next) {
        char *value = NULL, *word = argv[at];
        int option = find(word);
        next = at + 1;
        if (option >= 0 && table[option].value) {
            char *sign = strchr(word, '=');
            value = sign ? sign + 1 : next < argc ? argv[next++] : "";
        }
        bool empty = value && !*value, asked = option == HELP || option == VERSION;
        if (lenient && (option < 0 || empty || asked))
            continue;
        if (option < 0)
            return complain(*word == '-' ? "unknown option" : "unexpected argument", word);
        if (empty)
            return complain("a value is missing", table[option].name);
        if (asked)
            return answer(option);
        options.foreground |= option == FOREGROUND;
        options.resumed |= option == RESUME;
        if (option == RUNTIME)
            options.runtime_directory = value;
        if (option == LOG)
            options.log_directory = value;
        for (int i = at; i < next && option != RESUME; i++)
            words[passed++] = again[repeated++] = argv[i];
    }
    options.passed_on = take(words);
    options.again = take(again);
    options.logd[2] = options.runtime_directory;
    options.logd[4] = options.log_directory;
    *ret_options = options;
    return 0;
}
