#include "runtime/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "units/base/fault.h"
#include "units/base/number.h"
#include "units/base/scoped.h"

#define ID_MOST (UINT32_MAX - 1) /* (uid_t)-1 means "leave it" to setresuid(2) */
#define FILE_MOST (1024 * 1024)  /* bytes of a passwd or group file */
#define NAME_SIZE 256
#define TRIES 16 /* openat2 says EAGAIN where a rename raced with it */

static const char passwd_path[] = "etc/passwd";
static const char group_path[] = "etc/group";

/* ---- the reader ---- */

struct reader {
    const char *path;
    int fd, error;
    size_t left; /* bytes that may still be read */
    size_t at, length;
    char buffer[4096];
};

/* The file is an image's: it may be a link, a pipe, a device, or of any length. */
static int reader_open(struct reader *reader, int root, const char *path, struct fault *fault) {
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    long fd = -1;
    for (int i = 0; i < TRIES && fd < 0; i++) {
        fd = syscall(SYS_openat2, root, path, &how, sizeof how);
        if (fd < 0 && errno != EAGAIN && errno != EINTR)
            break;
    }
    if (fd < 0)
        return fault_set(fault, errno, "cannot open the root's /%s", path);

    scoped_fd int opened = (int)fd;
    struct stat status;
    if (fstat(opened, &status) < 0)
        return fault_set(fault, errno, "cannot stat the root's /%s", path);
    if (!S_ISREG(status.st_mode))
        return fault_say(fault, -EINVAL, "the root's /%s is not a regular file", path);
    if (status.st_size > FILE_MOST)
        return fault_say(fault, -EFBIG, "the root's /%s has more than 1 MiB", path);
    reader->path = path;
    reader->fd = take_fd(&opened);
    reader->error = 0;
    reader->left = FILE_MOST;
    reader->at = reader->length = 0;
    return 0;
}

static void reader_close(struct reader *reader) {
    reader->fd = close_fd(reader->fd);
}

/* The next byte, or EOF at the end or on an error. */
static int reader_next(struct reader *reader) {
    while (reader->at == reader->length) {
        size_t want = sizeof reader->buffer < reader->left ? sizeof reader->buffer : reader->left;
        ssize_t got = want ? read(reader->fd, reader->buffer, want) : 0;
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            reader->error = got < 0 ? errno : 0;
            return EOF;
        }
        reader->at = 0;
        reader->length = (size_t)got;
        reader->left -= (size_t)got;
    }
    return (unsigned char)reader->buffer[reader->at++];
}

/* One field, up to ':', the end of the line or `comma` (0: none); returns what ended it. A field
 * that is too long or has a NUL in it becomes empty, and so equals no name and no number. */
static int reader_field(struct reader *reader, char comma, char *field, size_t size) {
    size_t length = 0;
    bool usable = true;
    int byte;
    while ((byte = reader_next(reader)) != EOF && byte != ':' && byte != '\n' &&
           !(comma && byte == comma)) {
        if (byte == '\0' || length + 1 >= size)
            usable = false;
        else
            field[length++] = (char)byte;
    }
    field[usable ? length : 0] = '\0';
    return byte;
}

static void reader_skip_line(struct reader *reader, int last) {
    while (last != EOF && last != '\n')
        last = reader_next(reader);
}

/* ---- numbers ---- */

/* 0, -EINVAL: not a number but a name, -ERANGE: a number that is no id. */
static int id_parse(const char *text, uint32_t *ret_id) {
    uint64_t id;
    if (!*text || text[strspn(text, "0123456789")] != '\0')
        return -EINVAL;
    if (number_parse(text, &id) < 0 || id > ID_MOST)
        return -ERANGE;
    *ret_id = (uint32_t)id;
    return 0;
}

static int id_out_of_range(const char *text, struct fault *fault) {
    return fault_say(fault, -ERANGE, "id \"%s\" is out of range: ids go from 0 to 4294967294",
                     text);
}

/* ---- passwd ---- */

struct account {
    char name[NAME_SIZE];
    uid_t uid;
    gid_t gid;
    char home[CREDENTIALS_HOME];
};

