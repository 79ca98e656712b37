#include "runtime/seccomp-compile.h"

#include <errno.h>
#include <linux/personality.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "runtime/seccomp-profile.h"
#include "units/base/fault.h"
#include "units/base/names.h"
#include "units/base/scoped.h"

#define NUMBERS 1024 /* system call numbers that are looked at; the highest is below 500 */
#define X32_BIT 0x40000000u
#define LOW_HALF UINT64_C(0xffffffff)
#define NEW_NAMESPACES                                                                             \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |  \
     CLONE_NEWNET)

SCOPED(seccomp_release, scmp_filter_ctx)

enum verdict {
    VERDICT_DENIED,
    VERDICT_ALLOWED,
    VERDICT_UNKNOWN, /* "no such call", so that libc falls back */
    VERDICT_ONLY,    /* goes to a program that refuses all but what its rules name */
    VERDICT_ALL_BUT, /* goes to a program that allows all but what its rules name */
};

struct profile {
    enum seccomp_action mode;
    enum verdict verdicts[NUMBERS];
    enum call_rule rules[NUMBERS]; /* of the numbers with a verdict about arguments */
    unsigned highest;              /* the newest call that the profile knows */
};

/* ---- verdicts ---- */

static enum verdict verdict_of(const struct call_row *row, uint64_t capabilities) {
    bool capable = row->capabilities & capabilities;
    switch (row->rule) {
    case CALL_ALLOWED:
        return VERDICT_ALLOWED;
    case CALL_CAPABLE:
        return capable ? VERDICT_ALLOWED : VERDICT_DENIED;
    case CALL_NEVER:
        return VERDICT_DENIED;
    case CALL_CLONE:
        return capable ? VERDICT_ALLOWED : VERDICT_ONLY;
    case CALL_CLONE3:
        return capable ? VERDICT_ALLOWED : VERDICT_UNKNOWN;
    case CALL_PERSONALITY:
        return VERDICT_ONLY;
    case CALL_SOCKET:
    case CALL_IOCTL:
        return VERDICT_ALL_BUT;
    }
    return VERDICT_DENIED;
}

/* The number of a call, -1 where this architecture or libseccomp does not have it. */
static int number_of(const char *name) {
    int number = seccomp_syscall_resolve_name(name);
    return number >= 0 && number < NUMBERS ? number : -1;
}

static void set_rows(struct profile *profile, uint64_t capabilities) {
    char name[CALL_NAME_SIZE];
    for (size_t i = 0; i < seccomp_row_count; i++) {
        const struct call_row *row = &seccomp_rows[i];
        for (const char *at = row->calls; (at = seccomp_next_call(at, name));) {
            int number = number_of(name);
            if (number < 0)
                continue;
            profile->verdicts[number] = verdict_of(row, capabilities);
            profile->rules[number] = row->rule;
            if ((unsigned)number > profile->highest)
                profile->highest = (unsigned)number;
        }
    }
    for (unsigned i = profile->highest + 1; i < NUMBERS; i++)
        profile->verdicts[i] = VERDICT_UNKNOWN;
}

/* ---- what the unit asks for ---- */

static int unknown_group(const char *word, struct fault *fault) {
    const char *nearest = names_nearest(word + 1, seccomp_groups, seccomp_group_count);
    if (nearest)
        return fault_say(fault, -EINVAL,
                         "unknown group of system calls \"%s\" (did you mean \"@%s\"?)", word,
                         nearest);
    return fault_say(fault, -EINVAL, "unknown group of system calls \"%s\"", word);
}

/* All names of the table, to find the nearest among. */
struct call_names {
    char names[NUMBERS][CALL_NAME_SIZE];
    const char *candidates[NUMBERS];
    size_t count;
};

static int unknown_call(const char *word, struct fault *fault) {
    scoped_free struct call_names *all = calloc(1, sizeof *all);
    for (size_t i = 0; all && i < seccomp_row_count; i++)
        for (const char *at = seccomp_rows[i].calls;
             all->count < NUMBERS && (at = seccomp_next_call(at, all->names[all->count]));
             all->count++)
            all->candidates[all->count] = all->names[all->count];
    const char *nearest = all ? names_nearest(word, all->candidates, all->count) : NULL;
    if (nearest)
        return fault_say(fault, -EINVAL, "unknown system call \"%s\" (did you mean \"%s\"?)", word,
                         nearest);
    return fault_say(fault, -EINVAL, "unknown system call \"%s\"", word);
}

