#pragma once
/* Numbers, durations and sizes as people write them. Each parse takes the whole text or nothing:
 * no white space, no sign where none belongs, no wrap-around. 0, or -EINVAL, or -ERANGE. */

#include <stdbool.h>
#include <stdint.h>

struct text;

#define USEC_PER_SEC 1000000ULL
#define DURATION_OFF UINT64_MAX /* "off": no such limit */
#define SIZE_NONE UINT64_MAX    /* "max": no such limit */

int number_parse(const char *text, uint64_t *ret_value);
int number_parse_signed(const char *text, int64_t *ret_value);

/* Microseconds: "100ms", "90s", "2min", "1h", "1h30min", "1d"; a bare number is seconds; "off". */
int duration_parse(const char *text, uint64_t *ret_usec);
/* The shortest form that parses back to the same value. */
void duration_print(struct text *text, uint64_t usec);

/* So many in so many microseconds: "1000/s", "100/min", "10/h"; "off" is 0 a second. */
int frequency_parse(const char *text, uint64_t *ret_count, uint64_t *ret_usec);

/* Bytes: "64M", IEC (K M G T, with or without iB); a bare number is bytes; "max". */
int size_parse(const char *text, uint64_t *ret_bytes);
void size_print(struct text *text, uint64_t bytes);
