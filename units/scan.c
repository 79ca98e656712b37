#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "units/base/scoped.h"
#include "units/base/text.h"
#include "units/source.h"

/* What libconfig silently accepts, refuses without a word of help, or cannot bear, found in the
 * bytes. All else is left to libconfig, which is the judge of the syntax. A complaint ends the scan
 * where nothing sensible can be made of what follows. */

struct scan {
    struct source *source;
    struct complaints *complaints;
    const char *data;
    size_t at;
    size_t capacity;               /* of source->nodes */
    size_t depth;                  /* of open brackets; 0: the file itself */
    size_t open[SOURCE_DEPTH_MAX]; /* nodes whose bracket is open */
    char brackets[SOURCE_DEPTH_MAX];
    size_t named;      /* the node whose value is awaited; 0: none */
    bool equals;       /* its "=" was seen */
    bool after_string; /* the token before was a string in a list */
    bool after_comma;
    size_t comma;         /* its offset */
    struct text repaired; /* of data, up to `copied`; empty as long as nothing had to be repaired */
    size_t copied;
};

static bool in_list(const struct scan *scan) {
    return scan->depth > 0 && scan->brackets[scan->depth - 1] != '{';
}

#define REFUSE(offset, ...)                                                                        \
    do {                                                                                           \
        source_complain(scan->source, scan->complaints, (offset), __VA_ARGS__);                    \
        return false;                                                                              \
    } while (0)

/* What is plain is complained about and put right for libconfig, so that all that is wrong with a
 * file is told at once: `text` instead of the `length` bytes at the offset. */
static void repair(struct scan *scan, size_t offset, size_t length, const char *text) {
    text_append(&scan->repaired, scan->data + scan->copied, offset - scan->copied);
    text_add(&scan->repaired, text);
    scan->copied = offset + length;
}

static bool node_add(struct scan *scan, size_t offset, size_t *ret_number) {
    struct source *source = scan->source;
    if (source->count >= SOURCE_NODES_MAX)
        REFUSE(offset, "more than %d settings and values in one file", SOURCE_NODES_MAX);
    if (source->count == scan->capacity) {
        size_t capacity = scan->capacity ? scan->capacity * 2 : 32;
        struct node *nodes = reallocarray(source->nodes, capacity, sizeof(*nodes));
        if (!nodes)
            REFUSE(offset, "out of memory");
        source->nodes = nodes;
        scan->capacity = capacity;
    }
    *ret_number = source->count++;
    source->nodes[*ret_number] = (struct node){
        .name = (uint32_t)offset,
        .value = (uint32_t)offset,
        .end = (uint32_t)source->count,
    };
    return true;
}

/* The node that the value at scan->at belongs to. */
static bool value_begin(struct scan *scan, size_t *ret_number) {
    scan->after_comma = false;
    if (in_list(scan))
        return node_add(scan, scan->at, ret_number);
    if (!scan->named || !scan->equals)
        REFUSE(scan->at, "a value without a key; write key = value;");
    *ret_number = scan->named;
    scan->source->nodes[scan->named].value = (uint32_t)scan->at;
    scan->named = 0;
    scan->equals = false;
    return true;
}

static bool scan_string(struct scan *scan) {
    size_t start = scan->at, number;
    if (scan->after_string && in_list(scan)) {
        source_complain_at(scan->source, scan->complaints, start,
                           "a comma is missing: the strings before and after this place would be "
                           "joined to one");
        repair(scan, start, 0, ",");
    }
    /* Outside of lists, strings that stand side by side are one long string. */
    bool joined = scan->after_string && !in_list(scan);
    if (!joined && !value_begin(scan, &number))
        return false;
    for (scan->at++; scan->data[scan->at] != '"'; scan->at++) {
        if (scan->at >= scan->source->length)
            REFUSE(start, "this string has no end");
        if (scan->data[scan->at] != '\\')
            continue;
        scan->at++;
        if (strncasecmp(scan->data + scan->at, "x00", 3) == 0)
            REFUSE(scan->at - 1, "a NUL cannot be part of a string");
        if (scan->at >= scan->source->length)
            REFUSE(start, "this string has no end");
    }
    scan->at++;
    scan->after_string = true;
    return true;
}

