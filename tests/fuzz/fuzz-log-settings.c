/* Any text as what the manager tells the logger of a unit. */

#include <stdlib.h>
#include <string.h>

#include "supervisor/log/settings.h"
#include "units/base/fault.h"
#include "units/base/scoped.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    scoped_free char *text = strndup((const char *)data, size);
    struct settings settings;
    struct writers writers;
    struct fault fault;
    if (settings_parse(text, &settings, &fault) == 0 &&
        (settings.limits.max_files == 0 || settings.limits.max_line == 0 ||
         settings.driver > SINKS || settings.interval == 0))
        abort();
    if (writers_parse(text, &writers) == 0 && (writers.pid < 0 || writers.last < 0))
        abort();
    return 0;
}
