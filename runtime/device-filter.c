#include "runtime/device-filter.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "units/base/fault.h"
#include "units/base/scoped.h"

/* Character devices, by admin-guide/devices.txt of the kernel's documentation. */
static const struct allowed {
    int32_t major, first, last; /* minor numbers */
} allowed[] = {
    {1, 3, 3},           /* null */
    {1, 5, 5},           /* zero */
    {1, 7, 9},           /* full, random, urandom */
    {5, 0, 2},           /* tty, console, ptmx */
    {136, 0, INT32_MAX}, /* terminals of every devpts */
};

#define RULE 5 /* instructions of one */
#define COUNT (5 + RULE * ELEMENTS(allowed) + 2)

/* A field of the context, which comes in register 1. */
static struct bpf_insn load(unsigned to, size_t offset) {
    struct bpf_insn load = {.code = BPF_LDX | BPF_MEM | BPF_W, .off = (int16_t)offset};
    load.dst_reg = to & 15;
    load.src_reg = BPF_REG_1;
    return load;
}

/* Skips `over` instructions where the register compares so. */
static struct bpf_insn jump(uint8_t comparison, unsigned reg, int32_t value, int16_t over) {
    struct bpf_insn jump = {
        .code = (uint8_t)(BPF_JMP | comparison | BPF_K), .off = over, .imm = value};
    jump.dst_reg = reg & 15;
    return jump;
}

static struct bpf_insn answer(int32_t value) {
    return (struct bpf_insn){
        .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = value};
}

static struct bpf_insn leave(void) {
    return (struct bpf_insn){.code = BPF_JMP | BPF_EXIT};
}

/* 1 where the device is among the allowed ones, whatever is to be done with it; else 0. */
static size_t write_program(struct bpf_insn *code) {
    struct bpf_insn *at = code;
    *at++ = load(BPF_REG_2, offsetof(struct bpf_cgroup_dev_ctx, access_type));
    *at++ = load(BPF_REG_3, offsetof(struct bpf_cgroup_dev_ctx, major));
    *at++ = load(BPF_REG_4, offsetof(struct bpf_cgroup_dev_ctx, minor));
    *at++ = (struct bpf_insn){.code = BPF_ALU64 | BPF_AND | BPF_K,
                              .dst_reg = BPF_REG_2,
                              .imm = 0xffff}; /* the upper half is what is to be done */
    *at++ = jump(BPF_JNE, BPF_REG_2, BPF_DEVCG_DEV_CHAR, RULE * ELEMENTS(allowed));
    for (size_t i = 0; i < ELEMENTS(allowed); i++) {
        *at++ = jump(BPF_JNE, BPF_REG_3, allowed[i].major, 4);
        *at++ = jump(BPF_JLT, BPF_REG_4, allowed[i].first, 3);
        *at++ = jump(BPF_JGT, BPF_REG_4, allowed[i].last, 2);
        *at++ = answer(1);
        *at++ = leave();
    }
    *at++ = answer(0);
    *at++ = leave();
    return (size_t)(at - code);
}

static int call(enum bpf_cmd command, union bpf_attr *attributes) {
    long result = syscall(SYS_bpf, command, attributes, sizeof *attributes);
    return result < 0 ? -errno : (int)result;
}

int device_filter_load(struct fault *fault) {
    struct bpf_insn code[COUNT];
    union bpf_attr attributes = {.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
                                 .insn_cnt = (uint32_t)write_program(code),
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
