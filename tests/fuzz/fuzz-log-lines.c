/* Any bytes as what a service wrote: the texts of the records that they are cut into are those
 * bytes again. The first two bytes choose the longest line and whether all is taken. */

#include <stdlib.h>
#include <string.h>

#include "supervisor/log/lines.h"

enum { MOST = 1 << 16, PIECES = 512 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool condition) {
    if (!condition)
        abort();
}

/* The bytes of the source between two pieces, against the record of that. */
static void check_piece(const struct lines *lines, struct piece from, struct piece to) {
    struct log_record record;
    const char *line = lines->batch + from.batch;
    expect(to.batch > from.batch && to.source > from.source && to.source <= lines->length);
    expect(lines->batch[to.batch - 1] == '\n');
    expect(log_record_parse(line, to.batch - from.batch - 1, &record) == 0);
    expect(record.length + !record.partial == to.source - from.source);
    expect(memcmp(record.text, lines->source + from.source, record.length) == 0);
    expect(record.partial || lines->source[to.source - 1] == '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char batch[MOST];
    static struct piece pieces[PIECES];
    struct log_record like = {.time = 1795262400000001, .unit = "web", .pid = 4711};
    struct rate none = {0};
    if (size < 2)
        return 0;
    size_t max_line = 1 + data[0] % 100;
    bool all = data[1] & 1;
    struct lines lines = {(const char *)data + 2, size - 2, batch, MOST, pieces, PIECES, 0};
    enum lines_end end = lines_cut(&lines, &like, max_line, all, &none);
    for (size_t i = 0; i < lines.count; i++)
        check_piece(&lines, lines_end_before(pieces, i), pieces[i]);
    size_t taken = lines_end_before(pieces, lines.count).source;
    if (end == LINES_CUT)
        expect(all ? taken == lines.length : lines.length - taken <= max_line);
    return 0;
}