/* A group lets its members through where the profile refused them; what the profile asks about
 * their arguments stays asked. */
static int change_group(struct profile *profile, const char *word, bool allow,
                        struct fault *fault) {
    int group = names_value(&(struct names){seccomp_groups, seccomp_group_count}, word + 1);
    if (group < 0)
        return unknown_group(word, fault);
    char name[CALL_NAME_SIZE];
    for (size_t i = 0; i < seccomp_row_count; i++) {
        if (!(seccomp_rows[i].groups & UINT32_C(1) << group))
            continue;
        for (const char *at = seccomp_rows[i].calls; (at = seccomp_next_call(at, name));) {
            int number = number_of(name);
            if (number < 0)
                continue;
            enum verdict *verdict = &profile->verdicts[number];
            if (!allow)
                *verdict = VERDICT_DENIED;
            else if (*verdict == VERDICT_DENIED)
                *verdict = VERDICT_ALLOWED;
        }
    }
    return 0;
}

/* A call that is named by itself is meant without conditions. */
static int change_call(struct profile *profile, const char *word, bool allow, struct fault *fault) {
    if (seccomp_syscall_resolve_name(word) == __NR_SCMP_ERROR)
        return unknown_call(word, fault);
    int number = number_of(word);
    if (number < 0)
        return 0; /* this architecture has no such call: nobody can make it */
    profile->verdicts[number] = allow ? VERDICT_ALLOWED : VERDICT_DENIED;
    if ((unsigned)number > profile->highest)
        profile->highest = (unsigned)number;
    return 0;
}

static int change_all(struct profile *profile, const struct strings *words, bool allow,
                      struct fault *fault) {
    int error = 0;
    for (size_t i = 0; !error && i < words->count; i++) {
        const char *word = words->items[i];
        error = word[0] == '@' ? change_group(profile, word, allow, fault)
                               : change_call(profile, word, allow, fault);
    }
    return error;
}

/* ---- actions ---- */

/* What a verdict without conditions is to the kernel. */
static uint32_t action_of(enum seccomp_action mode, enum verdict verdict) {
    if (verdict == VERDICT_ALLOWED)
        return SECCOMP_RET_ALLOW;
    if (mode == SECCOMP_LOG)
        return SECCOMP_RET_LOG; /* allowed, and told to the audit log */
    if (verdict == VERDICT_UNKNOWN)
        return SECCOMP_RET_ERRNO | ENOSYS;
    return mode == SECCOMP_KILL ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ERRNO | EPERM;
}

/* ---- rules about arguments, by libseccomp ---- */

/* All compare the low half alone: the kernel takes an int there, and ignores what a caller puts
 * into the high half of the register. */
static int add_rules(scmp_filter_ctx filter, enum call_rule rule, uint32_t action, int number) {
    static const uint64_t personalities[] = {PER_LINUX, PER_LINUX32, UNAME26, PER_LINUX32 | UNAME26,
                                             LOW_HALF};
    static const uint64_t terminal_requests[] = {TIOCSTI, TIOCLINUX};
    int error = -EINVAL;
    switch (rule) {
    case CALL_CLONE:
        return seccomp_rule_add_exact(filter, action, number, 1,
                                      SCMP_A0(SCMP_CMP_MASKED_EQ, NEW_NAMESPACES, 0));
    case CALL_PERSONALITY:
        error = 0;
        for (size_t i = 0; !error && i < ELEMENTS(personalities); i++)
            error = seccomp_rule_add_exact(filter, action, number, 1,
                                           SCMP_A0(SCMP_CMP_MASKED_EQ, LOW_HALF, personalities[i]));
        return error;
    case CALL_SOCKET:
        return seccomp_rule_add_exact(filter, action, number, 1,
                                      SCMP_A0(SCMP_CMP_MASKED_EQ, LOW_HALF, AF_VSOCK));
    case CALL_IOCTL:
        error = 0;
        for (size_t i = 0; !error && i < ELEMENTS(terminal_requests); i++)
            error =
                seccomp_rule_add_exact(filter, action, number, 1,
                                       SCMP_A1(SCMP_CMP_MASKED_EQ, LOW_HALF, terminal_requests[i]));
        return error;
    case CALL_ALLOWED:
    case CALL_CAPABLE:
    case CALL_NEVER:
    case CALL_CLONE3:
        break; /* nothing about arguments */
    }
    return error;
}

