#pragma once
/* Where facts lie: RUNTIME_DIR/units/NAME holds those of a unit, with the unit itself beside them,
 * RUNTIME_DIR/manager those of the manager. state.c writes them, adopt.c reads them; the simulation
 * has its own. Nobody but us can have written them: the directories and files are 0700 and 0600,
 * and what is owned by another, may be read by another, has a second name or is no plain file is
 * refused. */

#include <stdbool.h>
#include <stddef.h>

struct fault;
struct manager;

enum facts_file { FACTS_FILE, FACTS_UNIT_FILE };

/* unit NULL: the manager's own. A new file takes the place of the old one, or the old one stays. */
int facts_file_write(const struct manager *manager, const char *unit, enum facts_file file,
                     const char *data, size_t length, struct fault *fault);
/* -ENOENT where there is none, -EPERM where it is not ours, -EFBIG. */
int facts_file_read(const struct manager *manager, const char *unit, enum facts_file file,
                    char **ret_data, struct fault *fault);
/* An empty file beside the facts says that the unit is to be up: it tells so much also where they
 * are damaged. */
int facts_file_want(const struct manager *manager, const char *unit, bool wanted,
                    struct fault *fault);
/* 1, 0; -errno where that cannot be told. */
int facts_file_is_wanted(const struct manager *manager, const char *unit);
/* The names of all units that have a directory, sorted; the caller frees each and the array. */
int facts_file_list(const struct manager *manager, char ***ret_names, size_t *ret_count,
                    struct fault *fault);
/* All of a unit; unit NULL: all of all. */
void facts_file_remove(const struct manager *manager, const char *unit);
/* Of this boot; what another boot wrote means nothing. */
const char *facts_file_boot(const struct manager *manager);
