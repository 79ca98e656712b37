#include "supervisor/facts.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/timers.h"
#include "units/base/fault.h"
#include "units/base/number.h"
#include "units/base/text.h"

#define QUOTE(word) #word
#define QUOTED(macro) QUOTE(macro)
#define DIGEST_DIGITS 16

/* ---- to text ---- */

static void add_string(struct text *text, const char *string) {
    text_add(text, "\"");
    while (*string) {
        size_t plain = 0;
        while ((unsigned char)string[plain] >= ' ' && string[plain] != '"' && string[plain] != '\\')
            plain++;
        text_append(text, string, plain);
        string += plain;
        if (*string)
            text_format(text, "\\x%02x", (unsigned char)*string++);
    }
    text_add(text, "\"");
}

static void begin_line(struct text *text, const struct fact_row *row) {
    text_append(text, row->line, row->name_length + strlen("   = "));
}

/* By hand: this is done at the end of nearly every event, and printf(3) was half of its cost. */
static void add_number(struct text *text, const struct fact_row *row, int64_t value) {
    char digits[20], *at = digits + sizeof(digits);
    uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;
    if (!value)
        return;
    for (; rest; rest /= 10)
        *--at = (char)('0' + rest % 10);
    begin_line(text, row);
    text_append(text, "-", value < 0);
    text_append(text, at, (size_t)(digits + sizeof(digits) - at));
    text_add(text, "L;\n");
}

static void add_words(struct text *text, const struct fact_row *row, const char *value) {
    if (!value || !*value)
        return;
    begin_line(text, row);
    add_string(text, value);
    text_add(text, ";\n");
}

static void add_row(struct text *text, const struct fact_row *row, const char *field) {
    const struct deadline *deadline = (const struct deadline *)field;
    switch (row->kind) {
    case FACT_BOOL:
        if (*(const bool *)field) {
            begin_line(text, row);
            text_add(text, "true;\n");
        }
        break;
    case FACT_INT:
        add_number(text, row, *(const int *)field);
        break;
    case FACT_UNSIGNED:
        add_number(text, row, *(const unsigned *)field);
        break;
    case FACT_LONG:
        add_number(text, row, *(const int64_t *)field);
        break;
    case FACT_SIZE:
        add_number(text, row, (int64_t) * (const size_t *)field);
        break;
    case FACT_TEXT:
        add_words(text, row, *(char *const *)field);
        break;
    case FACT_BUFFER:
        add_words(text, row, field);
        break;
    case FACT_WORD:
        if (*(const int *)field)
            add_words(text, row, row->word(*(const int *)field));
        break;
    case FACT_DEADLINE:
        if (deadline->slot)
            add_number(text, row, (int64_t)deadline->at);
        break;
    }
}

/* FNV-1a, 64 bits: damage is seen, nobody is kept out. */
static uint64_t digest_of(const char *bytes, size_t length) {
    uint64_t digest = 0xcbf29ce484222325ULL;
    for (size_t i = 0; i < length; i++)
        digest = (digest ^ (unsigned char)bytes[i]) * 0x100000001b3ULL;
    return digest;
}

void facts_begin(struct text *text, const char *boot) {
    text->length = 0;
    text_add(text, "version = " QUOTED(FACTS_VERSION) ";\nboot = ");
    add_string(text, boot);
    text_add(text, ";\n");
}

void facts_write(struct text *text, const struct fact_group *group, const void *base) {
    text_add(text, group->name);
    text_add(text, " = {\n");
    for (size_t i = 0; i < group->count; i++)
        add_row(text, &group->rows[i], (const char *)base + group->rows[i].offset);
    text_add(text, "};\n");
}

static void add_digest(struct text *text, uint64_t digest) {
    char digits[DIGEST_DIGITS];
    for (size_t i = sizeof(digits); i-- > 0; digest >>= 4)
        digits[i] = "0123456789abcdef"[digest & 15];
    text_append(text, digits, sizeof(digits));
}

uint64_t facts_end(struct text *text) {
    uint64_t digest = digest_of(text->data, text->length);
    text_add(text, "digest = \"");
    add_digest(text, digest);
    text_add(text, "\";\n");
    return digest ? digest : 1;
}

/* ---- from text: lines ---- */

struct line {
    const char *name, *value; /* the value without its ";" */
    size_t name_length, value_length;
};

