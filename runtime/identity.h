#pragma once
/* Which process a number meant: enough to find that one again in another manager's life, and never
 * another that was given its number since. Called by the run and by adoption. */

#include <stdint.h>
#include <sys/types.h>

struct text;

struct identity {
    pid_t pid;           /* 0: none */
    uint64_t start_time; /* clock ticks after the boot: field 22 of /proc/PID/stat */
    uint64_t inode; /* of its pidfds, which no other process has until the next boot (pidfs, 6.9);
                       0: this kernel does not number them */
};

#define IDENTITY_BOOT_SIZE 37 /* a UUID and its NUL */

/* Of a process that is not reaped; pidfd: of the same. 0 or -errno. */
int identity_read(pid_t pid, int pidfd, struct identity *ret_identity);
/* A pidfd of that very process, which may be a zombie; -ESRCH where it is gone. */
int identity_open(const struct identity *identity);

/* The kernel's name for the time since it booted: the numbers above mean nothing in another. */
int identity_boot(char ret_boot[IDENTITY_BOOT_SIZE]);

/* As words (runtime/words.h): " NAME=PID:START:INODE". */
void identity_print(struct text *words, const char *name, const struct identity *identity);
/* -ENOENT where there is no such word, -EINVAL where it is no identity. */
int identity_parse(const char *words, const char *name, struct identity *ret_identity);
