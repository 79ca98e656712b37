/* What ringfence-logd does with a chunk of output: the ledger, lines, rates, settings, messages. */

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/log/ledger.h"
#include "supervisor/log/settings.h"
#include "tests/test.h"
#include "units/base/fault.h"
#include "units/base/file.h"
#include "units/base/scoped.h"
#include "units/base/text.h"

#define NOON "2026-11-21T12:00:00.000001Z"
static const struct log_record like = {
    .time = 1795262400000001, .unit = "web", .pid = 4711, .stream = LOG_OUT, .text = ""};
static struct fault fault;

/* ---- lines ---- */

static char batch[4096];
static struct piece pieces[16];
static struct lines lines;

/* The records of a chunk; what is left of it is from lines.pieces[lines.count - 1].source on. */
static const char *cut(const char *source, size_t max_line, bool all, struct rate *rate) {
    struct rate none = {0};
    lines = (struct lines){source, strlen(source), batch, sizeof batch - 1, pieces, 16, 0};
    CHECK(lines_cut(&lines, &like, max_line, all, rate ? rate : &none) == LINES_CUT);
    batch[lines_end_before(pieces, lines.count).batch] = '\0';
    return batch;
}

static size_t taken(void) {
    return lines_end_before(pieces, lines.count).source;
}

#define HEAD NOON " web[4711] out: "
#define HEAD_PARTIAL NOON " web[4711] out+: "

TEST(the_beginning_of_a_line_stays) {
    CHECK_TEXT(cut("one\ntw", 100, false, NULL), HEAD "one\n");
    CHECK(taken() == 4);
    CHECK_TEXT(cut("two\n\nthree\n", 100, false, NULL), HEAD "two\n" HEAD "\n" HEAD "three\n");
    CHECK(taken() == 11);
}

TEST(a_long_line_is_cut) {
    CHECK_TEXT(cut("12345678abc\n", 4, false, NULL),
               HEAD_PARTIAL "1234\n" HEAD_PARTIAL "5678\n" HEAD "abc\n");
    CHECK(taken() == 12);
    CHECK_TEXT(cut("12345", 4, false, NULL), HEAD_PARTIAL "1234\n");
    CHECK(taken() == 4);
}

TEST(a_line_of_just_the_length_is_not_cut) {
    CHECK_TEXT(cut("1234", 4, false, NULL), "");
    CHECK_TEXT(cut("1234\n", 4, false, NULL), HEAD "1234\n");
}

TEST(a_prompt_is_taken_where_all_is) {
    CHECK_TEXT(cut("login: ", 100, true, NULL), HEAD_PARTIAL "login: \n");
    CHECK(taken() == 7);
    CHECK_TEXT(cut("", 100, true, NULL), "");
}

TEST(every_byte_but_newline_is_kept) {
    char bytes[256 + 1];
    struct log_record record;
    struct rate none = {0};
    for (int i = 0; i < 256; i++)
        bytes[i] = (char)(i == '\n' ? 'n' : i);
    bytes[256] = '\n';
    lines = (struct lines){bytes, sizeof bytes, batch, sizeof batch, pieces, 16, 0};
    CHECK(lines_cut(&lines, &like, 1000, false, &none) == LINES_CUT);
    CHECK(log_record_parse(batch, pieces[0].batch - 1, &record) == 0);
    CHECK(record.length == 256 && memcmp(record.text, bytes, 256) == 0);
}

TEST(no_more_than_there_is_room_for) {
    struct rate none = {0};
    lines = (struct lines){"a\nb\nc\n", 6, batch, 2 * strlen(HEAD "a\n") + 1, pieces, 16, 0};
    CHECK(lines_cut(&lines, &like, 100, false, &none) == LINES_FULL);
    CHECK(lines.count == 2 && taken() == 4);
    lines = (struct lines){"a\nb\nc\n", 6, batch, sizeof batch, pieces, 1, 0};
    CHECK(lines_cut(&lines, &like, 100, false, &none) == LINES_FULL);
    CHECK(lines.count == 1 && taken() == 2);
}

/* ---- rates ---- */

TEST(what_is_too_much_is_dropped_and_counted) {
    struct rate rate = {.most = 2, .interval = 1000};
    scoped_text struct text words = {0};
    rate_tick(&rate, 5000);
    CHECK_TEXT(cut("1\n2\n3\n4\n", 100, false, &rate), HEAD "1\n" HEAD "2\n");
    CHECK(taken() == 8 && lines.count == 4);
    CHECK(rate.dropped == 2 && rate.say == 6000 && !rate_has_to_say(&rate));
    rate_tick(&rate, 5999);
    CHECK_TEXT(cut("5\n", 100, false, &rate), "");
    rate_tick(&rate, 6000);
    CHECK(rate_has_to_say(&rate));
    rate_say(&rate, &words);
    CHECK_TEXT(words.data, "3 lines were dropped: there were more than 2 in 1s");
    CHECK(!rate_has_to_say(&rate));
    CHECK_TEXT(cut("6\n", 100, false, &rate), HEAD "6\n");
}

