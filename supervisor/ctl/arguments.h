#pragma once
/* Command lines: flags declared in a table, so that parsing, help and completion agree. */

#include <stddef.h>

struct fault;

struct flag {
    const char *name;     /* "follow": --follow */
    char letter;          /* 'f': -f; 0: none */
    const char *argument; /* what its value is called; NULL: it takes none */
    const char *help;
};

#define FLAGS_MAX 8       /* of one table */
#define FLAG_TIMES_MAX 64 /* occurrences of flags on one command line */

/* One that was given, in the order of the command line. */
struct flag_given {
    const struct flag *flag;
    const char *value; /* "" where it takes none */
};

struct arguments {
    char **operands; /* NULL-terminated; the strings are argv's */
    size_t count;
    struct flag_given given[FLAG_TIMES_MAX];
    size_t given_count;
};

/* Reads argv up to its end, or to the first operand where `stop_at_operand`; each flag is looked up
 * in own (may be NULL) and then in common. After `literal_after` operands (0: never) everything is
 * an operand. Returns the index of the first word not read, or -EINVAL with a sentence. */
int arguments_parse(struct arguments *arguments, int argc, char **argv, const struct flag *own,
                    const struct flag *common, size_t literal_after, int stop_at_operand,
                    struct fault *fault);
void arguments_free(struct arguments *arguments);
#define scoped_arguments __attribute__((cleanup(arguments_free)))

/* The last value of a flag, or NULL where it was not given. */
const char *arguments_value(const struct arguments *arguments, const char *name);
