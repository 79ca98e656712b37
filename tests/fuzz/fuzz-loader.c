/* Any bytes as a unit file, without the throw-away process: scan, libconfig, table, rules; and a
 * unit that passed is printed. */

#include <string.h>

#include "units/draft.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libconfig 1.5 leaks what its scanner holds on some syntax errors; in earnest that is the
 * throw-away process. */
const char *__lsan_default_suppressions(void) {
    return "leak:strbuf_append\nleak:libconfig_yylex";
}

static void count_key(void *context, const char *key, const char *value, bool given) {
    *(size_t *)context += strlen(key) + strlen(value) + given;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct draft *draft = calloc(1, sizeof(*draft));
    struct source *source = calloc(1, sizeof(*source));
    scoped_text struct text text = {0};
    size_t total = 0;
    if (!draft || !source)
        abort();
    draft->name = strdup("fuzz@1");
    draft->path = strdup("fuzz@.unit");
    draft->specifiers.host = "host";
    draft->sources = source;
    draft->source_count = 1;
    source_from("fuzz@.unit", (const char *)data, size, source, &draft->complaints);
    source_parse(source, &draft->complaints);
    if (draft_begin(draft) < 0)
        abort();
    if (!source->bad)
        draft_apply(draft, source, 0, LAYER_FILE, &draft->complaints);
    draft_check(draft);
    complaints_print(&draft->complaints, &text);
    keys_visit(draft->unit, count_key, &total);
    draft_free(draft);
    return 0;
}
