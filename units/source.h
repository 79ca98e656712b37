#pragma once
/* One file of the unit language, read and parsed behind a gate: libconfig 1.5 ends the process, or
 * takes minutes, on some inputs, so that it sees only what our own scan let through and what a
 * throw-away process has parsed before. units/set and units/load call it. */

#include <libconfig.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "units/complain.h"

struct fault;

#define SOURCE_SIZE_MAX 65536 /* bytes of a file */
#define SOURCE_DEPTH_MAX 8    /* groups and lists inside each other; the language has 4 */
#define SOURCE_NODES_MAX 4096 /* settings and values; libconfig is quadratic in them */

/* A setting, or a value in a list: what our scan knows of it. They stand in the order of the file,
 * each before what is in it; the first is the file itself. */
struct node {
    uint32_t name;                   /* offset of the name, of the value where it has none */
    uint32_t value;                  /* offset of the value */
    uint32_t length;                 /* of a number's text */
    uint32_t end;                    /* number of the first node that is not in this one */
    const config_setting_t *setting; /* after source_parse */
};

struct source {
    char *path; /* as it was named */
    char *data;
    size_t length;
    char *repaired; /* what libconfig gets instead, where the scan put commas right; or NULL */
    struct node *nodes;
    size_t count;
    bool empty; /* nothing but white space and comments */
    bool bad;   /* a complaint was made: it is not parsed */
    bool parsed;
    config_t config;
};

/* Reads a file and scans it. `source` is filled in any case, and freed by source_close. What is
 * wrong with it, be it a directory or a FIFO, is a complaint, and sets `bad`. */
void source_open(const char *path, struct source *ret_source, struct complaints *complaints);
/* Why a directory cannot be trusted (R12), in words; NULL: it can. */
const char *source_directory_fault(int directory);
/* The same for bytes in memory. */
void source_from(const char *path, const char *data, size_t length, struct source *ret_source,
                 struct complaints *complaints);
void source_close(struct source *source);

/* Parses all that are not bad in a throw-away process, under a limit of processor time. What it
 * cannot parse is made bad, with a complaint of its own in complaints[i]. */
int sources_try(struct source *const *sources, struct complaints *const *complaints, size_t count,
                struct fault *fault);
/* Parses here; only after sources_try. */
void source_parse(struct source *source, struct complaints *complaints);

/* Lets libconfig's tree go; what is left serves for complaints. */
void source_settle(struct source *source);

/* units/scan.c: fills nodes, or complains. */
void source_scan(struct source *source, struct complaints *complaints);

/* A complaint about the byte at this offset. */
void source_complain(struct source *source, struct complaints *complaints, size_t offset,
                     const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The same without making the source bad. */
void source_complain_at(const struct source *source, struct complaints *complaints, size_t offset,
                        const char *format, ...) __attribute__((format(printf, 4, 5)));
void source_complain_list(const struct source *source, struct complaints *complaints, size_t offset,
                          const char *format, va_list arguments);

/* ---- walking ---- */

/* for (size_t i = parent + 1; i < nodes[parent].end; i = nodes[i].end) visits what is in parent. */

/* The member of a group by name; 0 where there is none. */
size_t source_member(const struct source *source, size_t parent, const char *name);
