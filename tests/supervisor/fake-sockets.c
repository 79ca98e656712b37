/* Listening sockets without a kernel: connections wait in a number, and whoever watches is told. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/sockets.h"
#include "tests/supervisor/fake-runtime.h"

size_t fake_listeners;
const char *fake_bind_error;
bool (*fake_busy)(const char *name);

struct sockets {
    struct service *service;
    const struct unit *unit;
    unsigned waiting; /* connections that nobody has accepted */
    bool watched;
    bool delivered; /* a connection was told, and no process was started for it yet */
    struct deadline told;
};

static const int descriptors[SOCKETS_MAX];

static void tell(struct sockets *sockets) {
    timers_reserve(&fake_timers, fake_timers.count + 1);
    timers_set(&fake_timers, &sockets->told, fake_now);
}

static void told(struct deadline *deadline) {
    struct sockets *sockets = list_entry(deadline, struct sockets, told);
    struct service *service = sockets->service;
    if (!sockets->watched || !sockets->waiting)
        return;
    if (!service->unit->container.network.sockets_lazy)
        fake_broken("a connection is told though it starts nothing");
    sockets->delivered = true;
    service_handle(service, EVENT_CONNECTION);
    manager_event_ended(fake_manager);
}

/* What the keeper holds while there is no manager: the queues of the kernel go on. */
static struct kept {
    char name[UNIT_NAME_MAX];
    unsigned waiting;
    bool delivered;
    bool lost; /* with ringfenced: its program alone has them */
} * kept;
static size_t kept_count;

static void keep(const struct sockets *sockets) {
    kept = reallocarray(kept, kept_count + 1, sizeof(*kept));
    if (!kept)
        abort();
    struct kept *one = &kept[kept_count++];
    *one = (struct kept){.waiting = sockets->waiting, .delivered = sockets->delivered};
    snprintf(one->name, sizeof(one->name), "%s", sockets->service->name);
}

static struct kept *find_kept(const char *name, bool lost) {
    for (size_t i = 0; i < kept_count; i++)
        if (kept[i].lost == lost && strcmp(kept[i].name, name) == 0)
            return &kept[i];
    return NULL;
}

static struct kept take_kept(struct kept *one) {
    struct kept taken = *one;
    *one = kept[--kept_count];
    return taken;
}

void fake_sockets_lose(void) {
    for (size_t i = 0; i < kept_count; i++)
        kept[i].lost = true;
}

int sockets_open(struct service *service, struct sockets **sockets, struct fault *fault) {
    struct kept *lost = find_kept(service->name, true);
    if (service->unit->container.network.sockets.count == 0) {
        sockets_close(*sockets);
        *sockets = NULL;
        return 0;
    }
    if (*sockets) {
        (*sockets)->unit = service->unit;
        return 0;
    }
    if (fake_bind_error)
        return fault_say(fault, EADDRINUSE, "%s", fake_bind_error);
    struct sockets *made = calloc(1, sizeof(*made));
    if (!made)
        return -ENOMEM;
    *made = (struct sockets){.service = service, .unit = service->unit, .told.passed = told};
    /* A launch that a connection was the reason of is begun again. */
    made->delivered = (lost && take_kept(lost).delivered) || service->private->awakened;
    *sockets = made;
    fake_listeners++;
    return 0;
}

int sockets_resume(struct service *service, struct sockets **sockets, struct fault *fault) {
    struct kept *there = find_kept(service->name, false);
    if (!there)
        return 0;
    struct kept one = take_kept(there);
    if (service->unit->container.network.sockets.count == 0)
        return 0;
    const char *unable = fake_bind_error;
    fake_bind_error = NULL; /* it is bound already */
    int error = sockets_open(service, sockets, fault);
    fake_bind_error = unable;
    if (error >= 0) {
        (*sockets)->waiting = one.waiting;
        /* A launch that it was the reason of may be begun again. */
        (*sockets)->delivered = one.delivered || service->private->awakened;
    }
    return error;
}

static bool is_needed(const char *name) {
    struct service *service = fake_service(name);
    return service && !state_traits(service->state)->down && service->private->goal != GOAL_DOWN &&
           !service->private->sockets && service->unit->container.network.sockets.count > 0;
}

void fake_sockets_settle(void) {
    for (size_t i = kept_count; i-- > 0;) {
        if (kept[i].lost)
            continue;
        if (is_needed(kept[i].name))
            fake_broken("who waits at the sockets of a unit that goes on was turned away");
        take_kept(&kept[i]);
    }
}

void sockets_close(struct sockets *sockets) {
    if (!sockets)
        return;
    if (fake_dead)
        keep(sockets);
    timers_cancel(&fake_timers, &sockets->told);
    fake_listeners--;
    free(sockets);
}

int sockets_watch(struct sockets *sockets, struct fault *fault) {
    (void)fault;
    sockets->watched = true;
    if (sockets->waiting)
        tell(sockets);
    return 0;
}

void sockets_unwatch(struct sockets *sockets) {
    sockets->watched = false;
    timers_cancel(&fake_timers, &sockets->told);
}

const int *sockets_descriptors(struct sockets *sockets, size_t *ret_count) {
    *ret_count = sockets ? sockets->unit->container.network.sockets.count : 0;
    return descriptors;
}

const char *sockets_names(const struct sockets *sockets) {
    return sockets ? "fake" : NULL;
}

void sockets_describe(const struct sockets *sockets, struct text *text) {
    if (sockets)
        text_add(text, "tcp *:80");
}

bool sockets_are_busy(struct sockets *sockets) {
    return sockets->waiting > 0 || (fake_busy && fake_busy(sockets->service->name));
}

bool fake_connect(const char *name) {
    struct sockets *sockets = fake_service(name)->private->sockets;
    if (!sockets)
        return false;
    sockets->waiting++;
    if (sockets->watched)
        tell(sockets);
    return true;
}

bool fake_take_delivery(struct service *service) {
    struct sockets *sockets = service->private->sockets;
    bool delivered = sockets && sockets->delivered;
    if (delivered)
        sockets->delivered = false;
    return delivered;
}

void fake_accept(struct service *service) {
    if (service->private->sockets)
        service->private->sockets->waiting = 0;
}

void fake_sockets_check(const struct service *service) {
    const struct service_private *own = service->private;
    const struct state_traits *traits = state_traits(service->state);
    bool resting = traits->down && !traits->gated && own->goal == GOAL_NONE;
    if (resting && own->sockets)
        fake_broken("it is at rest, and has open sockets");
    if (service->main && service->unit->container.network.sockets.count > 0 && !own->sockets &&
        !find_kept(service->name, true))
        fake_broken("it runs without its sockets");
    if (own->sockets && own->sockets->watched && service->state != SERVICE_LISTENING)
        fake_broken("its sockets are watched while it does not listen");
    if (service->state == SERVICE_LISTENING && own->goal == GOAL_NONE &&
        !(own->sockets && own->sockets->watched) && !own->deadline.slot)
        fake_broken("it listens, and nobody watches its sockets");
    if (own->idle.slot && (!service->main || service->state == SERVICE_LISTENING))
        fake_broken("it is looked for use of what does not run");
}
