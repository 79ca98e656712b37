#pragma once
/* Cuts a stream of bytes into records, one a line; ringfence-logd has one for each stream. */

#include "supervisor/log/record.h"

/* Takes bytes as they were read. Complete lines are appended to `batch` as records like `like`; the
 * unfinished rest stays in `held`. A line longer than max_line (at least 1) is cut into records of
 * which all but the last are marked partial, so that the texts of those and of the next unmarked
 * one of the same stream, put together, are the line. */
void lines_feed(struct text *held, const struct log_record *like, size_t max_line,
                const char *bytes, size_t length, struct text *batch);

/* What is held becomes a partial record: a prompt that waits for its answer, or the last words of
 * a process that ended without a newline. */
void lines_flush(struct text *held, const struct log_record *like, struct text *batch);