TEST(drops_in_a_long_window_are_said_early) {
    struct rate rate = {.most = 1, .interval = 3600000};
    scoped_text struct text words = {0};
    rate_tick(&rate, 1000);
    cut("1\n2\n", 100, false, &rate);
    rate_tick(&rate, 1000 + RATE_SAY);
    CHECK(rate_has_to_say(&rate));
    rate_say(&rate, &words);
    CHECK_TEXT(words.data, "1 line was dropped: there were more than 1 in 1h");
}

TEST(without_a_rate_all_pass) {
    struct rate rate = {0};
    rate_tick(&rate, 1000);
    for (int i = 0; i < 100000; i++)
        CHECK(rate_pass(&rate));
}

/* ---- settings ---- */

#define USUAL "max_size=1000\nmax_files=3\nmax_line=80\nrate=10\ninterval=1000\n"

TEST(settings_are_read) {
    struct settings settings;
    CHECK(settings_parse("driver=file\nnew=1\n" USUAL, &settings, &fault) == 0);
    CHECK(settings.driver == SINKS && settings.limits.max_size == 1000);
    CHECK(settings.limits.max_files == 3 && settings.limits.max_line == 80);
    CHECK(settings.rate == 10 && settings.interval == 1000);
    CHECK(settings_parse("driver=syslog\n" USUAL, &settings, &fault) == 0);
    CHECK(settings.driver == SINK_SYSLOG);
    CHECK(settings_parse("driver=kmsg\nmax_size=1\nmax_files=1\nmax_line=9999\nrate=0\ninterval=1",
                         &settings, &fault) == 0);
    CHECK(settings.limits.max_line == 800); /* no more than it takes */
}

TEST(settings_that_make_no_sense) {
    static const char *const texts[][2] = {
        {"", "no usable driver in its settings"},
        {"driver=paper\n" USUAL, "no usable driver in its settings"},
        {"driver=file\n", "no usable max_size in its settings"},
        {"driver=file\nmax_size=0\n", "no usable max_size in its settings"},
        {"driver=file\nmax_size=99999999999999999999999\n", "no usable max_size in its settings"},
        {"driver=file\nmax_size=1\nmax_files=x\n", "no usable max_files in its settings"},
        {"driver=file\nmax_size=1\nmax_files=3\nmax_line=1048577\n",
         "no usable max_line in its settings"},
    };
    for (size_t i = 0; i < ELEMENTS(texts); i++) {
        struct settings settings;
        CHECK(settings_parse(texts[i][0], &settings, &fault) == -EINVAL);
        CHECK_TEXT(fault.text, texts[i][1]);
    }
}

TEST(who_writes) {
    static const char *const wrong[] = {
        "", "\n", "1\n", "x 1\n", "1 2", "1 2", "1 2147483648\n", "-1 1\n"};
    struct writers writers;
    CHECK(writers_parse("42         7         \n", &writers) == 0);
    CHECK(writers.pid == 42 && writers.last == 7);
    CHECK(writers_parse("2147483647 2147483647\n", &writers) == 0);
    for (size_t i = 0; i < ELEMENTS(wrong); i++)
        CHECK(writers_parse(wrong[i], &writers) == -EBADMSG);
}

/* ---- messages ---- */

static void check_priority(const char *text, int priority, const char *rest) {
    struct log_record record = like;
    struct message message;
    record.text = text;
    record.length = strlen(text);
    message_init(&message, &record);
    CHECK(message.priority == priority);
    CHECK(message.length == strlen(rest) && memcmp(message.text, rest, message.length) == 0);
}

TEST(a_line_may_say_its_priority) {
    check_priority("plain", 6, "plain");
    check_priority("<3>trouble", 3, "trouble");
    check_priority("<0>", 0, "");
    check_priority("<8>x", 6, "<8>x");
    check_priority("<3", 6, "<3");
    check_priority("<div>", 6, "<div>");
}

/* ---- the ledger ---- */

static char top[] = "/tmp/ringfence-test-ledger-XXXXXX";
static struct ledger ledger;
static int directory, fifo[2];

static void remove_top(void) {
    directory_remove(AT_FDCWD, top, NULL);
}

/* A logger that begins: `ledger` is as it was left. */
static void open_ledger(void) {
    int error = ledger_open(&ledger, directory, &fault);
    if (error)
        printf("# %s\n", fault.text);
    CHECK(error == 0);
}

static void begin(void) {
    CHECK(mkdtemp(top));
    atexit(remove_top);
    directory = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(directory >= 0 && pipe2(fifo, O_CLOEXEC | O_NONBLOCK) == 0);
    open_ledger();
    CHECK(!ledger_has_entry(&ledger));
}

