#include "runtime/executable.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/tree.h"
#include "units/base/fault.h"
#include "units/base/scoped.h"

#define SELF "/proc/self/exe"

int executable_seal(char **arguments, struct fault *fault) {
    struct statvfs status;
    if (statvfs(SELF, &status) < 0)
        return fault_set(fault, errno, "cannot look at the own program");
    if (status.f_flag & ST_RDONLY)
        return 0;
    scoped_fd int tree = tree_clone(AT_FDCWD, SELF, false, MOUNT_ATTR_RDONLY, fault);
    if (tree < 0)
        return fault_prefix(fault, tree, "sealing the own program");
    syscall(SYS_execveat, tree, "", arguments, environ, AT_EMPTY_PATH);
    return fault_set(fault, errno, "cannot start from a sealed copy of the own program");
}
