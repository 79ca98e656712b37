/* Any bytes as a line of a log file: what is taken for a record is written as the same bytes. */

#include <stdlib.h>
#include <string.h>

#include "supervisor/log/record.h"
#include "units/base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct log_record record, again;
    scoped_text struct text line = {0}, json = {0};
    if (log_record_parse((const char *)data, size, &record) < 0)
        return 0;
    log_record_json(&json, &record);
    log_record_write(&line, &record);
    /* A pid may have been written with leading zeros; all else is the same. */
    if (line.length > size + 1 || log_record_parse(line.data, line.length - 1, &again) < 0 ||
        again.time != record.time || again.pid != record.pid || again.length != record.length ||
        memcmp(again.text, record.text, record.length) != 0)
        abort();
    return 0;
}
