#include "supervisor/log/lines.h"

#include <string.h>

/* The two heads that all records of one chunk share. */
struct heads {
    char text[2][LOG_HEADER_MOST];
    size_t length[2]; /* by whether the record is partial */
};

static void make_heads(struct heads *heads, const struct log_record *like) {
    struct log_record record = *like;
    for (int partial = 0; partial < 2; partial++) {
        record.partial = partial;
        heads->length[partial] = log_record_head(&record, heads->text[partial]);
    }
}

struct piece lines_end_before(const struct piece *pieces, size_t index) {
    return index > 0 ? pieces[index - 1] : (struct piece){0};
}

static char *append(char *at, const char *bytes, size_t length) {
    memcpy(at, bytes, length);
    return at + length;
}

/* False: there is no room. */
static bool add(struct lines *lines, const char *head, size_t head_length, const char *text,
                size_t length, size_t taken) {
    struct piece end = lines_end_before(lines->pieces, lines->count);
    if (lines->count == lines->most || head_length + length + 1 > lines->room - end.batch)
        return false;
    char *at = append(lines->batch + end.batch, head, head_length);
    at = append(at, text, length);
    *at++ = '\n';
    lines->pieces[lines->count++] =
        (struct piece){end.source + (uint32_t)taken, (uint32_t)(at - lines->batch)};
    return true;
}

static bool drop(struct lines *lines, size_t taken) {
    struct piece end = lines_end_before(lines->pieces, lines->count);
    if (lines->count == lines->most)
        return false;
    end.source += (uint32_t)taken;
    lines->pieces[lines->count++] = end;
    return true;
}

enum lines_end lines_cut(struct lines *lines, const struct log_record *like, size_t max_line,
                         bool all, struct rate *rate) {
    struct heads heads;
    make_heads(&heads, like);
    for (size_t at = lines_end_before(lines->pieces, lines->count).source; at < lines->length;) {
        const char *text = lines->source + at;
        size_t left = lines->length - at;
        const char *newline = memchr(text, '\n', left <= max_line ? left : max_line + 1);
        size_t length = newline ? (size_t)(newline - text) : left > max_line ? max_line : left;
        bool partial = !newline;
        if (partial && left <= max_line && !all)
            return LINES_CUT;
        struct rate after = *rate;
        size_t taken = length + !partial;
        bool added = rate_pass(&after) ? add(lines, heads.text[partial], heads.length[partial],
                                             text, length, taken)
                                       : drop(lines, taken);
        if (!added)
            return LINES_FULL;
        *rate = after;
        at += taken;
    }
    return LINES_CUT;
}

void lines_note(struct lines *lines, const struct log_record *note) {
    char head[LOG_HEADER_MOST];
    add(lines, head, log_record_head(note, head), note->text, note->length, 0);
}
