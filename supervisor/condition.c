#include "supervisor/condition.h"

#include "supervisor/world.h"

bool conditions_hold(struct service *service) {
    const struct strings *paths = &service->unit->condition_path_exists;
    for (size_t i = 0; i < paths->count; i++) {
        const char *path = paths->items[i];
        bool negated = path[0] == '!';
        path += negated;
        if (world_path_exists(path) != negated)
            continue;
        service->result = RESULT_CONDITION;
        service_fail(service, "%s %s", path, negated ? "exists" : "does not exist");
        return false;
    }
    return true;
}
