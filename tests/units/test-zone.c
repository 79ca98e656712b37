/* Time zones: the files of the database against the C library's own reading of them, rules of
 * POSIX, files that lie, and names that are wrong. */

#include <fcntl.h>
#include <stdint.h>
#include <time.h>

#include "tests/test.h"
#include "units/base/fault.h"
#include "units/base/file.h"
#include "units/base/scoped.h"
#include "units/zone.h"

#define BERLIN "/usr/share/zoneinfo/Europe/Berlin"

static void need_zones(void) {
    if (access(BERLIN, R_OK) != 0)
        SKIP("there is no time zone database in /usr/share/zoneinfo");
}

static void check_zone(const char *name) {
    scoped(zone_free) struct zone *zone = NULL;
    struct fault fault = {""};
    if (zone_open(name, &zone, &fault) < 0)
        printf("# %s\n", fault.text);
    CHECK(zone);
    setenv("TZ", name, 1);
    tzset();
    for (int64_t when = 0; when < 7258118400;) { /* 2200 */
        struct zone_span span = zone_span(zone, when);
        CHECK(span.from <= when && span.until > when);
        int64_t moments[] = {when, when + 86400 * 17, when + 86400 * 100,
                             span.until == INT64_MAX ? when : span.until - 1};
        for (size_t i = 0; i < ELEMENTS(moments); i++) {
            time_t moment = (time_t)moments[i];
            struct tm tm;
            if (moments[i] >= span.until)
                continue;
            CHECK(localtime_r(&moment, &tm));
            if (tm.tm_gmtoff != span.offset)
                printf("# %s at %lld: %ld, not %d\n", name, (long long)moments[i], tm.tm_gmtoff,
                       span.offset);
            CHECK(tm.tm_gmtoff == span.offset);
        }
        when = span.until;
    }
}

TEST(zones_are_those_of_the_c_library) {
    need_zones();
    static const char *const names[] = {
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        "America/St_Johns",
        "Pacific/Chatham",
        "Asia/Tokyo",
        "America/Santiago",
        "Europe/Dublin",
        "Antarctica/Troll",
        "Africa/Casablanca",
        "Asia/Gaza",
        "America/Nuuk",
        "Asia/Tehran",
        "Pacific/Apia",
        "America/Argentina/ComodRivadavia",
        "Etc/GMT-14",
        "EST5EDT",
        "Africa/Monrovia",
    };
    for (size_t i = 0; i < ELEMENTS(names); i++)
        check_zone(names[i]);
}

static int32_t offset_by(const char *rule, int64_t when) {
    scoped(zone_free) struct zone *zone = NULL;
    CHECK(zone_from_rule(rule, &zone, NULL) == 0);
    return zone_span(zone, when).offset;
}

