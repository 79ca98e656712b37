#include "supervisor/log/lines.h"

#include <string.h>

#include "units/base/text.h"

/* The two heads that all records of one feed share. */
struct heads {
    char whole[LOG_HEADER_MOST], partial[LOG_HEADER_MOST];
    size_t whole_length, partial_length;
};

static void make_heads(struct heads *heads, const struct log_record *like) {
    struct log_record record = *like;
    record.partial = false;
    heads->whole_length = log_record_head(&record, heads->whole);
    record.partial = true;
    heads->partial_length = log_record_head(&record, heads->partial);
}

/* One record of what is held and `length` more bytes. */
static void emit(struct text *batch, const struct heads *heads, bool partial, struct text *held,
                 const char *bytes, size_t length) {
    if (partial)
        text_append(batch, heads->partial, heads->partial_length);
    else
        text_append(batch, heads->whole, heads->whole_length);
    if (held->length > 0)
        text_append(batch, held->data, held->length);
    text_append(batch, bytes, length);
    text_append(batch, "\n", 1);
    held->length = 0;
}

void lines_feed(struct text *held, const struct log_record *like, size_t max_line,
                const char *bytes, size_t length, struct text *batch) {
    struct heads heads;
    make_heads(&heads, like);
    while (length > 0) {
        const char *newline = memchr(bytes, '\n', length);
        size_t piece = newline ? (size_t)(newline - bytes) : length;
        size_t room = held->length < max_line ? max_line - held->length : 0;
        if (piece > room) {
            emit(batch, &heads, true, held, bytes, room);
            bytes += room;
            length -= room;
        } else if (newline) {
            emit(batch, &heads, false, held, bytes, piece);
            bytes += piece + 1;
            length -= piece + 1;
        } else {
            text_append(held, bytes, piece);
            return;
        }
    }
}

void lines_flush(struct text *held, const struct log_record *like, struct text *batch) {
    struct heads heads;
    if (held->length == 0)
        return;
    make_heads(&heads, like);
    emit(batch, &heads, true, held, "", 0);
}
