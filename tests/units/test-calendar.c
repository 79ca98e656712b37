/* Schedules of both forms: what they mean, how they are written back, when they come next in many
 * zones and across daylight saving, and what is said of wrong ones. */

#include <stdint.h>
#include <time.h>

#include "tests/test.h"
#include "units/base/fault.h"
#include "units/base/number.h"
#include "units/base/scoped.h"
#include "units/base/text.h"
#include "units/calendar.h"
#include "units/civil.h"
#include "units/schedule.h"

/* "2024-02-29 12:00:00[.999999]" of UTC as microseconds. */
static uint64_t usec(const char *text) {
    int year, month, day, hour, minute, second, length = 0;
    CHECK(sscanf(text, "%d-%d-%d %d:%d:%d%n", &year, &month, &day, &hour, &minute, &second,
                 &length) == 6);
    int64_t days = civil_to_days((struct civil){year, month, day});
    uint64_t value = (uint64_t)(days * 86400 + hour * 3600 + minute * 60 + second) * USEC_PER_SEC;
    uint64_t place = USEC_PER_SEC / 10;
    for (const char *digit = text + length + (text[length] == '.'); *digit; digit++, place /= 10)
        value += (uint64_t)(*digit - '0') * place;
    return value;
}

static void print_usec(struct text *text, uint64_t value) {
    uint64_t seconds = value / USEC_PER_SEC;
    struct civil date = civil_from_days((int64_t)(seconds / 86400));
    text_format(text, "%04d-%02d-%02d %02d:%02d:%02d", (int)date.year, date.month, date.day,
                (int)(seconds % 86400 / 3600), (int)(seconds % 3600 / 60), (int)(seconds % 60));
    if (value % USEC_PER_SEC)
        text_format(text, ".%06d", (int)(value % USEC_PER_SEC));
}

static void need_zones(void) {
    if (access("/usr/share/zoneinfo/Europe/Berlin", R_OK) != 0)
        SKIP("there is no time zone database in /usr/share/zoneinfo");
}

/* What comes after an instant, separated by ", "; "never" ends it. */
static void check_next(const char *expression, const char *after, const char *expected) {
    scoped_text struct text have = {0};
    struct calendar calendar;
    struct fault fault = {""};
    if (schedule_open(expression, &calendar, &fault) < 0) {
        printf("# %s\n", fault.text);
        exit(1);
    }
    uint64_t at = usec(after);
    size_t count = 1;
    for (const char *comma = strchr(expected, ','); comma; comma = strchr(comma + 1, ','))
        count++;
    for (size_t i = 0; i < count; i++) {
        uint64_t next;
        text_add(&have, i ? ", " : "");
        int error = calendar_next(&calendar, at, &next);
        if (error) {
            CHECK(error == -ENOENT);
            text_add(&have, "never");
            break;
        }
        CHECK(next > at);
        print_usec(&have, next);
        at = next;
    }
    calendar_clear(&calendar);
    if (strcmp(have.data, expected) != 0)
        printf("# %s, after %s\n", expression, after);
    CHECK_TEXT(have.data, expected);
}

struct expectation {
    const char *expression, *after, *expected;
};

static void check_all(const struct expectation *table, size_t count) {
    for (size_t i = 0; i < count; i++)
        check_next(table[i].expression, table[i].after, table[i].expected);
}

