#pragma once
/* The kernel's process limits by name (setrlimit(2)): what a unit file says and what a complaint
 * says. */

struct names;

extern const struct names rlimit_names; /* RLIMIT_NOFILE: "nofile" */
