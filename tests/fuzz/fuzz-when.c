/* Any text as a point in time on the tool's command line. */

#include <stdlib.h>
#include <string.h>

#include "supervisor/ctl/when.h"
#include "units/base/scoped.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    scoped_free char *text = strndup((const char *)data, size);
    uint64_t first = 7, second = 7;
    int result = when_parse(text, 1795262400500000, &first);
    if (when_parse(text, 1795262400500000, &second) != result || first != second ||
        (result < 0 && first != 7))
        abort();
    return 0;
}