TEST(next_in_utc) {
    static const struct expectation table[] = {
        {"daily UTC", "2024-02-28 23:59:59", "2024-02-29 00:00:00, 2024-03-01 00:00:00"},
        {"daily UTC", "2024-02-29 00:00:00", "2024-03-01 00:00:00"},
        {"minutely UTC", "2023-12-31 23:59:00", "2024-01-01 00:00:00, 2024-01-01 00:01:00"},
        {"hourly UTC", "2023-12-31 22:59:59.999999", "2023-12-31 23:00:00, 2024-01-01 00:00:00"},
        {"weekly UTC", "2024-01-01 00:00:00", "2024-01-08 00:00:00"},
        {"monthly UTC", "2024-01-31 12:00:00", "2024-02-01 00:00:00, 2024-03-01 00:00:00"},
        {"quarterly UTC", "2024-01-01 00:00:00",
         "2024-04-01 00:00:00, 2024-07-01 00:00:00, 2024-10-01 00:00:00, 2025-01-01 00:00:00"},
        {"semiannually UTC", "2024-01-01 00:00:00", "2024-07-01 00:00:00, 2025-01-01 00:00:00"},
        {"yearly UTC", "1970-01-01 00:00:00", "1971-01-01 00:00:00"},
        {"yearly UTC", "2198-12-31 00:00:00", "2199-01-01 00:00:00, never"},
        {"*-02-29 UTC", "2096-02-28 00:00:00", "2096-02-29 00:00:00, 2104-02-29 00:00:00"},
        {"*-02-29 UTC", "1999-03-01 00:00:00", "2000-02-29 00:00:00"},
        {"Sat *-02-29 UTC", "2024-01-01 00:00:00", "2048-02-29 00:00:00, 2076-02-29 00:00:00"},
        {"*-02-30 UTC", "2024-01-01 00:00:00", "never"},
        {"*-04,06,09,11-31 UTC", "1970-01-01 00:00:00", "never"},
        {"2020-*-* UTC", "2024-01-01 00:00:00", "never"},
        {"2024-02-29 UTC", "2024-02-28 12:00:00", "2024-02-29 00:00:00, never"},
        {"Mon 2024-02-29 UTC", "2024-02-28 12:00:00", "never"},
        {"*-*-31 12:00 UTC", "2024-03-31 12:00:00", "2024-05-31 12:00:00, 2024-07-31 12:00:00"},
        {"*-02~01 UTC", "2023-01-01 00:00:00", "2023-02-28 00:00:00, 2024-02-29 00:00:00"},
        {"*-*~03 UTC", "2024-02-01 00:00:00", "2024-02-27 00:00:00, 2024-03-29 00:00:00"},
        {"Mon *-05~07/1 UTC", "2024-01-01 00:00:00", "2024-05-27 00:00:00, 2025-05-26 00:00:00"},
        {"*-*~1..6/3 UTC", "2024-01-01 00:00:00", "2024-01-28 00:00:00, 2024-01-31 00:00:00"},
        {"Fri *-*-13 13:13:13 UTC", "2024-01-01 00:00:00",
         "2024-09-13 13:13:13, 2024-12-13 13:13:13, 2025-06-13 13:13:13"},
        {"*-*-* 05:40:23.42/3.17 UTC", "2024-01-01 05:40:23.42",
         "2024-01-01 05:40:26.590000, 2024-01-01 05:40:29.760000"},
        {"*:*:0/0.5 UTC", "2024-01-01 00:00:59.2",
         "2024-01-01 00:00:59.500000, 2024-01-01 00:01:00, 2024-01-01 00:01:00.500000"},
        {"*:*:59.999999 UTC", "2024-01-01 00:00:59.999998",
         "2024-01-01 00:00:59.999999, 2024-01-01 00:01:59.999999"},
        {"@1709164800", "2024-02-28 00:00:00", "2024-02-29 00:00:00, never"},
        {"2030/4-06-01 06:00 UTC", "2024-01-01 00:00:00",
         "2030-06-01 06:00:00, 2034-06-01 06:00:00"},
        {"0 3 * * * UTC", "2024-02-28 03:00:00", "2024-02-29 03:00:00"},
        {"*/20 8-9 * * mon-fri UTC", "2024-03-01 09:20:00",
         "2024-03-01 09:40:00, 2024-03-04 08:00:00"},
        {"0 0 29 2 * UTC", "2024-03-01 00:00:00", "2028-02-29 00:00:00"},
        {"0 0 30 2 * UTC", "2024-03-01 00:00:00", "never"},
        {"@weekly UTC", "2024-03-02 00:00:00", "2024-03-03 00:00:00, 2024-03-10 00:00:00"},
        {"@midnight UTC", "2024-03-02 00:00:00", "2024-03-03 00:00:00"},
    };
    check_all(table, ELEMENTS(table));
}

/* crontab(5): two restricted days are an "or", but a star anywhere in one of them makes an "and".
 */
