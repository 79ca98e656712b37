#include "supervisor/ctl/arguments.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "units/base/fault.h"
#include "units/base/names.h"

static const struct flag *find_name(const struct flag *flags, const char *name, size_t length) {
    for (; flags && flags->name; flags++)
        if (strlen(flags->name) == length && strncmp(flags->name, name, length) == 0)
            return flags;
    return NULL;
}

static const struct flag *find_letter(const struct flag *flags, char letter) {
    for (; flags && flags->name; flags++)
        if (flags->letter == letter)
            return flags;
    return NULL;
}

static int unknown(const char *word, size_t length, const struct flag *own,
                   const struct flag *common, struct fault *fault) {
    const char *names[2 * FLAGS_MAX];
    char name[64] = "";
    size_t count = 0;

    for (; own && own->name && count < FLAGS_MAX; own++)
        names[count++] = own->name;
    for (; common && common->name && count < 2 * FLAGS_MAX; common++)
        names[count++] = common->name;
    if (length > 2 && length - 2 < sizeof(name))
        memcpy(name, word + 2, length - 2);
    const char *nearest = names_nearest(name, names, count);
    return fault_say(fault, EINVAL, "unknown option \"%.*s\"%s%s%s", (int)length, word,
                     nearest ? "; did you mean \"--" : "", nearest ? nearest : "",
                     nearest ? "\"?" : "");
}

static int give(struct arguments *arguments, const struct flag *flag, const char *value,
                struct fault *fault) {
    if (arguments->given_count == FLAG_TIMES_MAX)
        return fault_say(fault, EINVAL, "more than %d options", FLAG_TIMES_MAX);
    arguments->given[arguments->given_count++] = (struct flag_given){flag, value};
    return 0;
}

/* --name, --name=value, --name value; moves *at over what it took. */
static int parse_long(struct arguments *arguments, int argc, char **argv, int *at,
                      const struct flag *own, const struct flag *common, struct fault *fault) {
    const char *word = argv[*at], *value = strchr(word, '=');
    size_t length = value ? (size_t)(value - word) : strlen(word);
    const struct flag *flag = find_name(own, word + 2, length - 2);

    if (!flag)
        flag = find_name(common, word + 2, length - 2);
    if (!flag)
        return unknown(word, length, own, common, fault);
    if (!flag->argument && value)
        return fault_say(fault, EINVAL, "option \"--%s\" takes no value", flag->name);
    if (flag->argument && !value && *at + 1 == argc)
        return fault_say(fault, EINVAL, "option \"--%s\" needs a value (%s)", flag->name,
                         flag->argument);
    if (!flag->argument)
        value = "";
    else
        value = value ? value + 1 : argv[++*at];
    ++*at;
    return give(arguments, flag, value, fault);
}

/* -f, -fj, -n5, -n 5. */
static int parse_short(struct arguments *arguments, int argc, char **argv, int *at,
                       const struct flag *own, const struct flag *common, struct fault *fault) {
    for (const char *letter = argv[*at] + 1; *letter; letter++) {
        const struct flag *flag = find_letter(own, *letter);
        int error;
        if (!flag)
            flag = find_letter(common, *letter);
        if (!flag)
            return fault_say(fault, EINVAL, "unknown option \"-%c\"", *letter);
        if (!flag->argument) {
            if ((error = give(arguments, flag, "", fault)) < 0)
                return error;
            continue;
        }
        if (!letter[1] && *at + 1 == argc)
            return fault_say(fault, EINVAL, "option \"-%c\" needs a value (%s)", *letter,
                             flag->argument);
        error = give(arguments, flag, letter[1] ? letter + 1 : argv[++*at], fault);
        ++*at;
        return error;
    }
    ++*at;
    return 0;
}

int arguments_parse(struct arguments *arguments, int argc, char **argv, const struct flag *own,
                    const struct flag *common, size_t literal_after, int stop_at_operand,
                    struct fault *fault) {
    int literal = 0, at = 0, error = 0;

    arguments->operands = calloc((size_t)argc + 1, sizeof(char *));
    if (!arguments->operands)
        return fault_set(fault, ENOMEM, "cannot read the command line");
    while (at < argc && error >= 0) {
        if (!literal && strcmp(argv[at], "--") == 0) {
            literal = 1;
            at++;
        } else if (!literal && strncmp(argv[at], "--", 2) == 0) {
            error = parse_long(arguments, argc, argv, &at, own, common, fault);
        } else if (!literal && argv[at][0] == '-' && argv[at][1]) {
            error = parse_short(arguments, argc, argv, &at, own, common, fault);
        } else if (stop_at_operand) {
            break;
        } else {
            arguments->operands[arguments->count++] = argv[at++];
            literal |= literal_after && arguments->count >= literal_after;
        }
    }
    return error < 0 ? error : at;
}

void arguments_free(struct arguments *arguments) {
    free(arguments->operands);
    arguments->operands = NULL;
}

const char *arguments_value(const struct arguments *arguments, const char *name) {
    for (size_t i = arguments->given_count; i > 0; i--)
        if (strcmp(arguments->given[i - 1].flag->name, name) == 0)
            return arguments->given[i - 1].value;
    return NULL;
}