/* The next well-formed line. */
static bool account_read(struct reader *reader, struct account *ret_account) {
    char password[2], uid[16], gid[16], comment[2];
    int last = '\n';
    while (last != EOF) {
        struct account account;
        last = reader_field(reader, 0, account.name, sizeof account.name);
        if (last == ':')
            last = reader_field(reader, 0, password, sizeof password);
        bool complete = last == ':';
        if (complete)
            last = reader_field(reader, 0, uid, sizeof uid);
        if ((complete = complete && last == ':'))
            last = reader_field(reader, 0, gid, sizeof gid);
        if ((complete = complete && last == ':'))
            last = reader_field(reader, 0, comment, sizeof comment);
        account.home[0] = '\0';
        if (complete && last == ':')
            last = reader_field(reader, 0, account.home, sizeof account.home);
        reader_skip_line(reader, last);
        if (!complete || !account.name[0] || id_parse(uid, &account.uid) < 0 ||
            id_parse(gid, &account.gid) < 0)
            continue;
        if (account.home[0] != '/')
            strcpy(account.home, "/");
        *ret_account = account;
        return true;
    }
    return false;
}

/* The first account of that name, or of that id where name is NULL. 0, -ENOENT: no such account or
 * no such file, or another error. */
static int account_find(int root, const char *name, uid_t uid, struct account *ret_account,
                        struct fault *fault) {
    struct reader reader;
    int error = reader_open(&reader, root, passwd_path, fault);
    if (error)
        return error;
    bool found = false;
    while (!found && account_read(&reader, ret_account))
        found = name ? strcmp(ret_account->name, name) == 0 : ret_account->uid == uid;
    reader_close(&reader);
    if (reader.error)
        return fault_set(fault, reader.error, "cannot read the root's /%s", passwd_path);
    return found ? 0 : -ENOENT;
}

/* ---- group ---- */

/* Reads "NAME:PASSWORD:ID:" of the next well-formed line; the members are still to be read. */
static bool group_read(struct reader *reader, char *name, size_t size, gid_t *ret_gid,
                       int *ret_last) {
    char password[2], gid[16];
    int last = '\n';
    while (last != EOF) {
        last = reader_field(reader, 0, name, size);
        if (last == ':')
            last = reader_field(reader, 0, password, sizeof password);
        bool complete = last == ':';
        if (complete)
            last = reader_field(reader, 0, gid, sizeof gid);
        if (complete && name[0] && id_parse(gid, ret_gid) == 0) {
            *ret_last = last;
            return true;
        }
        reader_skip_line(reader, last);
    }
    return false;
}

/* Reads the rest of a line; whether `user` is in it. A member list may be longer than any buffer.
 */
static bool group_has(struct reader *reader, int last, const char *user) {
    char member[NAME_SIZE];
    bool found = false;
    while (last == ':' || last == ',') {
        last = reader_field(reader, ',', member, sizeof member);
        if (strcmp(member, user) == 0)
            found = true;
    }
    reader_skip_line(reader, last);
    return found;
}

static int group_find(int root, const char *name, gid_t *ret_gid, struct fault *fault) {
    struct reader reader;
    int error = id_parse(name, ret_gid);
    if (error == -ERANGE)
        return id_out_of_range(name, fault);
    if (!error)
        return 0;

    error = reader_open(&reader, root, group_path, fault);
    if (!error) {
        char found[NAME_SIZE];
        gid_t gid;
        int last;
        error = -ENOENT;
        while (error && group_read(&reader, found, sizeof found, &gid, &last)) {
            if (strcmp(found, name) == 0) {
                *ret_gid = gid;
                error = 0;
            }
            reader_skip_line(&reader, last);
        }
        reader_close(&reader);
        if (reader.error)
            return fault_set(fault, reader.error, "cannot read the root's /%s", group_path);
    }
    if (error == -ENOENT && strcmp(name, "root") == 0) {
        *ret_gid = 0;
        return 0;
    }
    if (error == -ENOENT)
        return fault_say(fault, -ENOENT, "no group \"%s\" in the root's /%s", name, group_path);
    return error;
}

static int group_add(struct credentials *credentials, gid_t gid, struct fault *fault) {
    for (size_t i = 0; i < credentials->group_count; i++)
        if (credentials->groups[i] == gid)
            return 0;
    if (credentials->group_count == CREDENTIALS_GROUPS)
        return fault_say(fault, -E2BIG, "the user is in more than %d groups", CREDENTIALS_GROUPS);
    credentials->groups[credentials->group_count++] = gid;
    return 0;
}

/* All groups that list the user as a member. */
static int groups_of(int root, const char *user, struct credentials *credentials,
                     struct fault *fault) {
    struct reader reader;
    int error = reader_open(&reader, root, group_path, fault);
    if (error)
        return error == -ENOENT ? 0 : error;
    char name[NAME_SIZE];
    gid_t gid;
    int last;
    while (!error && group_read(&reader, name, sizeof name, &gid, &last))
        if (group_has(&reader, last, user))
            error = group_add(credentials, gid, fault);
    reader_close(&reader);
    if (reader.error)
        return fault_set(fault, reader.error, "cannot read the root's /%s", group_path);
    return error;
}