TEST(cron_day_or_weekday) {
    static const struct expectation table[] = {
        {"0 0 13 * fri UTC", "2024-09-01 00:00:00",
         "2024-09-06 00:00:00, 2024-09-13 00:00:00, 2024-09-20 00:00:00, 2024-09-27 00:00:00, "
         "2024-10-04 00:00:00, 2024-10-11 00:00:00, 2024-10-13 00:00:00"},
        {"0 0 13 * * UTC", "2024-09-01 00:00:00", "2024-09-13 00:00:00, 2024-10-13 00:00:00"},
        {"0 0 * * 7 UTC", "2024-09-01 00:00:00", "2024-09-08 00:00:00"},
        {"0 0 */2 * mon UTC", "2024-09-01 00:00:00", "2024-09-09 00:00:00, 2024-09-23 00:00:00"},
        {"0 0 1-31 * mon UTC", "2024-09-01 00:00:00", "2024-09-02 00:00:00, 2024-09-03 00:00:00"},
        {"0 0 1 1 fri-sun UTC", "2024-12-30 00:00:00",
         "2025-01-01 00:00:00, 2025-01-03 00:00:00, 2025-01-04 00:00:00, 2025-01-05 00:00:00, "
         "2025-01-10 00:00:00"},
    };
    check_all(table, ELEMENTS(table));
}

/* Every zone has its own hour and date of change; Lord Howe moves by half an hour, Troll by two,
 * Dublin's winter is its exception, Casablanca follows the moon, Apia left a whole day out. */
TEST(next_in_zones) {
    need_zones();
    static const struct expectation table[] = {
        {"05:00 Asia/Kathmandu", "2024-01-01 00:00:00", "2024-01-01 23:15:00"},
        {"*-*-* 02:30 Europe/Berlin", "2025-03-29 12:00:00", "2025-03-31 00:30:00"},
        {"*-*-* 02:30 Europe/Berlin", "2025-10-25 12:00:00",
         "2025-10-26 00:30:00, 2025-10-27 01:30:00"},
        {"*-*-* 02:30 Europe/Berlin", "2025-10-26 00:30:00", "2025-10-27 01:30:00"},
        {"*-*-* 02:30 Europe/Berlin", "2025-10-26 01:10:00", "2025-10-27 01:30:00"},
        {"*:30 Europe/Berlin", "2025-03-30 00:00:00", "2025-03-30 00:30:00, 2025-03-30 01:30:00"},
        {"*:30 Europe/Berlin", "2025-10-25 23:50:00", "2025-10-26 00:30:00, 2025-10-26 02:30:00"},
        {"*-*-* 02,03:00 Europe/Berlin", "2025-03-29 23:50:00",
         "2025-03-30 01:00:00, 2025-03-31 00:00:00"},
        {"daily Europe/Berlin", "2045-03-25 12:00:00",
         "2045-03-25 23:00:00, 2045-03-26 22:00:00, 2045-03-27 22:00:00"},
        {"03:00 America/New_York", "2150-03-06 12:00:00",
         "2150-03-07 08:00:00, 2150-03-08 07:00:00"},
        {"02:15 Australia/Lord_Howe", "2024-10-04 16:00:00",
         "2024-10-06 15:15:00, 2024-10-07 15:15:00"},
        {"01:45 Australia/Lord_Howe", "2024-04-05 16:00:00",
         "2024-04-06 14:45:00, 2024-04-07 15:15:00"},
        {"Sun *-*-* 01:00 Europe/Dublin", "2021-03-22 11:27:58", "2021-04-04 00:00:00"},
        {"01:30 Europe/Dublin", "2024-10-26 12:00:00", "2024-10-27 00:30:00, 2024-10-28 01:30:00"},
        {"02:30 Antarctica/Troll", "2024-03-30 12:00:00", "2024-04-01 00:30:00"},
        {"12:00 Africa/Casablanca", "2024-03-09 20:00:00",
         "2024-03-10 12:00:00, 2024-03-11 12:00:00"},
        {"12:00 Africa/Casablanca", "2024-04-13 20:00:00", "2024-04-14 11:00:00"},
        {"12:00 Pacific/Apia", "2011-12-29 12:00:00", "2011-12-29 22:00:00, 2011-12-30 22:00:00"},
        {"2011-12-30 12:00 Pacific/Apia", "2011-12-29 12:00:00", "never"},
        {"weekly Pacific/Auckland", "2024-04-01 00:00:00",
         "2024-04-07 12:00:00, 2024-04-14 12:00:00"},
        {"03:00 Etc/GMT+3", "2024-01-01 00:00:00", "2024-01-01 06:00:00"},
        {"*-*-01 00:00 America/Sao_Paulo", "2018-10-15 00:00:00",
         "2018-11-01 03:00:00, 2018-12-01 02:00:00"},
        {"00:30 America/Sao_Paulo", "2018-11-03 12:00:00", "2018-11-05 02:30:00"},
    };
    check_all(table, ELEMENTS(table));
}

