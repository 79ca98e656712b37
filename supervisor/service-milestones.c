#include "supervisor/manager-private.h"
#include "supervisor/milestones.h"
#include "supervisor/world.h"

void milestones_begin(struct manager *manager) {
    struct service *service;
    list_for_each(service, &manager->services, link) {
        service->milestones.at_boot |= service->private->goal == GOAL_UP;
    }
}

static uint64_t *milestone_of(struct service *service) {
    struct milestones *milestones = &service->milestones;
    if (service_is_up(service))
        return &milestones->ready;
    switch (service->state) {
    case SERVICE_WAITING:
        return &milestones->waiting;
    case SERVICE_BUILDING:
    case SERVICE_CREATED:
        return &milestones->building;
    case SERVICE_PREPARING:
    case SERVICE_STARTING:
        return &milestones->starting;
    default:
        return state_traits(service->state)->down ? &milestones->failed : NULL;
    }
}

/* Only what comes first counts: it may fail, and be restarted, before it is ready. */
void milestones_pass(struct service *service) {
    if (!service->milestones.at_boot || service->milestones.ready)
        return;
    uint64_t *milestone = milestone_of(service);
    if (milestone && *milestone == 0)
        *milestone = world_now(service->manager);
}
