#pragma once
/* The kernel's names for namespaces, and descriptors of those that somebody else made. Called by
 * the sandbox and the run. */

#include "units/spec.h"

struct fault;

/* CLONE_NEW* of each kind, and the name of its file in /proc/PID/ns. */
extern const unsigned namespace_flags[NAMESPACE_KINDS];
extern const char *const namespace_files[NAMESPACE_KINDS];

/* A descriptor of the namespace that a file is (a bind of /proc/PID/ns/KIND), checked to be of that
 * kind; or -errno. Never blocks. */
int namespace_open(enum namespace_kind kind, const char *path, struct fault *fault);

/* 0 where the descriptor is a namespace of that kind, -EINVAL where it is anything else, another
 * -errno where it cannot be told. */
int namespace_check(enum namespace_kind kind, int fd);

/* By which a namespace is known as long as it is there; -errno. */
int namespace_identify(int fd, uint64_t *ret_inode);
/* The same; 0 where it cannot be told. */
uint64_t namespace_inode(int fd);