/* cron(8): what the spring leaves out is made up when it ends, once; what the autumn repeats is not
 * repeated, unless it is for every hour. Three hours or more are no daylight saving. */
TEST(cron_in_zones) {
    need_zones();
    static const struct expectation table[] = {
        {"30 2 * * * Europe/Berlin", "2025-03-29 12:00:00",
         "2025-03-30 01:00:00, 2025-03-31 00:30:00"},
        {"30 2 * * * Europe/Berlin", "2025-10-25 12:00:00",
         "2025-10-26 00:30:00, 2025-10-27 01:30:00"},
        {"*/15 2 * * * Europe/Berlin", "2025-03-29 12:00:00",
         "2025-03-30 01:00:00, 2025-03-31 00:00:00"},
        {"0 2,3 * * * Europe/Berlin", "2025-03-29 12:00:00",
         "2025-03-30 01:00:00, 2025-03-31 00:00:00"},
        {"30 2 * * * Europe/Berlin", "2025-03-30 00:59:59.999999", "2025-03-30 01:00:00"},
        {"30 2 * * * Europe/Berlin", "2025-03-30 01:00:00", "2025-03-31 00:30:00"},
        {"30 * * * * Europe/Berlin", "2025-03-30 00:00:00",
         "2025-03-30 00:30:00, 2025-03-30 01:30:00"},
        {"30 * * * * Europe/Berlin", "2025-10-26 00:00:00",
         "2025-10-26 00:30:00, 2025-10-26 01:30:00, 2025-10-26 02:30:00"},
        {"10 2 * * sun Australia/Lord_Howe", "2024-10-05 00:00:00",
         "2024-10-05 15:30:00, 2024-10-12 15:10:00"},
        {"0 12 30 12 * Pacific/Apia", "2011-12-01 00:00:00", "2012-12-29 22:00:00"},
        {"0 0 * * * America/Sao_Paulo", "2018-11-03 12:00:00",
         "2018-11-04 03:00:00, 2018-11-05 02:00:00"},
    };
    check_all(table, ELEMENTS(table));
}

TEST(local_time_is_what_TZ_says) {
    need_zones();
    setenv("TZ", "Europe/Berlin", 1);
    check_next("daily", "2024-06-30 12:00:00", "2024-06-30 22:00:00");
    setenv("TZ", ":/usr/share/zoneinfo/America/New_York", 1);
    check_next("daily", "2024-06-30 12:00:00", "2024-07-01 04:00:00");
    setenv("TZ", "XYZ-2", 1);
    check_next("0 0 * * *", "2024-06-30 12:00:00", "2024-06-30 22:00:00");
    setenv("TZ", "", 1);
    check_next("daily", "2024-06-30 12:00:00", "2024-07-01 00:00:00");
    setenv("TZ", "Nowhere/City", 1);
    struct fault fault;
    CHECK(schedule_check("daily", &fault) == -ENOENT);
    CHECK_TEXT(fault.text, "the local time (TZ): there is no time zone \"Nowhere/City\"");
    CHECK(schedule_check("daily UTC", &fault) == 0);
}

TEST(the_machine_s_local_time_is_found) {
    unsetenv("TZ");
    CHECK(schedule_check("daily", NULL) == 0);
}

