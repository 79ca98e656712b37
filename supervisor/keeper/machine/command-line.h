#pragma once
/* What a person told us on the kernel's command line: ringfence.KEY=VALUE, and where the root is.
 */

#include <stdbool.h>

enum { COMMAND_LINE_MOST = 4096, COMMAND_LINE_OPTIONS = 32 };

struct command_line {
    char *options[COMMAND_LINE_OPTIONS]; /* as a person would write them behind ringfenced */
    int option_count;
    char *rescue; /* the program that a person gets when nothing else works; NULL: none */
    int watchdog; /* seconds; -1: not given */
    /* A writable layer over the root: a block device, or "tmpfs"; NULL: none. */
    char *overlay;
    bool factory_reset; /* what was written to it is deleted */
    /* The kernel's own words, which it leaves to an initramfs: */
    char *root, *root_type, *root_options; /* NULL: not given */
    char *init;                            /* the program there; NULL: the usual ones */
    bool root_writable;
    int root_wait;                /* seconds that the device may take to appear; -1: for ever */
    char text[COMMAND_LINE_MOST]; /* taken apart; the others point into it */
};

/* Reads /proc/cmdline. What is wrong is said, and passed over: a machine has to boot. */
void command_line_read(struct command_line *ret_line);