/* ---- user ---- */

/* "USER:GROUP" in two; a group that is given beside it must not be there twice. */
static int split(const char *user, const char **group, char *name, struct fault *fault) {
    const char *colon = strchr(user, ':');
    size_t length = colon ? (size_t)(colon - user) : strlen(user);
    if (length == 0 || (colon && colon[1] == '\0'))
        return fault_say(fault, -EINVAL, "user \"%s\": a name or a number is missing", user);
    if (length >= NAME_SIZE)
        return fault_say(fault, -EINVAL, "the user's name has more than %d bytes", NAME_SIZE - 1);
    if (colon && *group)
        return fault_say(fault, -EINVAL, "user \"%s\" names a group, and so does the group key",
                         user);
    if (colon)
        *group = colon + 1;
    memcpy(name, user, length);
    name[length] = '\0';
    return 0;
}

/* *ret_listed: passwd has it, so that it can be a member of groups. */
static int user_find(int root, const char *user, struct account *ret_account, bool *ret_listed,
                     struct fault *fault) {
    uint32_t id;
    int number = id_parse(user, &id);
    if (number == -ERANGE)
        return id_out_of_range(user, fault);
    int error = account_find(root, number == 0 ? NULL : user, id, ret_account, fault);
    *ret_listed = error == 0;
    if (error != -ENOENT)
        return error;
    if (number != 0 && strcmp(user, "root") != 0)
        return fault_say(fault, -ENOENT, "no user \"%s\" in the root's /%s", user, passwd_path);
    *ret_account = (struct account){.home = "/"};
    ret_account->uid = ret_account->gid = number == 0 ? id : 0;
    return 0;
}

int credentials_resolve(int root, const char *user, const char *group,
                        const struct strings *supplementary, struct credentials *ret_credentials,
                        struct fault *fault) {
    char name[NAME_SIZE];
    struct account account;
    bool listed;
    int error = split(user ? user : "root", &group, name, fault);
    if (!error)
        error = user_find(root, name, &account, &listed, fault);
    struct credentials found = {.uid = 0};
    if (!error && group)
        error = group_find(root, group, &account.gid, fault);
    if (error)
        return error;

    found.uid = account.uid;
    found.gid = account.gid;
    memcpy(found.home, account.home, sizeof found.home);
    /* Always there: a file that shuts its own group out would else open to a process that has that
     * group only as its primary one and then changes it. */
    group_add(&found, found.gid, NULL);
    if (listed)
        error = groups_of(root, account.name, &found, fault);
    for (size_t i = 0; !error && supplementary && i < supplementary->count; i++) {
        gid_t gid;
        error = group_find(root, supplementary->items[i], &gid, fault);
        if (!error)
            error = group_add(&found, gid, fault);
    }
    if (error)
        return error;
    *ret_credentials = found;
    return 0;
}

int credentials_owner(int root, const char *owner, uid_t *ret_uid, gid_t *ret_gid,
                      struct fault *fault) {
    char name[NAME_SIZE];
    const char *group = NULL;
    struct account account;
    bool listed;
    int error = split(owner, &group, name, fault);
    if (!error)
        error = user_find(root, name, &account, &listed, fault);
    if (!error && group)
        error = group_find(root, group, &account.gid, fault);
    if (error)
        return error;
    *ret_uid = account.uid;
    *ret_gid = account.gid;
    return 0;
}

/* The raw calls: libc's own would tell other threads, of which a cloned child has none. */
int credentials_apply(const struct credentials *credentials, struct fault *fault) {
    if (syscall(SYS_setgroups, credentials->group_count, credentials->groups) < 0)
        return errno == EINVAL ? fault_say(fault, -EINVAL,
                                           "one of the groups lies outside of the user namespace")
                               : fault_set(fault, errno, "cannot set the supplementary groups");
    gid_t gid = credentials->gid;
    if (syscall(SYS_setresgid, gid, gid, gid) < 0)
        return errno == EINVAL ? fault_say(fault, -EINVAL,
                                           "group id %u lies outside of the user namespace", gid)
                               : fault_set(fault, errno, "cannot become group %u", gid);
    uid_t uid = credentials->uid;
    if (syscall(SYS_setresuid, uid, uid, uid) < 0)
        return errno == EINVAL
                   ? fault_say(fault, -EINVAL, "user id %u lies outside of the user namespace", uid)
                   : fault_set(fault, errno, "cannot become user %u", uid);
    return 0;
}