/* [-+]digits, perhaps with L; 0xDIGITS; or a number with "." or an exponent. */
static bool is_number(const char *text, size_t length) {
    size_t at = length && (text[0] == '-' || text[0] == '+'), digits = 0;
    if (length > 2 && text[0] == '0' && tolower((unsigned char)text[1]) == 'x') {
        for (at = 2; at < length && isxdigit((unsigned char)text[at]); at++)
            ;
        return at == length;
    }
    for (; at < length && isdigit((unsigned char)text[at]); at++)
        digits++;
    if (digits && at < length && text[at] == 'L')
        return at + 1 == length;
    if (at < length && text[at] == '.')
        for (at++; at < length && isdigit((unsigned char)text[at]); at++)
            digits++;
    if (digits && at < length && tolower((unsigned char)text[at]) == 'e') {
        at++;
        at += at < length && (text[at] == '-' || text[at] == '+');
        for (digits = 0; at < length && isdigit((unsigned char)text[at]); at++)
            digits++;
    }
    return digits && at == length;
}

static bool scan_number(struct scan *scan) {
    size_t start = scan->at, number;
    const char *text = scan->data + start;
    size_t length = strspn(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "+-._%");
    if (!is_number(text, length))
        REFUSE(start, "\"%.*s\" is no number; write it in quotes if it is a text",
               length > 40 ? 40 : (int)length, text);
    if (!value_begin(scan, &number))
        return false;
    scan->source->nodes[number].length = (uint32_t)length;
    scan->at += length;
    return true;
}

static bool scan_word(struct scan *scan) {
    size_t start = scan->at, number;
    const char *text = scan->data + start;
    size_t length =
        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_*-");
    bool value = in_list(scan) || (scan->named && scan->equals);
    bool boolean = (length == 4 && strncasecmp(text, "true", 4) == 0) ||
                   (length == 5 && strncasecmp(text, "false", 5) == 0);
    if (value && !boolean)
        REFUSE(start, "a text must stand in quotes: \"%.*s\"", length > 40 ? 40 : (int)length,
               text);
    if (value && !value_begin(scan, &number))
        return false;
    scan->at += length;
    if (value)
        return true;
    if (scan->named)
        REFUSE(start, "\"=\" is missing after the key before this place");
    scan->after_comma = false;
    return node_add(scan, start, &scan->named);
}

static bool scan_open(struct scan *scan) {
    size_t number;
    if (scan->named && !scan->equals)
        REFUSE(scan->at, "\"=\" is missing before this bracket");
    if (scan->depth == SOURCE_DEPTH_MAX)
        REFUSE(scan->at, "groups and lists are nested more than %d deep", SOURCE_DEPTH_MAX);
    if (!value_begin(scan, &number))
        return false;
    scan->brackets[scan->depth] = scan->data[scan->at];
    scan->open[scan->depth++] = number;
    scan->at++;
    return true;
}

static bool scan_close(struct scan *scan) {
    char closer = scan->data[scan->at];
    char opener = closer == '}' ? '{' : closer == ']' ? '[' : '(';
    if (scan->named)
        REFUSE(scan->source->nodes[scan->named].name, "this key has no value");
    if (scan->depth == 0)
        REFUSE(scan->at, "\"%c\" closes nothing", closer);
    if (scan->brackets[scan->depth - 1] != opener)
        REFUSE(scan->at, "\"%c\" does not close the \"%c\" that is open", closer,
               scan->brackets[scan->depth - 1]);
    if (scan->after_comma && in_list(scan)) {
        source_complain_at(scan->source, scan->complaints, scan->comma,
                           "a comma after the last item");
        repair(scan, scan->comma, 1, "");
        scan->after_comma = false;
    }
    scan->depth--;
    scan->source->nodes[scan->open[scan->depth]].end = (uint32_t)scan->source->count;
    scan->at++;
    return true;
}