TEST(rules_of_posix) {
    CHECK(offset_by("UTC0", 0) == 0);
    CHECK(offset_by("<+0545>-5:45", 0) == 20700);
    CHECK(offset_by("EST5", 0) == -18000);
    CHECK(offset_by("ABC+1:00:01", 0) == -3601);
    CHECK(offset_by("CET-1CEST,M3.5.0,M10.5.0/3", 1743296399) == 3600);
    CHECK(offset_by("CET-1CEST,M3.5.0,M10.5.0/3", 1743296400) == 7200);
    CHECK(offset_by("CET-1CEST,M3.5.0,M10.5.0/3", 1761440399) == 7200);
    CHECK(offset_by("CET-1CEST,M3.5.0,M10.5.0/3", 1761440400) == 3600);
    /* Dublin's winter is what it saves. */
    CHECK(offset_by("IST-1GMT0,M10.5.0,M3.5.0/1", 1735689600) == 0);
    CHECK(offset_by("IST-1GMT0,M10.5.0,M3.5.0/1", 1751328000) == 3600);
    /* February 29 is never counted, and counted. */
    CHECK(offset_by("AAA0BBB,J60/0,J300", 1709164800) == 0);    /* 2024-02-29 */
    CHECK(offset_by("AAA0BBB,J60/0,J300", 1709251200) == 3600); /* 2024-03-01 */
    CHECK(offset_by("AAA0BBB,59/0,300", 1709164800) == 3600);
    /* A day before the year, and daylight saving for ever (RFC 8536, 3.3.1). */
    CHECK(offset_by("AAA0BBB,J1/-24,J300", 1703980800) == 3600); /* 2023-12-31 */
    CHECK(offset_by("EST5EDT,0/0,J365/25", 1735707600) == -14400);
    CHECK(offset_by("EST5EDT,0/0,J365/25", 1735707599) == -14400);
    CHECK(offset_by("EST5EDT,0/0,J365/25", 1751328000) == -14400);

    static const char *const wrong[] = {
        "",
        "CE-1",
        "CET",
        "CET-25",
        "CET-1:60",
        "CET-1CEST",
        "CET-1CEST,",
        "CET-1CEST,M3.5.0",
        "<+03-3",
        "CET-1CEST,M13.5.0,M10.5.0",
        "CET-1CEST,M3.6.0,M10.5.0",
        "CET-1CEST,M3.5.7,M10.5.0",
        "CET-1CEST,J0,J5",
        "CET-1CEST,J366,J5",
        "CET-1CEST,366,5",
        "CET-1CEST,M3.5.0/168,M10.5.0",
        "CET-1CEST,M3.5.0,M10.5.0 ",
        "CET-99999999999999999999",
    };
    for (size_t i = 0; i < ELEMENTS(wrong); i++) {
        struct zone *zone = NULL;
        struct fault fault;
        CHECK(zone_from_rule(wrong[i], &zone, &fault) == -EINVAL && !zone);
        CHECK(strstr(fault.text, "is no rule of a time zone"));
    }
}

/* A true file, changed in one place. */
static void check_lie(const char *data, size_t length, size_t at, char value,
                      const char *complaint) {
    scoped_free char *copy = malloc(length + 1);
    struct zone *zone = NULL;
    struct fault fault;
    CHECK(copy && at < length);
    memcpy(copy, data, length);
    copy[at] = value;
    CHECK(zone_parse(copy, length, &zone, &fault) == -EINVAL && !zone);
    CHECK_TEXT(fault.text, complaint);
}

TEST(files_that_lie) {
    need_zones();
    scoped_free char *data = NULL;
    size_t length;
    struct zone *zone = NULL;
    struct fault fault;
    CHECK(file_read(AT_FDCWD, BERLIN, ZONE_FILE_MOST, &data, &length, &fault) == 0);
    const char *second = memmem(data + 4, length - 4, "TZif", 4);
    CHECK(second);
    size_t start = (size_t)(second - data);
    check_lie(data, length, 0, 'X', "this is no time zone file (TZif)");
    check_lie(data, length, 4, '\0', "the time zone file is of version 1, which ends in 2037");
    check_lie(data, length, 32, '\x7f', "the time zone file is cut short"); /* changes */
    check_lie(data, length, start + 32, '\x7f', "the time zone file is cut short");
    check_lie(data, length, start, 'X', "the time zone file is cut short");
    check_lie(data, length, start + 44, '\x7f',
              "the time zone file contradicts itself"); /* order */
    check_lie(data, length, length - 1, 'X', "the time zone file contradicts itself");
    check_lie(data, length, length - 5, 'X', "the time zone file contradicts itself");
    for (size_t cut = 0; cut < length; cut++)
        CHECK(zone_parse(data, cut, &zone, &fault) == -EINVAL && !zone);
}

static void check_refused(const char *name, int error, const char *complaint) {
    struct zone *zone = NULL;
    struct fault fault;
    CHECK(zone_open(name, &zone, &fault) == error && !zone);
    CHECK_TEXT(fault.text, complaint);
}

