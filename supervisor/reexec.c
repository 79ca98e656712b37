#include "supervisor/reexec.h"

#include <errno.h>
#include <stdlib.h>

#include "supervisor/loop.h"
#include "supervisor/manager.h"
#include "units/base/fault.h"

int reexec_begin(struct manager *manager, struct fault *fault) {
    if (!getenv("RINGFENCE_KEEPER"))
        return fault_say(fault, EOPNOTSUPP,
                         "this manager was not started by ringfenced: nobody "
                         "would start the next one");
    if (manager->stopping)
        return fault_say(fault, ESHUTDOWN, "all units are being stopped");
    loop_leave(manager);
    return 0;
}
