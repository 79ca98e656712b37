#include "runtime/init.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "units/base/fault.h"
#include "units/base/scoped.h"

/* The program is part of this library: no installation, and no test, has to find it. */
__asm__(".pushsection .rodata.init_image, \"a\"\n"
        ".global init_image_begin, init_image_end\n"
        ".hidden init_image_begin, init_image_end\n"
        "init_image_begin: .incbin \"" RINGFENCE_INIT "\"\n"
        "init_image_end:\n"
        ".popsection\n");
extern const char init_image_begin[], init_image_end[];

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

/* 6.3 has the flag, and may be told to refuse what does not give it. */
static int open_memory(void) {
    int fd = memfd_create("ringfence-init", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create("ringfence-init", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return fd < 0 ? -errno : fd;
}

int init_open(int *ret_image, struct fault *fault) {
    if (*ret_image >= 0)
        return 0;
    scoped_fd int fd = open_memory();
    if (fd < 0)
        return fault_set(fault, fd, "cannot make the image of the init");
    for (const char *at = init_image_begin; at < init_image_end;) {
        ssize_t written = write(fd, at, (size_t)(init_image_end - at));
        if (written < 0)
            return fault_set(fault, errno, "cannot write the image of the init");
        at += written;
    }
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
        return fault_set(fault, errno, "cannot seal the image of the init");
    /* Through a descriptor for reading alone: execve(2) refuses what is open for writing. */
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int image = open(path, O_RDONLY | O_CLOEXEC);
    if (image < 0)
        return fault_set(fault, errno, "cannot open the image of the init");
    *ret_image = image;
    return 0;
}