#define NO_NAME " is no name of a time zone; write one such as \"Europe/Berlin\""

TEST(names) {
    need_zones();
    check_refused("Europe/Berln", -ENOENT,
                  "there is no time zone \"Europe/Berln\"; did you mean \"Europe/Berlin\"?");
    check_refused("Erope/Berlni", -ENOENT,
                  "there is no time zone \"Erope/Berlni\"; did you mean \"Europe/Berlin\"?");
    check_refused("Berlin", -ENOENT,
                  "there is no time zone \"Berlin\"; did you mean \"Europe/Berlin\"?");
    check_refused("America/Argentina/Usuaia", -ENOENT,
                  "there is no time zone \"America/Argentina/Usuaia\"; did you mean "
                  "\"America/Argentina/Ushuaia\"?");
    check_refused("CEST", -ENOENT, "there is no time zone \"CEST\"; did you mean \"CET\"?");
    check_refused("Nowhere/City", -ENOENT, "there is no time zone \"Nowhere/City\"");
    check_refused("Europe/Berlin/Mitte", -ENOENT, "there is no time zone \"Europe/Berlin/Mitte\"");
    check_refused("A/B/C/D/E/F", -ENOENT, "there is no time zone \"A/B/C/D/E/F\"");
    check_refused("Europe", -EINVAL, "the time zone \"Europe\" is no file");
    check_refused("zone.tab", -EINVAL, "\"zone.tab\"" NO_NAME);
    check_refused("../../../etc/passwd", -EINVAL, "\"../../../etc/passwd\"" NO_NAME);
    check_refused("Europe/../UTC", -EINVAL, "\"Europe/../UTC\"" NO_NAME);
    check_refused("/etc/localtime", -EINVAL, "\"/etc/localtime\"" NO_NAME);
    check_refused("Europe//Berlin", -EINVAL, "\"Europe//Berlin\"" NO_NAME);
    check_refused("Europe/", -EINVAL, "\"Europe/\"" NO_NAME);
    check_refused(
        "Abcdefghijklmnopqrstuvwxyz/abcdefghijklmnopqrstuvwxyz/abcdefghijklm", -EINVAL,
        "\"Abcdefghijklmnopqrstuvwxyz/abcdefghijklmnopqrstuvwxyz/abcdefghijklm\"" NO_NAME);
}

TEST(leap_seconds_are_refused) {
    if (access("/usr/share/zoneinfo/right/UTC", R_OK) != 0)
        SKIP("the database has no zones that count leap seconds");
    check_refused(
        "right/UTC", -EINVAL,
        "time zone \"right/UTC\": the time zone file counts leap seconds, which the clock "
        "does not");
}

TEST(paths_in_TZ) {
    char path[] = "/tmp/ringfence-zone-"
                  "XXX"
                  "XXX";
    char complaint[256], said[64];
    int fd = mkstemp(path);
    CHECK(fd >= 0 && write(fd, "nonsense", 8) == 8);
    setenv("TZ", path, 1);
    snprintf(complaint, sizeof complaint, "time zone \"%s\": this is no time zone file (TZif)",
             path);
    check_refused("", -EINVAL, complaint);
    CHECK(ftruncate(fd, ZONE_FILE_MOST + 1) == 0);
    snprintf(complaint, sizeof complaint, "the time zone \"%s\" has more than 65536 bytes", path);
    check_refused("", -EFBIG, complaint);
    close(fd);
    unlink(path);
    snprintf(said, sizeof said, ":%s", path);
    setenv("TZ", said, 1);
    snprintf(complaint, sizeof complaint,
             "cannot open the time zone \"%s\": No such file or directory", path);
    check_refused("", -ENOENT, complaint);
    setenv("TZ", "/dev/zero", 1);
    check_refused("", -EINVAL, "the time zone \"/dev/zero\" is no file");
}

TEST_MAIN
