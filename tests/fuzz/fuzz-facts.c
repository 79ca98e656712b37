/* Any text as the facts of a unit: what is read from it, and written, is read again as the same. */

#include <stdlib.h>
#include <string.h>

#include "supervisor/facts.h"
#include "supervisor/timers.h"
#include "units/base/fault.h"
#include "units/base/scoped.h"
#include "units/base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct all {
    bool flag;
    int number;
    unsigned count;
    uint64_t time;
    size_t size;
    char *words;
    char buffer[8];
    int word;
    struct deadline deadline;
};

static const char *word_of(int value) {
    static const char *const words[] = {"none", "one", "another"};
    return words[value];
}

static const struct fact_row rows[] = {
    FACT(all, flag, FACT_BOOL),
    FACT(all, number, FACT_INT),
    FACT(all, count, FACT_UNSIGNED),
    FACT(all, time, FACT_LONG),
    FACT(all, size, FACT_SIZE),
    FACT(all, words, FACT_TEXT),
    {FACT_NAMED("buffer"), .kind = FACT_BUFFER, .offset = offsetof(struct all, buffer), .size = 8},
    FACT_ENUM(all, "word", word, word_of, 3),
    FACT(all, deadline, FACT_DEADLINE),
};
static const struct fact_group group = {"all", rows, sizeof(rows) / sizeof(rows[0])};

static void print(struct text *text, const struct all *all) {
    facts_begin(text, "boot");
    facts_write(text, &group, all);
    facts_end(text);
}

static void check_again(const struct all *all) {
    struct timers timers = {0};
    struct all again = {0};
    scoped_text struct text first = {0}, second = {0};
    print(&first, all);
    if (first.failed || facts_check(first.data, "boot", NULL) < 0 ||
        timers_reserve(&timers, 1) < 0 || facts_read(first.data, &group, &again, &timers, NULL) < 0)
        abort();
    print(&second, &again);
    if (strcmp(first.data, second.data) != 0)
        abort();
    free(again.words);
    timers_free(&timers);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    scoped_free char *text = strndup((const char *)data, size);
    struct timers timers = {0};
    struct all all = {0};
    struct fault fault;
    facts_check(text, "boot", &fault);
    if (timers_reserve(&timers, 1) < 0)
        abort();
    if (facts_read(text, &group, &all, &timers, &fault) >= 0)
        check_again(&all);
    free(all.words);
    timers_free(&timers);
    return 0;
}
