#pragma once
/* From an initramfs to the root that the kernel's command line names, before anything else runs. */

#include <stdbool.h>

struct command_line;

/* Whether "/" is the kernel's own root file system, in memory. */
bool root_is_initramfs(void);

/* Loads the drivers that the initramfs lists, waits for the device, mounts it, leaves the initramfs
 * empty behind and becomes the init there, with these arguments. Returns where that cannot be,
 * having said why: then the initramfs is all there is. */
void root_switch(const struct command_line *line, char **arguments);
