/* What every contender launches: it takes the time at its first instruction and writes it to
 * standard output, "first NANOSECONDS" (CLOCK_MONOTONIC, which all namespaces but a private time
 * namespace share). Linked without libc, so that nothing runs before the stamp.
 *
 *     payload         exits at once
 *     payload stay    stays until it is killed
 *     payload cycle   lives for 20 ms, writes "last NANOSECONDS" and exits with 1
 */

#include <asm/unistd.h>
#include <linux/time.h>
#include <stddef.h>

/* errno is not set: there is none. */
static long call(long number, long a, long b, long c) {
    long result;
#if defined(__x86_64__)
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"(number), "D"(a), "S"(b), "d"(c), "r"(0)
                     : "rcx", "r11", "memory");
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    result = x0;
#else
#error "the payload knows the system calls of x86_64 and aarch64 only"
#endif
    return result;
}

static void stamp(const char *word, size_t length, const struct __kernel_timespec *time) {
    char line[48];
    char *end = line + sizeof line, *begin = end;
    unsigned long long value =
        (unsigned long long)time->tv_sec * 1000000000ULL + (unsigned long long)time->tv_nsec;

    *--begin = '\n';
    do {
        *--begin = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    while (length > 0)
        *--begin = word[--length];
    call(__NR_write, 1, (long)begin, end - begin);
}

/* stack: argc, argv[0], argv[1], ... as the kernel laid them out. Called by _start below. */
_Noreturn void payload_run(long *stack);
_Noreturn void payload_run(long *stack) {
    struct __kernel_timespec first, last;
    struct __kernel_timespec life = {.tv_nsec = 20000000};
    const char *mode = stack[0] > 1 ? (const char *)stack[2] : "";

    call(__NR_clock_gettime, 1, (long)&first, 0);
    stamp("first ", 6, &first);
    while (mode[0] == 's')
        call(__NR_nanosleep, (long)&(struct __kernel_timespec){.tv_sec = 3600}, 0, 0);
    if (mode[0] == 'c') {
        call(__NR_nanosleep, (long)&life, 0, 0);
        call(__NR_clock_gettime, 1, (long)&last, 0);
        stamp("last ", 5, &last);
    }
    for (;;)
        call(__NR_exit_group, mode[0] == 'c', 0, 0);
}

#if defined(__x86_64__)
__asm__(".globl _start\n_start: mov %rsp, %rdi\n and $-16, %rsp\n call payload_run\n");
#else
__asm__(".globl _start\n_start: mov x0, sp\n bl payload_run\n");
#endif