TEST(a_zone_must_be_open) {
    struct calendar calendar;
    uint64_t next;
    CHECK(schedule_parse("daily Europe/Berlin", &calendar, NULL) == 0);
    CHECK(calendar_next(&calendar, 0, &next) == -ENODATA);
    CHECK(schedule_parse("daily", &calendar, NULL) == 0);
    CHECK(calendar_next(&calendar, 0, &next) == -ENODATA);
    CHECK(schedule_parse("daily utc", &calendar, NULL) == 0);
    CHECK(calendar_next(&calendar, UINT64_MAX, &next) == -ENOENT);
    CHECK(calendar_next(&calendar, 0, &next) == 0 && next == 86400 * USEC_PER_SEC);
}

/* ---- one text for each meaning ---- */

static void check_print(const char *expression, const char *expected) {
    scoped_text struct text once = {0}, twice = {0};
    struct calendar calendar;
    struct fault fault = {""};
    if (schedule_parse(expression, &calendar, &fault) < 0)
        printf("# %s\n", fault.text);
    CHECK(fault.text[0] == '\0');
    calendar_print(&calendar, &once);
    CHECK_TEXT(once.data, expected);
    CHECK(schedule_parse(once.data, &calendar, &fault) == 0);
    calendar_print(&calendar, &twice);
    CHECK_TEXT(twice.data, expected);
}

TEST(printed) {
    static const char *const table[][2] = {
        {"Sat,Thu,Mon..Wed,Sat..Sun", "Mon..Thu,Sat,Sun *-*-* 00:00:00"},
        {"Mon,Sun 12-*-* 2,1:23", "Mon,Sun 2012-*-* 01,02:23:00"},
        {"Wed *-1", "Wed *-*-01 00:00:00"},
        {"Wed..Wed,Wed *-1", "Wed *-*-01 00:00:00"},
        {"Wed, 17:48", "Wed *-*-* 17:48:00"},
        {"Wed..Sat,Tue 12-10-15 1:2:3", "Tue..Sat 2012-10-15 01:02:03"},
        {"*-*-7 0:0:0", "*-*-07 00:00:00"},
        {"10-15", "*-10-15 00:00:00"},
        {"monday *-12-* 17:00", "Mon *-12-* 17:00:00"},
        {"Mon,Fri *-*-3,1,2 *:30:45", "Mon,Fri *-*-01..03 *:30:45"},
        {"12,14,13,12:20,10,30", "*-*-* 12..14:10,20,30:00"},
        {"mon,fri *-1/2-1,3 *:30:45", "Mon,Fri *-01/2-01,03 *:30:45"},
        {"Mon-Fri  08:05:40", "Mon..Fri *-*-* 08:05:40"},
        {"05:40:23.4200004/3.1700005", "*-*-* 05:40:23.420000/3.170001"},
        {"2003-02..04-05", "2003-02..04-05 00:00:00"},
        {"2003-03-05 05:40 utc", "2003-03-05 05:40:00 UTC"},
        {"daily UTC", "*-*-* 00:00:00 UTC"},
        {"weekly Pacific/Auckland", "Mon *-*-* 00:00:00 Pacific/Auckland"},
        {"Annually", "*-01-01 00:00:00"},
        {"bi-annually", "*-01,07-01 00:00:00"},
        {"*:2/3", "*-*-* *:02/3:00"},
        {"*:*:*", "*-*-* *:*:*"},
        {"Mon..Sun 0..23:0..59:0/1", "*-*-* *:*:*"},
        {"*:*:0/1,0.5", "*-*-* *:*:00..59,00.500000"},
        {"*:*:0..10/2.5,1.5..1.7/0.1,1.5", /* each once, by its start */
         "*-*-* *:*:00.000000..10.000000/2.500000,01.500000,01.500000..01.700000/0.100000"},
        {"*-02~*", "*-02-* 00:00:00"},
        {"*-*~7/2,3", "*-*~01,03,05,07 00:00:00"},
        {"1970..2199/2-1-1", "1970/2-01-01 00:00:00"},
        {"2020/1-1-1", "2020..2199-01-01 00:00:00"},
        {"70,69-1-1", "1970,2069-01-01 00:00:00"},
        {"12..13/5:00", "*-*-* 12:00:00"},
        {"@1700000000", "2023-11-14 22:13:20 UTC"},
        {"*/15 8-10,20 1 jan,DEC *", "*/15 8-10,20 1 1,12 *"},
        {"0,15,30,45 * * * *", "*/15 * * * *"},
        {"5/20 * * * mon-fri", "5-59/20 * * * 1-5"},
        {"@Hourly", "0 * * * *"},
        {"@weekly", "0 0 * * 0"},
        {"@daily Asia/Tokyo", "0 0 * * * Asia/Tokyo"},
        {"0 0 13 * 5", "0 0 13 * 5"},
        {"0 0 1-31/2 * sun", "0 0 1-31/2 * 0"},
        {"0 0 */2 * 7", "0 0 */2 * 0"},
        {"0 0 */2,4 * 1", "0 0 */31,3-5,7,9,11,13,15,17,19,21,23,25,27,29,31 * 1"},
        {"0 0 2 * */5", "0 0 2 * */7,5"},
        {"0 0 1-31 * mon", "0 0 * * *"},
        {"0 0 4 * 0-6", "0 0 * * *"},
        {"0 0 * * fri-sun", "0 0 * * 0,5,6"},
    };
    for (size_t i = 0; i < ELEMENTS(table); i++)
        check_print(table[i][0], table[i][1]);
}

