#pragma once
/* One load of several units: their files, found, tried at once and filled into drafts. units/set
 * makes it, takes what came of it, and closes it. */

#include <limits.h>

#include "units/draft.h"
#include "units/search.h"

struct batch {
    struct search search;
    struct source host;
    size_t defaults; /* node of the host file's group; 0: none */
    bool defaults_bad;
    struct manager_settings settings;
    char host_name[HOST_NAME_MAX + 1];
    struct draft **drafts;
    size_t count;
};

/* Finds the files, and reads the host's. What is wrong with the host's file, and drop-ins of no
 * unit, are told in `complaints`. */
int batch_open(struct batch *batch, const struct unit_sources *sources,
               struct complaints *complaints, struct fault *fault);
void batch_close(struct batch *batch);

/* The host's own file and nothing else; instead of batch_open. */
int batch_load_host(struct batch *batch, const struct unit_sources *sources,
                    struct complaints *complaints, struct fault *fault);
/* Every unit that was found, and the instances that they name. */
int batch_load_all(struct batch *batch, struct complaints *complaints, struct fault *fault);
/* One instance and those that it names, beside units that were loaded before. -ENOENT: there is no
 * template of it. */
int batch_load_instance(struct batch *batch, const char *name, struct complaints *complaints,
                        struct fault *fault);
int batch_add_unit(struct batch *batch, const struct unit_entry *entry);

/* Sorts the drafts by name; unknown dependencies and cycles become complaints. */
int batch_order(struct batch *batch, struct fault *fault);