/* The next line of the form NAME = VALUE; or "};", which has no name. Behind the last one NULL. */
static const char *next_line(const char *at, struct line *ret_line) {
    const char *end = strchr(at, '\n'), *name = at + strspn(at, " ");
    if (!end)
        return NULL;
    *ret_line = (struct line){.name = name,
                              .name_length = strspn(name, "abcdefghijklmnopqrstuvwxyz"
                                                          "_0123456789")};
    const char *value = name + ret_line->name_length;
    if (ret_line->name_length > 0 && strncmp(value, " = ", 3) == 0)
        value += 3;
    size_t length = value < end ? (size_t)(end - value) : 0;
    if (length > 0 && value[length - 1] == ';')
        length--;
    ret_line->value = value;
    ret_line->value_length = length;
    return end + 1;
}

static bool is(const char *bytes, size_t length, const char *word) {
    return strlen(word) == length && memcmp(bytes, word, length) == 0;
}

static bool is_named(const struct line *line, const char *name) {
    return is(line->name, line->name_length, name);
}

static int parse_number(const struct line *line, int64_t *ret_value) {
    char digits[32];
    size_t length = line->value_length;
    if (length > 0 && line->value[length - 1] == 'L')
        length--;
    if (length == 0 || length >= sizeof(digits))
        return -EINVAL;
    memcpy(digits, line->value, length);
    digits[length] = '\0';
    return number_parse_signed(digits, ret_value);
}