/* White space and comments: "#" and "//" to the end of the line, and C's own. */
static bool skip(struct scan *scan) {
    for (;;) {
        const char *text = scan->data + scan->at;
        scan->at += strspn(text, " \t\n\r\f\v");
        text = scan->data + scan->at;
        if (text[0] == '#' || (text[0] == '/' && text[1] == '/')) {
            scan->at += strcspn(text, "\n");
        } else if (text[0] == '/' && text[1] == '*') {
            const char *end = strstr(text + 2, "*/");
            if (!end)
                REFUSE(scan->at, "this comment has no end");
            scan->at = (size_t)(end + 2 - scan->data);
        } else {
            return true;
        }
    }
}

static bool scan_punctuation(struct scan *scan) {
    char letter = scan->data[scan->at];
    if (letter == '=' || letter == ':') {
        if (!scan->named || scan->equals)
            REFUSE(scan->at, "\"%c\" without a key before it", letter);
        scan->equals = true;
    } else if (letter == ',') {
        scan->after_comma = true;
        scan->comma = scan->at;
    } else if (letter == ';') {
        if (scan->named)
            REFUSE(scan->source->nodes[scan->named].name, "this key has no value");
    } else if (letter == '@') {
        REFUSE(scan->at, "@include is refused: a unit is one file; drop-ins in NAME.unit.d extend "
                         "it");
    } else if (isprint((unsigned char)letter)) {
        REFUSE(scan->at, "\"%c\" has no meaning here", letter);
    } else {
        REFUSE(scan->at, "the byte 0x%02x has no meaning here", (unsigned char)letter);
    }
    scan->at++;
    return true;
}

static bool scan_token(struct scan *scan) {
    char letter = scan->data[scan->at];
    if (letter == '"')
        return scan_string(scan);
    scan->after_string = false;
    if (letter == '{' || letter == '[' || letter == '(')
        return scan_open(scan);
    if (letter == '}' || letter == ']' || letter == ')')
        return scan_close(scan);
    if (isdigit((unsigned char)letter) || letter == '+' || letter == '-' || letter == '.')
        return scan_number(scan);
    if (isalpha((unsigned char)letter) || letter == '*')
        return scan_word(scan);
    return scan_punctuation(scan);
}

static bool scan_all(struct scan *scan) {
    size_t root;
    if (!node_add(scan, 0, &root))
        return false;
    for (;;) {
        if (!skip(scan))
            return false;
        if (scan->at >= scan->source->length)
            break;
        if (!scan_token(scan))
            return false;
    }
    if (scan->named)
        REFUSE(scan->source->nodes[scan->named].name, "this key has no value");
    if (scan->depth > 0)
        REFUSE(scan->source->nodes[scan->open[scan->depth - 1]].value,
               "this \"%c\" is never closed", scan->brackets[scan->depth - 1]);
    scan->source->nodes[root].end = (uint32_t)scan->source->count;
    return true;
}

void source_scan(struct source *source, struct complaints *complaints) {
    struct scan scan = {.source = source, .complaints = complaints, .data = source->data};
    const char *nul = memchr(source->data, '\0', source->length);
    if (nul) {
        source_complain(source, complaints, (size_t)(nul - source->data),
                        "a NUL byte: this is no text file");
        return;
    }
    if (scan_all(&scan))
        source->empty = source->count == 1;
    if (scan.copied > 0 && !source->bad) {
        repair(&scan, source->length, 0, "");
        source->bad = scan.repaired.failed;
        source->repaired = take(scan.repaired.data);
    }
    text_free(&scan.repaired);
}

size_t source_member(const struct source *source, size_t parent, const char *name) {
    size_t length = strlen(name), end = source->nodes[parent].end;
    for (size_t i = parent + 1; i < end; i = source->nodes[i].end) {
        const char *have = config_setting_name(source->nodes[i].setting);
        if (have && strlen(have) == length && memcmp(have, name, length) == 0)
            return i;
    }
    return 0;
}
