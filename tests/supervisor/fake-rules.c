/* The rules that no event may break. */

#include <stdio.h>
#include <stdlib.h>

#include "tests/supervisor/fake-runtime.h"

void fake_break(const char *rule, const struct service *service) {
    char text[256];
    snprintf(text, sizeof(text), "%s: %s", service ? service->name : "?", rule);
    fake_broken(text);
}

static bool is_down(const struct service *service) {
    return state_traits(service->state)->down;
}

void fake_check_requirements(const struct service *service) {
    const struct dependencies *all = &service->unit->dependencies;
    const struct strings *const lists[] = {&all->requires, &all->binds_to};
    for (size_t list = 0; list < ELEMENTS(lists); list++)
        for (size_t i = 0; i < lists[list]->count; i++) {
            struct service *other = manager_lookup(fake_manager, lists[list]->items[i]);
            if (!other || (other != service && !service_is_up(other)))
                fake_break("it starts, and what it requires is not ready", service);
        }
}

/* It is being stopped by command: those that require it, and are to go too, are gone. */
void fake_check_reverse(const struct service *service) {
    const struct service_private *own = service->private;
    bool commanded = own->goal == GOAL_DOWN || own->goal == GOAL_CYCLE;
    if (!commanded || own->cause != RESULT_NONE || !own->signalled || own->idled)
        return;
    for (size_t i = 0; i < own->needed_by.count; i++) {
        const struct service *other = own->needed_by.items[i].other;
        if ((own->needed_by.items[i].kinds & EDGE_REQUIRES) && !is_down(other))
            fake_break("it stops before those that require it", service);
    }
}

/* It begins to stop by command: of those that wait for it in any way, none is still to stop. */
static void check_order(const struct service *service, enum service_state before) {
    const struct service_private *own = service->private;
    bool begins = (before == SERVICE_READY || before == SERVICE_STARTING) && own->signalled &&
                  own->cause == RESULT_NONE && !own->idled;
    bool commanded = own->goal == GOAL_DOWN || own->goal == GOAL_CYCLE;
    begins = begins || (before == SERVICE_LISTENING && service->state != before);
    if (!begins || !commanded)
        return;
    for (size_t i = 0; i < own->needed_by.count; i++) {
        const struct service *other = own->needed_by.items[i].other;
        if ((other->private->goal == GOAL_DOWN || other->private->goal == GOAL_CYCLE) &&
            !is_down(other))
            fake_break("it stops before those that come after it", service);
    }
}

void fake_check_sockets(struct service *service, const struct run_request *request) {
    const struct network *network = &service->unit->container.network;
    if (network->sockets_lazy && !fake_take_delivery(service))
        fake_break("it starts, and no connection has come", service);
    if (request->listen_count != network->sockets.count)
        fake_break("it starts without its sockets", service);
}

static void check_delay(const struct service *service) {
    const struct restart *restart = &service->unit->restart;
    if (service->restart_delay == restart->on_limit.pause)
        return;
    double least = (double)restart->delay, most;
    for (unsigned i = 1; i < service->private->step && least < (double)restart->max_delay; i++)
        least *= restart->backoff;
    if (least > (double)restart->max_delay)
        least = (double)restart->max_delay;
    most = least * (1 + restart->jitter) + 1;
    least = least * (1 - restart->jitter) - 1;
    double delay = (double)service->restart_delay;
    if (delay < least || delay > most || service->restart_delay > restart->max_delay)
        fake_break("the delay is out of its bounds", service);
}

void fake_runtime_observe(struct service *service, enum service_state before) {
    check_order(service, before);
    if (service->state == SERVICE_RESTARTING)
        check_delay(service);
    if (service->state == SERVICE_ASKING || service->state == SERVICE_STOPPING ||
        service->state == SERVICE_REMOVING)
        fake_check_reverse(service);
    if (is_down(service) && service->sandbox)
        fake_break("it is down, and holds a sandbox", service);
    if (service->state == SERVICE_READY && service->private->goal == GOAL_UP)
        fake_break("it is ready, and still to come up", service);
}
