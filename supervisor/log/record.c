#include "supervisor/log/record.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "units/base/names.h"
#include "units/base/number.h"
#include "units/base/scoped.h"
#include "units/base/text.h"

static const char *const stream_words[] = {
    [LOG_OUT] = "out", [LOG_ERR] = "err", [LOG_NOTE] = "note"};
static_assert(ELEMENTS(stream_words) == LOG_NOTE + 1, "a word for every stream");
static const struct names stream_names = NAMES(stream_words);

const char *log_stream_word(enum log_stream stream) {
    return names_word(&stream_names, (int)stream);
}

/* The parts of a time: how many digits, in which range, and the character behind them. */
static const struct part {
    int digits, least, most;
    char end;
} parts[] = {
    {4, 1970, 9999, '-'}, {2, 1, 12, '-'}, {2, 1, 31, 'T'},     {2, 0, 23, ':'},
    {2, 0, 59, ':'},      {2, 0, 59, '.'}, {6, 0, 999999, 'Z'},
};

void log_time_print(uint64_t time, char ret_text[static LOG_TIME_LENGTH + 1]) {
    struct tm utc;
    time_t seconds = (time_t)(time / USEC_PER_SEC);
    gmtime_r(&seconds, &utc);
    const int values[ELEMENTS(parts)] = {
        utc.tm_year + 1900,
        utc.tm_mon + 1,
        utc.tm_mday,
        utc.tm_hour,
        utc.tm_min,
        utc.tm_sec,
        (int)(time % USEC_PER_SEC),
    };
    char *at = ret_text;
    for (size_t i = 0; i < ELEMENTS(parts); i++) {
        int value = values[i];
        for (int digit = parts[i].digits - 1; digit >= 0; digit--, value /= 10)
            at[digit] = (char)('0' + value % 10);
        at += parts[i].digits;
        *at++ = parts[i].end;
    }
    *at = '\0';
}

int log_time_parse(const char *text, size_t length, uint64_t *ret_time) {
    int values[ELEMENTS(parts)];
    if (length != LOG_TIME_LENGTH)
        return -EBADMSG;
    for (size_t i = 0; i < ELEMENTS(parts); i++) {
        values[i] = 0;
        for (int digit = 0; digit < parts[i].digits; digit++, text++) {
            if (*text < '0' || *text > '9')
                return -EBADMSG;
            values[i] = values[i] * 10 + (*text - '0');
        }
        if (values[i] < parts[i].least || values[i] > parts[i].most || *text++ != parts[i].end)
            return -EBADMSG;
    }
    struct tm utc = {.tm_year = values[0] - 1900,
                     .tm_mon = values[1] - 1,
                     .tm_mday = values[2],
                     .tm_hour = values[3],
                     .tm_min = values[4],
                     .tm_sec = values[5]};
    uint64_t seconds = (uint64_t)timegm(&utc), microseconds = (uint64_t)values[6];
    if (utc.tm_mday != values[2]) /* timegm makes the 3rd of March of a 31st of February */
        return -EBADMSG;
    *ret_time = seconds * USEC_PER_SEC + microseconds;
    return 0;
}

/* What is left of a line while it is taken apart. */
struct rest {
    const char *at, *end;
};

/* The bytes before `mark`, which is passed over; NULL where there is no mark. */
static const char *before(struct rest *rest, char mark, size_t *ret_length) {
    const char *start = rest->at, *found = memchr(start, mark, (size_t)(rest->end - start));
    if (!found)
        return NULL;
    *ret_length = (size_t)(found - start);
    rest->at = found + 1;
    return start;
}

static bool skip(struct rest *rest, const char *literal) {
    size_t length = strlen(literal);
    if ((size_t)(rest->end - rest->at) < length || memcmp(rest->at, literal, length) != 0)
        return false;
    rest->at += length;
    return true;
}

static bool take_pid(struct rest *rest, pid_t *ret_pid) {
    size_t length;
    const char *start = before(rest, ']', &length);
    int64_t pid = 0;
    if (!start || length == 0 || length > 10)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (start[i] < '0' || start[i] > '9')
            return false;
        pid = pid * 10 + (start[i] - '0');
    }
    *ret_pid = (pid_t)pid;
    return pid <= INT32_MAX;
}

static bool take_stream(struct rest *rest, enum log_stream *ret_stream) {
    if (!skip(rest, " "))
        return false;
    for (size_t i = 0; i < ELEMENTS(stream_words); i++)
        if (skip(rest, stream_words[i])) {
            *ret_stream = (enum log_stream)i;
            return true;
        }
    return false;
}

/* As unit names are: nothing that could end the name or the record too early. */
static bool is_name(const char *name, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (name[i] <= ' ' || name[i] == 0x7f)
            return false;
    return length > 0 && length < LOG_UNIT_MOST;
}

int log_record_parse(const char *line, size_t length, struct log_record *ret_record) {
    struct rest rest = {line, line + length};
    struct log_record record;
    size_t time_length, name_length;
    const char *time = before(&rest, ' ', &time_length);
    const char *name = time ? before(&rest, '[', &name_length) : NULL;
    if (!name || log_time_parse(time, time_length, &record.time) < 0 ||
        !is_name(name, name_length) || !take_pid(&rest, &record.pid))
        return -EBADMSG;
    if (!take_stream(&rest, &record.stream))
        return -EBADMSG;
    record.partial = skip(&rest, "+");
    if (!skip(&rest, ": "))
        return -EBADMSG;
    memcpy(record.unit, name, name_length);
    record.unit[name_length] = '\0';
    record.text = rest.at;
    record.length = (size_t)(rest.end - rest.at);
    *ret_record = record;
    return 0;
}

static_assert(LOG_HEADER_MOST > LOG_TIME_LENGTH + LOG_UNIT_MOST + sizeof " [2147483647] note+: ",
              "the longest head fits");

size_t log_record_head(const struct log_record *record, char ret_head[static LOG_HEADER_MOST]) {
    log_time_print(record->time, ret_head);
    int length = snprintf(ret_head + LOG_TIME_LENGTH, LOG_HEADER_MOST - LOG_TIME_LENGTH,
                          " %s[%d] %s%s: ", record->unit, (int)record->pid,
                          log_stream_word(record->stream), record->partial ? "+" : "");
    return LOG_TIME_LENGTH + (size_t)length;
}

void log_record_write(struct text *text, const struct log_record *record) {
    char head[LOG_HEADER_MOST];
    text_append(text, head, log_record_head(record, head));
    text_append(text, record->text, record->length);
    text_append(text, "\n", 1);
}

void log_record_json(struct text *text, const struct log_record *record) {
    char time[LOG_TIME_LENGTH + 1];
    log_time_print(record->time, time);
    json_open(text, NULL, '{');
    json_string(text, "time", time);
    json_string(text, "unit", record->unit);
    json_signed(text, "pid", record->pid);
    json_string(text, "stream", log_stream_word(record->stream));
    json_bool(text, "partial", record->partial);
    json_bytes(text, "text", record->text, record->length);
    json_close(text, '}');
}
