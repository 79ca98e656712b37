#include "supervisor/condition.h"

#include "supervisor/world.h"

/* Paths of which something holds; "!" before one: it must not. */
static bool paths_hold(struct service *service, const struct strings *paths,
                       bool (*holds)(const char *path), const char *const words[2]) {
    for (size_t i = 0; i < paths->count; i++) {
        const char *path = paths->items[i];
        bool negated = path[0] == '!';
        path += negated;
        if (holds(path) != negated)
            continue;
        service->result = RESULT_CONDITION;
        service_fail(service, "%s %s", path, words[negated]);
        return false;
    }
    return true;
}

bool conditions_hold(struct service *service) {
    static const char *const existence[] = {"does not exist", "exists"};
    static const char *const mounts[] = {"is no mount point", "is a mount point"};
    const struct unit *unit = service->unit;
    return paths_hold(service, &unit->condition_path_exists, world_path_exists, existence) &&
           paths_hold(service, &unit->condition_path_is_mount_point, world_path_is_mount_point,
                      mounts);
}
