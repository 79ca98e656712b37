#pragma once
/* A table of ranges of numbers becomes a binary search in classic BPF: some seven comparisons where
 * a list would make hundreds. Called by the filter's compiler. */

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct seccomp_code {
    struct sock_filter items[BPF_MAXINSNS];
    size_t count;
};

/* Appends one instruction; false where there is no room. */
bool seccomp_emit(struct seccomp_code *code, struct sock_filter instruction);

#define SECCOMP_PROGRAMS 2 /* programs that a range may lead to */

struct seccomp_range {
    uint32_t first;  /* up to the next range's first; the table's first one starts at 0 */
    int program;     /* -1: the action; else the jump to that program */
    uint32_t action; /* SECCOMP_RET_*, with its data */
};

#define SECCOMP_RANGES 1024

struct seccomp_tree {
    struct seccomp_range ranges[SECCOMP_RANGES];
    size_t count;
    struct {
        size_t at;
        int program;
    } jumps[SECCOMP_RANGES]; /* still without a target */
    size_t jump_count;
};

/* A range that answers like the one before is merged with it. */
bool seccomp_tree_add(struct seccomp_tree *tree, struct seccomp_range range);
/* Appends the search; the number is in the accumulator. False where there is no room. */
bool seccomp_tree_emit(struct seccomp_tree *tree, struct seccomp_code *code);
/* All jumps to the program lead to the next instruction that is appended. */
void seccomp_tree_aim(const struct seccomp_tree *tree, int program, struct seccomp_code *code);
