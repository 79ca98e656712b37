#pragma once
/* Directories of a cgroup v2 tree, by descriptor: what the root, the units and the figures share.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fault;

/* An existing directory below another; -errno. */
int cgroup_tree_open(int directory, const char *name);
/* The same, made if absent. */
int cgroup_tree_make(int directory, const char *name);

/* The value of `key` in a flat-keyed file ("key value" lines); with NULL that of a file with a
 * single value. "max" is SIZE_NONE (units/base/number.h). -ENOENT where there is no such file or
 * key. */
int cgroup_tree_value(int directory, const char *file, const char *key, uint64_t *ret_value);
/* Whether a list of words separated by blanks, such as cgroup.controllers, has the word. */
bool cgroup_tree_has_word(const char *words, const char *word);
/* Writes into a file of the directory; 0 or -errno. */
int cgroup_tree_write(int directory, const char *file, const char *value);

/* Removes all directories below this one, which stays. -EBUSY where a process is in one. */
int cgroup_tree_clear(int directory);

/* Writes the sums of the children's memory.low and memory.min as the directory's own: the kernel
 * protects a child by no more than its parent has. Nothing without these files. 0 or -errno. */
int cgroup_tree_protect(int directory);

/* Calls with each directory, from this one down. The visitor's first non-zero return ends it and is
 * returned. -ELOOP where directories nest deeper than 32. */
typedef int (*cgroup_visitor)(void *context, int directory);
int cgroup_tree_walk(int directory, cgroup_visitor visitor, void *context);