/* ---- what is said of wrong ones ---- */

TEST(complaints) {
    static const char *const table[][2] = {
        {"", "an empty schedule; write \"0 3 * * *\" or \"daily\""},
        {"* * * *", "\"* * * *\" has 4 fields of 5; write \"0 3 * * *\""},
        {"* * * * * *", "\"* * * * * *\" has more than 5 fields"},
        {"* * * * * UTC x", "\"* * * * * UTC x\" has more than 5 fields"},
        {"* * * * * a..b",
         "\"* * * * * a..b\": \"a..b\" is no name of a time zone; write one such as "
         "\"Europe/Berlin\""},
        {"60 * * * *", "\"60 * * * *\": the minute is out of range: from 0 to 59"},
        {"* */0 * * *", "\"* */0 * * *\": the hour is out of range: from 0 to 23"},
        {"* * 1,,2 * *", "\"* * 1,,2 * *\": the day of the month is no number, range or list"},
        {"* * * january *", "\"* * * january *\": the month is no number, range or list"},
        {"* * * * fri-mon", "\"* * * * fri-mon\": the day of the week has a range that runs "
                            "backwards"},
        {"@dialy", "\"@dialy\" is no schedule; did you mean \"@daily\"?"},
        {"@often", "\"@often\" is no schedule"},
        {"@reboot", "\"@reboot\" is no time; use on_boot"},
        {"dialy", "\"dialy\": \"dialy\" is no weekday or shorthand; did you mean \"daily\"?"},
        {"Wendesday", "\"Wendesday\": \"wendesday\" is no weekday or shorthand; did you mean "
                      "\"wednesday\"?"},
        {"Mno 10:00", "\"Mno 10:00\": \"mno\" is no weekday"},
        {"mondya..fri 10:00",
         "\"mondya..fri 10:00\": \"mondya\" is no weekday; did you mean \"monday\"?"},
        {"sometimes", "\"sometimes\": \"sometimes\" is no weekday or shorthand"},
        {"Fri..Mon 10:00", "\"Fri..Mon 10:00\": \"Fri..Mon\" runs backwards: the week starts on "
                           "Monday"},
        {"Mon.. 10:00", "\"Mon.. 10:00\": a weekday is missing before \"\""},
        {"Mon;Tue 10:00", "\"Mon;Tue 10:00\": \"Mon;Tue\" is no list of weekdays"},
        {"10:00 Mon", "\"10:00 Mon\": the weekday \"Mon\" comes first"},
        {"5", "\"5\": \"5\" is neither a date nor a time"},
        {"1-2-3-4", "\"1-2-3-4\": \"1-2-3-4\" is neither a date nor a time"},
        {"2020~1-1", "\"2020~1-1\": \"2020~1-1\" is neither a date nor a time"},
        {"1:2:3:4", "\"1:2:3:4\": \"1:2:3:4\" is no time; write \"03:00\""},
        {"24:00", "\"24:00\": the hour \"24\" is out of range: from 0 to 23"},
        {"*:60", "\"*:60\": the minute \"60\" is out of range: from 0 to 59"},
        {"*:*:60", "\"*:*:60\": the second \"60\" is out of range: from 0 to 59"},
        {"*-*-0", "\"*-*-0\": the day \"0\" is out of range: from 1 to 31"},
        {"*-13-1", "\"*-13-1\": the month \"13\" is out of range: from 1 to 12"},
        {"2200-1-1", "\"2200-1-1\": the year \"2200\" is out of range: from 1970 to 2199"},
        {"*-*~29", "\"*-*~29\": the day from the end of the month \"29\" is out of range: from 1 "
                   "to 28"},
        {"*-*~0/1", "\"*-*~0/1\": the day from the end of the month \"0/1\" is out of range: from "
                    "1 to 28"},
        {"*-*~7/7", "\"*-*~7/7\": the day from the end of the month \"7/7\" has a step that leaves "
                    "the range: from 1 to 28"},
        {"99999999999:00", "\"99999999999:00\": the hour \"99999999999\" is out of range: from 0 "
                           "to 23"},
        {"*/3:00", "\"*/3:00\": the hour \"*/3\" has nothing to start from; write \"0/3\""},
        {"12/12:00", "\"12/12:00\": the hour \"12/12\" has a step that leaves the range: from 0 to "
                     "23"},
        {"14..12:00", "\"14..12:00\": the hour \"14..12\" runs backwards"},
        {"1.5:00", "\"1.5:00\": the hour \"1.5\" is no number, range or list"},
        {"12:00:0/0", "\"12:00:0/0\": the second \"0/0\" is out of range: from 0 to 59"},
        {"12:", "\"12:\": the minute \"\" is no number, range or list"},
        {"10-15 1:2 3 UTC",
         "\"10-15 1:2 3 UTC\": nothing is understood from \"3\" on; write \"Mon *-*-* "
         "03:00\""},
        {"12:00 Foo..Bar",
         "\"12:00 Foo..Bar\": \"Foo..Bar\" is no name of a time zone; write one such as "
         "\"Europe/Berlin\""},
        {"@9999999999", "\"@9999999999\" lies after the year 2199"},
        {"@1x", "\"@1x\": \"1x\" is no number of seconds"},
    };
    for (size_t i = 0; i < ELEMENTS(table); i++) {
        struct calendar calendar;
        struct fault fault = {""};
        CHECK(schedule_parse(table[i][0], &calendar, &fault) < 0);
        CHECK_TEXT(fault.text, table[i][1]);
    }
}

