#pragma once
/* The form in which what a manager knows outlives it: a text of groups, each filled from a
 * structure by a table with one row per field, and read back by the same table. state.c says what
 * is kept, facts-file.h where.
 *
 *     version = 1;
 *     boot = "c0ffee...";
 *     service = {
 *       state = "ready";
 *       restarts = 3L;
 *     };
 *     digest = "8b7df143d91c716e";
 *
 * It is a part of libconfig's syntax, one setting a line, read by a reader of our own that neither
 * allocates nor ends the process whatever it meets. What is zero or NULL is not written. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fault;
struct text;
struct timers;

#define FACTS_VERSION 1
#define FACTS_SIZE_MAX ((size_t)65536)

enum fact_kind {
    FACT_BOOL,
    FACT_INT,
    FACT_UNSIGNED,
    FACT_LONG,     /* uint64_t and int64_t; NEVER (timers.h) is -1 */
    FACT_SIZE,     /* size_t */
    FACT_TEXT,     /* char *, owned */
    FACT_BUFFER,   /* char[size], ends with a NUL */
    FACT_WORD,     /* an enum by the word that `word` has for it */
    FACT_DEADLINE, /* struct deadline, set in the group's timers */
};

struct fact_row {
    const char *name, *line; /* and how its line begins, in whole */
    size_t name_length;
    enum fact_kind kind;
    size_t offset;
    size_t size;                    /* of a buffer; number of an enum's words */
    const char *(*word)(int value); /* no word is said of two values */
};

struct fact_group {
    const char *name;
    const struct fact_row *rows;
    size_t count;
};

#define FACT_NAMED(name_) .name = name_, .line = "  " name_ " = ", .name_length = sizeof(name_) - 1
#define FACT_OF(structure, name_, member, kind_)                                                   \
    { FACT_NAMED(name_), .kind = kind_, .offset = offsetof(struct structure, member) }
#define FACT(structure, member, kind_) FACT_OF(structure, #member, member, kind_)
#define FACT_ENUM(structure, name_, member, word_, count_)                                         \
    {                                                                                              \
        FACT_NAMED(name_), .kind = FACT_WORD, .offset = offsetof(struct structure, member),        \
                           .size = count_, .word = word_,                                          \
    }

/* ---- to text ---- */

void facts_begin(struct text *text, const char *boot);
void facts_write(struct text *text, const struct fact_group *group, const void *base);
uint64_t facts_end(struct text *text); /* the digest that it ends with; never 0 */

/* ---- from text ---- */

/* Whether it is whole, of this format and of this boot. -EBADMSG: it is damaged; -EPROTO: of a
 * newer format; -ESTALE: of another boot. */
int facts_check(const char *text, const char *boot, struct fault *fault);
/* What facts_end said of it. */
uint64_t facts_digest(const char *text);
/* Whether this group is in it. */
bool facts_have(const char *text, const struct fact_group *group);
/* Gives all fields of a group what the text says of them, what it does not mention becomes zero.
 * Rows of which we know nothing are passed over. -ENOENT: the group is not in it. timers may be
 * NULL where the group has no deadline. */
int facts_read(const char *text, const struct fact_group *group, void *base, struct timers *timers,
               struct fault *fault);