static int hexadecimal(char digit) {
    if (isdigit((unsigned char)digit))
        return digit - '0';
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* Into a buffer that has room for what stands between the quotes, and a NUL. */
static int parse_string(const struct line *line, char *buffer) {
    const char *at = line->value + 1, *end = line->value + line->value_length - 1;
    if (line->value_length < 2 || line->value[0] != '"' || *end != '"')
        return -EINVAL;
    while (at < end) {
        if (*at != '\\') {
            *buffer++ = *at++;
            continue;
        }
        int high = end - at >= 4 && at[1] == 'x' ? hexadecimal(at[2]) : -1;
        int low = high < 0 ? -1 : hexadecimal(at[3]);
        if (low < 0 || high + low == 0)
            return -EINVAL;
        *buffer++ = (char)(high << 4 | low);
        at += 4;
    }
    *buffer = '\0';
    return 0;
}

/* ---- from text: fields ---- */

static int read_text(const struct line *line, char **field) {
    char *text = malloc(line->value_length + 1);
    int error = text ? parse_string(line, text) : -ENOMEM;
    if (error < 0) {
        free(text);
        return error;
    }
    *field = text;
    return 0;
}

static int read_buffer(const struct line *line, char *field, size_t size) {
    char *text = NULL;
    int error = read_text(line, &text);
    if (error >= 0 && strlen(text) >= size)
        error = -EINVAL;
    if (error >= 0)
        memcpy(field, text, strlen(text) + 1);
    free(text);
    return error;
}

static int read_word(const struct line *line, const struct fact_row *row, int *field) {
    for (int value = 0; value < (int)row->size; value++) {
        const char *word = row->word(value);
        if (line->value_length == strlen(word) + 2 &&
            strncmp(line->value + 1, word, strlen(word)) == 0) {
            *field = value;
            return 0;
        }
    }
    return -EINVAL;
}

static int read_number(const struct line *line, const struct fact_row *row, char *field,
                       struct timers *timers) {
    int64_t value;
    int error = parse_number(line, &value);
    if (error < 0)
        return error;
    if (row->kind == FACT_INT && (value < INT32_MIN || value > INT32_MAX))
        return -ERANGE;
    if (row->kind == FACT_UNSIGNED && (value < 0 || value > UINT32_MAX))
        return -ERANGE;
    if (row->kind == FACT_SIZE && value < 0)
        return -ERANGE;
    if (row->kind == FACT_INT)
        *(int *)field = (int)value;
    else if (row->kind == FACT_UNSIGNED)
        *(unsigned *)field = (unsigned)value;
    else if (row->kind == FACT_LONG)
        *(int64_t *)field = value;
    else if (row->kind == FACT_SIZE)
        *(size_t *)field = (size_t)value;
    else
        timers_set(timers, (struct deadline *)field, (uint64_t)value);
    return 0;
}

static int read_row(const struct line *line, const struct fact_row *row, char *field,
                    struct timers *timers) {
    switch (row->kind) {
    case FACT_BOOL:
        *(bool *)field = is(line->value, line->value_length, "true");
        return 0;
    case FACT_TEXT:
        free(*(char **)field);
        *(char **)field = NULL;
        return read_text(line, (char **)field);
    case FACT_BUFFER:
        return read_buffer(line, field, row->size);
    case FACT_WORD:
        return read_word(line, row, (int *)field);
    default:
        return read_number(line, row, field, timers);
    }
}

static void clear_row(const struct fact_row *row, char *field, struct timers *timers) {
    switch (row->kind) {
    case FACT_BOOL:
        *(bool *)field = false;
        break;
    case FACT_LONG:
        *(int64_t *)field = 0;
        break;
    case FACT_SIZE:
        *(size_t *)field = 0;
        break;
    case FACT_TEXT:
        free(*(char **)field);
        *(char **)field = NULL;
        break;
    case FACT_BUFFER:
        *field = '\0';
        break;
    case FACT_DEADLINE:
        timers_cancel(timers, (struct deadline *)field);
        break;
    case FACT_INT:
    case FACT_UNSIGNED:
    case FACT_WORD:
        *(int *)field = 0;
        break;
    }
}

static const struct fact_row *find_row(const struct fact_group *group, const struct line *line) {
    for (size_t i = 0; i < group->count; i++)
        if (group->rows[i].name_length == line->name_length &&
            memcmp(group->rows[i].name, line->name, line->name_length) == 0)
            return &group->rows[i];
    return NULL;
}

/* ---- from text: the whole ---- */

/* Where its first row is; NULL. */
static const char *find_group(const char *text, const struct fact_group *group) {
    struct line line;
    while ((text = next_line(text, &line)))
        if (is_named(&line, group->name) && is(line.value, line.value_length, "{"))
            return text;
    return NULL;
}

bool facts_have(const char *text, const struct fact_group *group) {
    return find_group(text, group) != NULL;
}

int facts_read(const char *text, const struct fact_group *group, void *base, struct timers *timers,
               struct fault *fault) {
    struct line line;
    text = find_group(text, group);
    if (!text)
        return fault_say(fault, ENOENT, "it has no \"%s\"", group->name);
    for (size_t i = 0; i < group->count; i++)
        clear_row(&group->rows[i], (char *)base + group->rows[i].offset, timers);
    while ((text = next_line(text, &line)) && line.name_length > 0) {
        const struct fact_row *row = find_row(group, &line);
        int error = row ? read_row(&line, row, (char *)base + row->offset, timers) : 0;
        if (error < 0)
            return fault_set(fault, error, "%s.%s cannot be read", group->name, row->name);
    }
    return 0;
}

/* The digest is in the last line, and about all before it. */
static const char *last_line(const char *text, struct line *ret_line) {
    const char *last = text;
    *ret_line = (struct line){0};
    for (const char *next; (next = next_line(text, ret_line)); text = next)
        last = text;
    return last;
}

uint64_t facts_digest(const char *text) {
    struct line line;
    uint64_t digest = digest_of(text, (size_t)(last_line(text, &line) - text));
    return digest ? digest : 1;
}

static int check_digest(const char *text) {
    struct line line;
    const char *last = last_line(text, &line);
    char written[32], digest[32];
    if (!is_named(&line, "digest") || line.value_length >= sizeof(written) ||
        parse_string(&line, written) < 0 || last[strcspn(last, "\n") + 1] != '\0')
        return -EBADMSG;
    snprintf(digest, sizeof(digest), "%0*" PRIx64, DIGEST_DIGITS,
             digest_of(text, (size_t)(last - text)));
    return strcmp(digest, written) == 0 ? 0 : -EBADMSG;
}

/* In the second line, in every version. */
static int check_boot(const char *at, const char *boot, struct fault *fault) {
    struct line id = {0};
    char written[64];
    if (!next_line(at, &id) || !is_named(&id, "boot") || id.value_length >= sizeof(written) ||
        parse_string(&id, written) < 0)
        return fault_say(fault, EBADMSG, "it does not say of which boot it is");
    return strcmp(written, boot) == 0 ? 0 : fault_say(fault, ESTALE, "it is of another boot");
}

int facts_check(const char *text, const char *boot, struct fault *fault) {
    struct line version = {0};
    int64_t number = 0;
    const char *at = next_line(text, &version);
    if (!at || !is_named(&version, "version") || parse_number(&version, &number) < 0 || number < 1)
        return fault_say(fault, EBADMSG, "it does not begin with a version");
    bool newer = number > FACTS_VERSION;
    if (!newer && check_digest(text) < 0)
        return fault_say(fault, EBADMSG, "it is damaged");
    int error = check_boot(at, boot, fault);
    if (error < 0 || !newer)
        return error;
    return fault_say(fault, EPROTO, "it is of a newer format (%" PRId64 ", here %d)", number,
                     FACTS_VERSION);
}
