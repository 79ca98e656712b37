#pragma once
/* Users and groups of a unit: looked up in the root's own etc/passwd and etc/group by a bounded
 * reader without NSS and without memory of its own, so that a forked child may call it. */

#include "units/spec.h"

struct fault;

#define CREDENTIALS_GROUPS 256 /* supplementary groups of one process */
#define CREDENTIALS_HOME 256   /* bytes of a home directory, with its NUL */

struct credentials {
    uid_t uid;
    gid_t gid;
    gid_t groups[CREDENTIALS_GROUPS]; /* the primary one first */
    size_t group_count;               /* at least 1 */
    char home[CREDENTIALS_HOME];      /* of passwd; "/" where it has none */
};

/* root: a directory descriptor of the root. user: "NAME", "ID", either with ":GROUP"; NULL is root.
 * group: NULL is the one of passwd. Digits are ids and are never taken as a name; an id that passwd
 * does not have gets the group of the same number, no other groups, and the home "/". "root" is 0
 * where passwd does not say otherwise. */
int credentials_resolve(int root, const char *user, const char *group,
                        const struct strings *supplementary, struct credentials *ret_credentials,
                        struct fault *fault);

/* An owner as in mounts and volumes: "user[:group]"; no supplementary groups are looked up. */
int credentials_owner(int root, const char *owner, uid_t *ret_uid, gid_t *ret_gid,
                      struct fault *fault);

/* setgroups, setresgid, setresuid. Ids are those of the caller's user namespace. */
int credentials_apply(const struct credentials *credentials, struct fault *fault);
