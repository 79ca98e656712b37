#pragma once
/* From an initramfs to the root that the kernel's command line names, before anything else runs. */

#include <stdbool.h>
#include <stddef.h>

struct command_line;

/* Whether "/" is the kernel's own root file system, in memory. */
bool root_is_initramfs(void);

/* Waits for a block device by any of its names; a person is told where that takes long. -1 second
 * is for ever. -ENODEV: it did not come. */
int root_await(const char *name, int seconds, char *ret_path, size_t size);

/* Loads the drivers that the initramfs lists, waits for the device, mounts it, leaves the initramfs
 * empty behind and becomes the init there, with these arguments. Returns where that cannot be,
 * having said why: then the initramfs is all there is, unless it is worth another try (true). To
 * try it `again` neither loads, nor waits for the root, nor tells the console that it is not there.
 */
bool root_switch(const struct command_line *line, char **arguments, bool again);