TEST(too_long_or_too_many) {
    char text[CALENDAR_TEXT_MOST + 2];
    struct calendar calendar;
    struct fault fault;
    memset(text, '1', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    CHECK(schedule_parse(text, &calendar, &fault) == -ERANGE);
    CHECK_TEXT(fault.text, "a schedule has at most 255 letters");
    CHECK(calendar_parse(text, &calendar, &fault) == -ERANGE);
    CHECK_TEXT(fault.text, "a calendar expression has at most 255 letters");
    CHECK(calendar_parse(" ", &calendar, &fault) == -EINVAL);
    CHECK_TEXT(fault.text, "an empty calendar expression; write \"daily\"");
    const char *many = "*:*:.1,1.1,2.1,3.1,4.1,5.1,6.1,7.1,8.1,9.1,10.1,11.1,12.1,13.1,14.1,15.1,"
                       "16.1,17.1";
    CHECK(calendar_parse(many, &calendar, &fault) == -EINVAL); /* ".1" */
    scoped_text struct text fine = {0};
    text_format(&fine, "*:*:0%s", many + 4);
    CHECK(calendar_parse(fine.data, &calendar, &fault) == -ERANGE);
    CHECK(strstr(fault.text, "has more than 16 seconds with a fraction"));
}

TEST_MAIN
