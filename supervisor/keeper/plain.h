#pragma once
/* What every file of the keeper uses: the time, a line on standard error, a small file. */

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- the time ---- */

/* All times are milliseconds of CLOCK_MONOTONIC. */
#define NEVER UINT64_MAX

uint64_t now(void);
/* Puts the time into the environment, for `ringfence boot`. What executes us anew, in an initramfs
 * or to replace us, has noted it before: the first one counts. */
void note_time(const char *variable);

/* ---- words ---- */

/* One line on standard error, in one write(2), with the program's name before it. Never waits. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "SIGSEGV", "signal 35" */
void signal_describe(int signal, char *ret_text, size_t size);
/* "exit status 1", "SIGSEGV", "SIGABRT (core dumped)" */
void status_describe(int wait_status, char *ret_text, size_t size);

/* ---- files of the kernel ---- */

/* Its first bytes, as text: the length. "" where it cannot be read. */
size_t read_text(const char *path, char *ret_text, size_t size);
/* Best effort: a kernel without it does as it always did. */
void write_text(const char *path, const char *text);

/* mkdir -p, 0755 whatever the umask leaves of it. */
int make_directories(const char *path);

/* ---- between fork and exec ---- */

/* SIG_DFL for all: the keeper catches some and ignores others. The mask is the caller's. */
void signals_restore(void);
