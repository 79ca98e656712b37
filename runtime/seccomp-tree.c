#include "runtime/seccomp-tree.h"

#define JUMP_MOST 255 /* instructions that a conditional jump reaches over */

bool seccomp_emit(struct seccomp_code *code, struct sock_filter instruction) {
    if (code->count == BPF_MAXINSNS)
        return false;
    code->items[code->count++] = instruction;
    return true;
}

bool seccomp_tree_add(struct seccomp_tree *tree, struct seccomp_range range) {
    if (tree->count > 0) {
        const struct seccomp_range *last = &tree->ranges[tree->count - 1];
        if (last->program == range.program && (range.program >= 0 || last->action == range.action))
            return true;
    }
    if (tree->count == SECCOMP_RANGES)
        return false;
    tree->ranges[tree->count++] = range;
    return true;
}

/* How many instructions the search in ranges [from, to) has. Recursion halves the table each time:
 * it is 10 deep at most. */
static size_t length_of(size_t from, size_t to) {
    if (to - from == 1)
        return 1;
    size_t middle = from + (to - from) / 2;
    size_t left = length_of(from, middle);
    return (left > JUMP_MOST ? 2 : 1) + left + length_of(middle, to);
}

static bool emit_leaf(struct seccomp_tree *tree, const struct seccomp_range *range,
                      struct seccomp_code *code) {
    if (range->program < 0)
        return seccomp_emit(code, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, range->action));
    tree->jumps[tree->jump_count].at = code->count;
    tree->jumps[tree->jump_count].program = range->program;
    tree->jump_count++;
    return seccomp_emit(code, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 0));
}

static bool emit_between(struct seccomp_tree *tree, size_t from, size_t to,
                         struct seccomp_code *code) {
    if (to - from == 1)
        return emit_leaf(tree, &tree->ranges[from], code);
    size_t middle = from + (to - from) / 2;
    size_t left = length_of(from, middle);
    bool far = left > JUMP_MOST;
    struct sock_filter test = BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, tree->ranges[middle].first,
                                       far ? 0 : (uint8_t)left, far ? 1 : 0);
    return seccomp_emit(code, test) &&
           (!far ||
            seccomp_emit(code, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, (uint32_t)left))) &&
           emit_between(tree, from, middle, code) && emit_between(tree, middle, to, code);
}

bool seccomp_tree_emit(struct seccomp_tree *tree, struct seccomp_code *code) {
    tree->jump_count = 0;
    return tree->count > 0 && emit_between(tree, 0, tree->count, code);
}

void seccomp_tree_aim(const struct seccomp_tree *tree, int program, struct seccomp_code *code) {
    for (size_t i = 0; i < tree->jump_count; i++)
        if (tree->jumps[i].program == program)
            code->items[tree->jumps[i].at].k = (uint32_t)(code->count - tree->jumps[i].at - 1);
}
