#include "runtime/device-filter.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "runtime/devices.h"
#include "units/base/fault.h"
#include "units/base/scoped.h"

/* Character devices, by admin-guide/devices.txt of the kernel's documentation. */
static const struct usual {
    uint32_t major, first, last; /* minor numbers */
} usual[] = {
    {1, 3, 3},           /* null */
    {1, 5, 5},           /* zero */
    {1, 7, 9},           /* full, random, urandom */
    {5, 0, 2},           /* tty, console, ptmx */
    {136, 0, INT32_MAX}, /* terminals of every devpts */
};

/* One sort of device, and what may be done with it. */
struct rule {
    uint32_t type; /* BPF_DEVCG_DEV_* */
    uint32_t major, first, last;
    uint32_t access; /* BPF_DEVCG_ACC_* */
};

#define ACCESS_ALL (BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE)
#define RULE 7 /* instructions of one */
#define REST 8 /* and those before and after all */

enum { TYPE = BPF_REG_2, MAJOR, MINOR, ACCESS };

/* ---- instructions ---- */

/* A field of the context, which comes in register 1. */
static struct bpf_insn load(unsigned to, size_t offset) {
    struct bpf_insn load = {.code = BPF_LDX | BPF_MEM | BPF_W, .off = (int16_t)offset};
    load.dst_reg = to & 15;
    load.src_reg = BPF_REG_1;
    return load;
}

static struct bpf_insn compute(uint8_t operation, unsigned reg, uint32_t value) {
    struct bpf_insn compute = {.code = (uint8_t)(BPF_ALU | operation | BPF_K),
                               .imm = (int32_t)value};
    compute.dst_reg = reg & 15;
    return compute;
}

/* Skips `over` instructions where the register compares so. */
static struct bpf_insn jump(uint8_t comparison, unsigned reg, uint32_t value, int16_t over) {
    struct bpf_insn jump = {
        .code = (uint8_t)(BPF_JMP32 | comparison | BPF_K), .off = over, .imm = (int32_t)value};
    jump.dst_reg = reg & 15;
    return jump;
}

static struct bpf_insn leave(void) {
    return (struct bpf_insn){.code = BPF_JMP | BPF_EXIT};
}

/* ---- the program: 1 where a rule lets it be done, else 0 ---- */

static struct bpf_insn *write_rule(struct bpf_insn *at, const struct rule *rule) {
    *at++ = jump(BPF_JNE, TYPE, rule->type, RULE - 1);
    *at++ = jump(BPF_JNE, MAJOR, rule->major, RULE - 2);
    *at++ = jump(BPF_JLT, MINOR, rule->first, RULE - 3);
    *at++ = jump(BPF_JGT, MINOR, rule->last, RULE - 4);
    *at++ = jump(BPF_JSET, ACCESS, ACCESS_ALL & ~rule->access, RULE - 5);
    *at++ = compute(BPF_MOV, BPF_REG_0, 1);
    *at++ = leave();
    return at;
}

static struct rule rule_of(const struct device_node *node) {
    return (struct rule){.type = S_ISBLK(node->status.st_mode) ? BPF_DEVCG_DEV_BLOCK
                                                               : BPF_DEVCG_DEV_CHAR,
                         .major = major(node->status.st_rdev),
                         .first = minor(node->status.st_rdev),
                         .last = minor(node->status.st_rdev),
                         .access = (node->read ? BPF_DEVCG_ACC_READ : 0U) |
                                   (node->write ? BPF_DEVCG_ACC_WRITE : 0U) |
                                   (node->make ? BPF_DEVCG_ACC_MKNOD : 0U)};
}

static size_t write_program(struct bpf_insn *code, const struct device_node *given, size_t count) {
    struct bpf_insn *at = code;
    *at++ = load(TYPE, offsetof(struct bpf_cgroup_dev_ctx, access_type));
    *at++ = load(ACCESS, offsetof(struct bpf_cgroup_dev_ctx, access_type));
    *at++ = load(MAJOR, offsetof(struct bpf_cgroup_dev_ctx, major));
    *at++ = load(MINOR, offsetof(struct bpf_cgroup_dev_ctx, minor));
    *at++ = compute(BPF_AND, TYPE, 0xffff);
    *at++ = compute(BPF_RSH, ACCESS, 16);
    for (size_t i = 0; i < ELEMENTS(usual); i++) {
        const struct rule rule = {BPF_DEVCG_DEV_CHAR, usual[i].major, usual[i].first, usual[i].last,
                                  ACCESS_ALL};
        at = write_rule(at, &rule);
    }
    for (size_t i = 0; i < count; i++) {
        const struct rule rule = rule_of(&given[i]);
        at = write_rule(at, &rule);
    }
    *at++ = compute(BPF_MOV, BPF_REG_0, 0);
    *at++ = leave();
    return (size_t)(at - code);
}

/* ---- bpf(2) ---- */

static int call(enum bpf_cmd command, union bpf_attr *attributes) {
    long result = syscall(SYS_bpf, command, attributes, sizeof *attributes);
    return result < 0 ? -errno : (int)result;
}

int device_filter_load(const struct device_node *given, size_t count, struct fault *fault) {
    scoped_free struct bpf_insn *code =
        calloc(REST + RULE * (ELEMENTS(usual) + count), sizeof *code);
    if (!code)
        return fault_set(fault, ENOMEM, "cannot load the filter of devices");
    union bpf_attr attributes = {.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
                                 .insn_cnt = (uint32_t)write_program(code, given, count),
                                 .insns = (uint64_t)(uintptr_t)code,
                                 .license = (uint64_t)(uintptr_t) ""};
    int program = call(BPF_PROG_LOAD, &attributes); /* closed on exec, as all that bpf(2) opens */
    return program < 0 ? fault_set(fault, program, "cannot load the filter of devices") : program;
}

int device_filter_attach(int program, int cgroup, struct fault *fault) {
    union bpf_attr attributes = {.target_fd = (uint32_t)cgroup,
                                 .attach_bpf_fd = (uint32_t)program,
                                 .attach_type = BPF_CGROUP_DEVICE,
                                 .attach_flags = BPF_F_ALLOW_MULTI};
    int error = call(BPF_PROG_ATTACH, &attributes);
    return error < 0 ? fault_set(fault, error, "cannot attach the filter of devices") : 0;
}
