/* Any bytes as a duration and as a size: what parses is printed, and parses to the same again. */

#include <stdlib.h>
#include <string.h>

#include "units/base/number.h"
#include "units/base/scoped.h"
#include "units/base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *string, int (*parse)(const char *, uint64_t *),
                  void (*print)(struct text *, uint64_t)) {
    scoped_text struct text text = {0};
    uint64_t value, again;
    if (parse(string, &value) < 0)
        return;
    print(&text, value);
    if (parse(text.data, &again) < 0 || again != value)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    scoped_free char *string = strndup((const char *)data, size);
    int64_t number;
    if (!string)
        abort();
    check(string, duration_parse, duration_print);
    check(string, size_parse, size_print);
    number_parse_signed(string, &number);
    return 0;
}