static void say(const char *text) {
    CHECK(write(fifo[1], text, strlen(text)) == (ssize_t)strlen(text));
}

/* What is still in the FIFO. */
static const char *left(void) {
    static char text[256];
    ssize_t length = read(fifo[0], text, sizeof text - 1);
    text[length < 0 ? 0 : length] = '\0';
    return text;
}

/* Sees and enters what is there; how many pieces. */
static size_t enter(void) {
    struct rate none = {0};
    ssize_t length = ledger_see(&ledger, fifo[0], 1000);
    CHECK(length > 0);
    lines = (struct lines){ledger.source,
                           (size_t)length,
                           ledger.batch,
                           ledger.reserved * 2,
                           ledger.entry->pieces,
                           LEDGER_PIECES,
                           0};
    lines_cut(&lines, &like, 100, false, &none);
    ledger_enter(&ledger, "web", LOG_OUT, fifo[0], lines.count);
    CHECK(ledger_has_entry(&ledger));
    return lines.count;
}

TEST(what_was_logged_is_drained) {
    begin();
    say("one\ntwo\nthr");
    CHECK(enter() == 2);
    CHECK(ledger_settle(&ledger, fifo[0], 2) == 8);
    CHECK(!ledger_has_entry(&ledger));
    CHECK_TEXT(left(), "thr");
    CHECK(ledger_see(&ledger, fifo[0], 1000) == -EAGAIN);
}

TEST(what_was_not_logged_stays) {
    begin();
    say("one\ntwo\n");
    CHECK(enter() == 2);
    CHECK(ledger_pieces_before(&ledger, 0) == 0);
    CHECK(ledger_pieces_before(&ledger, strlen(HEAD "one\n")) == 1);
    CHECK(ledger_pieces_before(&ledger, 2 * strlen(HEAD "one\n")) == 2);
    CHECK(ledger_settle(&ledger, fifo[0], 1) == 4);
    CHECK_TEXT(left(), "two\n");
}

TEST(killed_before_the_drain) {
    begin();
    say("one\ntwo\n");
    enter();
    say("three\n");
    open_ledger();
    CHECK(ledger_has_entry(&ledger) && ledger.entry->count == 2);
    ledger_settle_again(&ledger, fifo[0], 2);
    CHECK(!ledger_has_entry(&ledger));
    CHECK_TEXT(left(), "three\n");
}

TEST(killed_after_the_drain) {
    begin();
    say("one\none\n"); /* and what comes next looks the same */
    enter();
    say("one\none\n");
    ledger_settle(&ledger, fifo[0], 2);
    ledger.entry->open = 1;
    open_ledger();
    CHECK(!ledger_has_entry(&ledger));
    CHECK_TEXT(left(), "one\none\n");
}

TEST(killed_after_the_drain_of_a_part) {
    begin();
    say("one\ntwo\n");
    enter();
    ledger_settle(&ledger, fifo[0], 1); /* there was no room for the second */
    ledger.entry->open = 1;
    open_ledger();
    CHECK(!ledger_has_entry(&ledger)); /* which comes with the next chunk */
    CHECK_TEXT(left(), "two\n");
}

TEST(killed_before_the_drain_of_a_part) {
    begin();
    say("one\ntwo\n");
    enter();
    ledger.entry->drained = 4;
    ledger.entry->place = 'x';
    open_ledger();
    CHECK(ledger_has_entry(&ledger));
    ledger_settle_again(&ledger, fifo[0], 2); /* and now there was */
    CHECK_TEXT(left(), "");
}

TEST(killed_and_all_others_with_it) {
    begin();
    say("one\n");
    enter();
    CHECK_TEXT(left(), "one\n"); /* nobody held the FIFO */
    say("two\n");
    open_ledger();
    ledger_settle_again(&ledger, fifo[0], 1);
    CHECK(!ledger_has_entry(&ledger));
    CHECK_TEXT(left(), "two\n");
}

TEST(a_ledger_that_makes_no_sense) {
    begin();
    say("one\n");
    enter();
    ledger.entry->count = LEDGER_PIECES + 1;
    CHECK(!ledger_has_entry(&ledger) && !ledger.entry->open);
    enter();
    ledger.entry->pieces[0].batch = LEDGER_BATCH + 1;
    CHECK(!ledger_has_entry(&ledger));
    enter();
    strcpy(ledger.entry->unit, "../etc");
    CHECK(!ledger_has_entry(&ledger));
    enter();
    memset(ledger.entry->unit, 'x', sizeof ledger.entry->unit);
    CHECK(!ledger_has_entry(&ledger));
    enter();
    ledger.entry->version = 77;
    open_ledger();
    CHECK(!ledger_has_entry(&ledger));
}

TEST_MAIN
