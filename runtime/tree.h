#pragma once
/* Mounts by descriptor: made new or cloned, detached; changed while nobody sees them; attached
 * once. Called by everything that assembles a unit's root. */

#include <stdbool.h>
#include <stdint.h>

struct fault;

/* A new instance of a file system. options: "key=value,flag", or NULL. attributes: MOUNT_ATTR_*.
 * Returns the descriptor of a detached mount, or -errno. */
int tree_new(const char *type, const char *options, uint64_t attributes, struct fault *fault);

/* A copy of what is mounted at a path (that of an O_PATH descriptor where the path is ""), and of
 * all that is mounted below it if recursive; it starts at the path, whatever that is: a directory
 * or a file. attributes: MOUNT_ATTR_* that it has beside those of the original, all of it.
 * Propagation is private. Returns a descriptor, or -errno. */
int tree_clone(int directory, const char *path, bool recursive, uint64_t attributes,
               struct fault *fault);

/* Adds MOUNT_ATTR_* to a mount. */
int tree_restrict(int tree, uint64_t attributes, struct fault *fault);

/* Ids on disk are seen through the user namespace's map. -EOPNOTSUPP, without a sentence, where
 * the file system cannot do that. The tree is one that nobody else can see (5.12). */
int tree_map_ids(int tree, int user_namespace);

/* On an O_PATH descriptor, over what is there. `what` is for the sentence. */
int tree_attach(int tree, int target, const char *what, struct fault *fault);
