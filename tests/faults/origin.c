#include "tests/faults/origin.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "units/base/list.h"
#include "units/base/scoped.h"

#define STACK 32768 /* bytes of it that are looked at */

/* A part of a program or library that can be executed. */
struct code {
    uint64_t begin, end, offset, inode;
};

static int open_proc(pid_t pid, const char *name) {
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static size_t read_codes(pid_t pid, struct code *codes, size_t room) {
    char line[512], mode[8];
    size_t count = 0;
    int fd = open_proc(pid, "maps");
    scoped_file FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
    while (file && count < room && fgets(line, sizeof(line), file)) {
        struct code *code = &codes[count];
        if (sscanf(line, "%lx-%lx %7s %lx %*s %lu", &code->begin, &code->end, mode, &code->offset,
                   &code->inode) == 5 &&
            mode[2] == 'x' && code->inode)
            count++;
    }
    return count;
}

/* "0 0x3 0x7ffd... 0x... 0x... 0x0 0x0 0x0 STACK INSTRUCTION": the last two. */
static bool read_place(pid_t pid, uint64_t *ret_stack, uint64_t *ret_instruction) {
    char line[512];
    scoped_fd int fd = open_proc(pid, "syscall");
    ssize_t length = fd < 0 ? 0 : read(fd, line, sizeof(line) - 1);
    line[length > 0 ? length : 0] = '\0';
    return sscanf(line, "%*d %*x %*x %*x %*x %*x %*x %lx %lx", ret_stack, ret_instruction) == 2;
}

/* The code that an address lies in. NULL: none, it is some number. */
static const struct code *find_code(const struct code *codes, size_t count, uint64_t address) {
    for (size_t i = 0; i < count; i++)
        if (address >= codes[i].begin && address < codes[i].end)
            return &codes[i];
    return NULL;
}

/* FNV-1a over words: where in its file an address lies, wherever that is mapped. */
static uint64_t add_address(uint64_t sum, const struct code *code, uint64_t address) {
    sum = (sum ^ code->inode) * 0x100000001b3;
    return (sum ^ (address - code->begin + code->offset)) * 0x100000001b3;
}

/* No frame is told from another, since libraries are built without pointers to them: each word of
 * the stack that points into code counts. These are all return addresses, and what lies about in
 * variables that nobody has set yet: so what came the same way may have two numbers. Of libraries
 * only what lies below our own innermost function counts, which are fewer of those. */
uint64_t origin_of(pid_t pid) {
    static _Thread_local uint64_t words[STACK / sizeof(uint64_t)];
    struct code codes[64];
    uint64_t stack, instruction, sum = 0xcbf29ce484222325;
    if (!read_place(pid, &stack, &instruction))
        return 0;
    size_t count = read_codes(pid, codes, ELEMENTS(codes));
    scoped_fd int fd = open_proc(pid, "mem");
    ssize_t length = fd < 0 ? 0 : pread(fd, words, sizeof(words), (off_t)stack);
    bool inside = false; /* behind the first of our own */
    for (ssize_t i = 0; i < length / (ssize_t)sizeof(words[0]); i++) {
        const struct code *code = find_code(codes, count, words[i]);
        bool own = code && code->inode == codes[0].inode; /* the program is mapped first */
        if (own || (code && !inside))
            sum = add_address(sum, code, words[i]);
        inside |= own;
    }
    const struct code *code = find_code(codes, count, instruction);
    return code ? add_address(sum, code, instruction) : sum;
}
