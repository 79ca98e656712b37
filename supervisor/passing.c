#include "supervisor/passing.h"

#include <errno.h>
#include <stddef.h>

#include "units/base/scoped.h"

bool error_may_pass(int error) {
    static const int errors[] = {ENOMEM, ENOSPC, EMFILE, ENFILE, EIO, EINTR, EAGAIN, ENOBUFS};
    for (size_t i = 0; i < ELEMENTS(errors); i++)
        if (error == -errors[i])
            return true;
    return false;
}