/* libseccomp hands its program out through a descriptor only. */
static int append_exported(scmp_filter_ctx filter, struct seccomp_code *code) {
    scoped_fd int fd = memfd_create("filter", MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    int error = seccomp_export_bpf(filter, fd);
    if (error)
        return error;
    size_t room = sizeof code->items - code->count * sizeof code->items[0];
    ssize_t length = pread(fd, &code->items[code->count], room, 0);
    if (length < 0)
        return -errno;
    if ((size_t)length == room)
        return -E2BIG;
    code->count += (size_t)length / sizeof code->items[0];
    return 0;
}

/* One program for all numbers with that verdict. */
static int append_rules(const struct profile *profile, enum verdict verdict,
                        struct seccomp_code *code) {
    uint32_t denied = action_of(profile->mode, VERDICT_DENIED);
    uint32_t rest = verdict == VERDICT_ALL_BUT ? SCMP_ACT_ALLOW : denied;
    uint32_t named = verdict == VERDICT_ALL_BUT ? denied : SCMP_ACT_ALLOW;
    scoped(seccomp_release) scmp_filter_ctx filter = seccomp_init(rest);
    if (!filter)
        return -ENOMEM;
    int error = 0;
    for (unsigned i = 0; !error && i <= profile->highest; i++)
        if (profile->verdicts[i] == verdict)
            error = add_rules(filter, profile->rules[i], named, (int)i);
    return error ? error : append_exported(filter, code);
}

/* ---- the whole ---- */

static bool emit_head(const struct profile *profile, struct seccomp_code *code) {
    uint32_t foreign = profile->mode == SECCOMP_LOG ? SECCOMP_RET_LOG : SECCOMP_RET_KILL_PROCESS;
    const struct sock_filter head[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, seccomp_arch_native(), 1, 0),
        BPF_STMT(BPF_RET | BPF_K, foreign), /* i386 on x86_64: another table of numbers */
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    };
    for (size_t i = 0; i < ELEMENTS(head); i++)
        if (!seccomp_emit(code, head[i]))
            return false;
    return true;
}

static bool add_verdict(const struct profile *profile, struct seccomp_tree *tree, uint32_t first,
                        enum verdict verdict) {
    struct seccomp_range range = {.first = first, .program = -1};
    if (verdict == VERDICT_ONLY || verdict == VERDICT_ALL_BUT)
        range.program = verdict == VERDICT_ONLY ? 0 : 1;
    else
        range.action = action_of(profile->mode, verdict);
    return seccomp_tree_add(tree, range);
}

static bool make_tree(const struct profile *profile, struct seccomp_tree *tree) {
    bool fits = true;
    for (uint32_t i = 0; fits && i <= profile->highest; i++)
        fits = add_verdict(profile, tree, i, profile->verdicts[i]);
    return fits && add_verdict(profile, tree, profile->highest + 1, VERDICT_UNKNOWN) &&
           add_verdict(profile, tree, X32_BIT, VERDICT_DENIED);
}

int seccomp_compile(const struct security *security, uint64_t capabilities,
                    struct seccomp_code *ret_code, struct fault *fault) {
    struct profile profile = {.mode = security->seccomp_mode};
    set_rows(&profile, capabilities);
    int error = change_all(&profile, &security->seccomp_allow, true, fault);
    if (!error) /* what is denied stays denied, whatever else allows it */
        error = change_all(&profile, &security->seccomp_deny, false, fault);
    if (error)
        return error;

    scoped_free struct seccomp_tree *tree = calloc(1, sizeof *tree);
    if (!tree)
        return fault_set(fault, ENOMEM, "cannot compile the system call filter");
    ret_code->count = 0;
    if (!emit_head(&profile, ret_code) || !make_tree(&profile, tree) ||
        !seccomp_tree_emit(tree, ret_code))
        return fault_set(fault, E2BIG, "cannot compile the system call filter");
    static const enum verdict programs[SECCOMP_PROGRAMS] = {VERDICT_ONLY, VERDICT_ALL_BUT};
    for (int i = 0; !error && i < SECCOMP_PROGRAMS; i++) {
        seccomp_tree_aim(tree, i, ret_code);
        error = append_rules(&profile, programs[i], ret_code);
    }
    return error ? fault_set(fault, error, "libseccomp cannot compile the system call filter") : 0;
}
