#include "supervisor/service-private.h"
#include "supervisor/world.h"
#include "units/base/list.h"
#include "units/base/number.h"

/* What the clock on the wall is ahead of the time that passes, as of now. */
static uint64_t lead_of(struct manager *manager) {
    return world_date(manager) - world_now(manager);
}

void service_dates_follow(struct service *service) {
    uint64_t *const dates[] = {&service->state_since, &service->started_at, &service->ready_at,
                               &service->ended_at, &service->restart_at};
    uint64_t lead = lead_of(service->manager);
    int64_t step = (int64_t)(lead - service->dates_lead);
    bool known = service->dates_lead != 0; /* facts of an earlier version do not tell */

    if (known && step < (int64_t)USEC_PER_SEC && step > -(int64_t)USEC_PER_SEC)
        return; /* nobody set it: it is steered, or this takes its time */
    service->dates_lead = lead;
    for (size_t i = 0; known && i < ELEMENTS(dates); i++)
        if (*dates[i])
            *dates[i] += (uint64_t)step;
}

uint64_t service_date(struct service *service) {
    service_dates_follow(service);
    return world_date(service->manager);
}
