#pragma once
/* Deleting whole trees, whatever somebody made of them. Called by the initramfs, before the change
 * to the root: it allocates. */

#include <stddef.h>

/* Deletes all that lies in a directory, at any depth, but what is called one of `kept` (ends with
 * NULL) in the directory itself. Never crosses a mount nor follows a link, and goes on where
 * something cannot be deleted. -errno of the first that is still there, whose path is in ret_left,
 * or the end of its path where that is too long. */
int tree_empty(const char *path, const char *const *kept, char *ret_left, size_t size);
