#include "supervisor/manager.h"

#include <stdlib.h>
#include <string.h>

#include "supervisor/job.h"
#include "supervisor/log.h"
#include "supervisor/notify.h"
#include "supervisor/output.h"
#include "supervisor/schedule.h"
#include "supervisor/state.h"
#include "supervisor/witness.h"
#include "supervisor/world.h"
#include "units/base/text.h"
#include "units/complain.h"

/* ---- the services by name ---- */

/* Where the name is, or where it would have to be. */
static size_t place_of(const struct manager_private *own, const char *name, bool *ret_found) {
    size_t low = 0, high = own->count;
    *ret_found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, own->index[middle]->name);
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* By its own name alone. */
static struct service *find_exact(struct manager *manager, const char *name) {
    bool found;
    size_t place = place_of(manager->private, name, &found);
    return found ? manager->private->index[place] : NULL;
}

struct service *manager_lookup(struct manager *manager, const char *name) {
    struct service *service = find_exact(manager, name);
    return service ? service : graph_find_alias(manager, name);
}

static int reserve(struct manager_private *own) {
    int error =
        timers_reserve(&own->timers, (own->count + 1) * SERVICE_DEADLINES + MANAGER_DEADLINES);
    if (error < 0 || own->count < own->capacity)
        return error;
    size_t capacity = own->capacity ? own->capacity * 2 : 64;
    struct service **index = realloc(own->index, capacity * sizeof(struct service *));
    if (!index)
        return -ENOMEM;
    own->index = index;
    own->capacity = capacity;
    return 0;
}

int manager_add(struct manager *manager, const char *name, struct service **ret_service) {
    struct manager_private *own = manager->private;
    struct service *service = NULL;
    bool found;
    size_t place = place_of(own, name, &found);
    if (found)
        return -EEXIST;
    if (own->count >= SERVICES_MAX)
        return -ENOSPC;
    int error = reserve(own);
    if (error >= 0)
        error = service_new(manager, name, &service);
    if (error < 0)
        return error;
    memmove(&own->index[place + 1], &own->index[place],
            (own->count - place) * sizeof(struct service *));
    own->index[place] = service;
    own->count++;
    /* Before the next one in the list, which is sorted too. */
    list_append(place + 1 < own->count ? &own->index[place + 1]->link : &manager->services,
                &service->link);
    graph_spoil(manager);
    *ret_service = service;
    return 0;
}

void manager_sweep(struct manager *manager) {
    struct manager_private *own = manager->private;
    size_t kept = 0;
    if (!own->sweep)
        return;
    own->sweep = false;
    for (size_t i = 0; i < own->count; i++) {
        struct service *service = own->index[i];
        bool goes = service->private->gone && state_traits(service->state)->down &&
                    list_is_empty(&service->private->requests);
        own->sweep |= service->private->gone && !goes;
        if (goes) {
            state_forget(service);
            service_free(service);
        } else {
            own->index[kept++] = service;
        }
    }
    if (kept != own->count)
        graph_spoil(manager);
    own->count = kept;
}

/* ---- from the set of units to services ---- */

static void take_complaints(struct service *service, struct unit_entry *entry) {
    complaints_free(service->complaints);
    *service->complaints = entry->complaints;
    entry->complaints = (struct complaints){0};
}

/* An instance that an edge leads to may come into the set meanwhile: then its entries lie
 * elsewhere.
 */
static void take_valid(struct service *service, const struct unit_entry *entry) {
    struct service_private *own = service->private;
    struct unit *unit = unit_ref(entry->unit);
    bool same = service->unit && unit_digest(service->unit) == unit_digest(unit);
    own->refused = false;
    if (state_traits(service->state)->down)
        service_handle(service, EVENT_ACCEPTED);
    unit_unref(service->next_unit);
    service->next_unit = same ? NULL : unit;
    if (same)
        unit_unref(unit);
    service->file_changed = service->next_unit != NULL;
    if (state_traits(service->state)->down)
        service_take_next_unit(service);
}

/* The first mistake, with its place, and how to see the others. */
static void say_invalid(const struct service *service) {
    const struct complaints *complaints = service->complaints;
    const struct complaint *first = complaints->items;
    scoped_text struct text text = {0};
    if (complaints->count == 0)
        text_add(&text, service->path);
    else if (first->line > 0)
        text_format(&text, "%s:%d: %s", first->file, first->line, first->text);
    else
        text_format(&text, "%s: %s", first->file, first->text);
    if (complaints->count > 1)
        text_format(&text, "; `ringfence status %s` tells %zu more", service->name,
                    complaints->count - 1 + complaints->dropped);
    log_line(LEVEL_ERROR, "%s: invalid: %s", service->name, text.data ? text.data : "");
}

static int take_entry(struct manager *manager, struct unit_entry *entry) {
    struct service *service = find_exact(manager, entry->name);
    if (entry->condition == UNIT_MASKED || entry->condition == UNIT_TEMPLATE) {
        if (service)
            service->private->gone = manager->private->sweep = true;
        return 0;
    }
    int error = service ? 0 : manager_add(manager, entry->name, &service);
    if (error < 0)
        return error;
    char *path = strdup(entry->path);
    if (!path)
        return -ENOMEM;
    free(service->path);
    service->path = path;
    service->private->gone = false;
    take_complaints(service, entry);
    if (entry->condition == UNIT_VALID) {
        take_valid(service, entry);
    } else {
        service->private->refused = true;
        job_touch(service);
        say_invalid(service);
    }
    return 0;
}

int manager_apply_set(struct manager *manager) {
    struct service *service;
    int error = 0;
    list_for_each(service, &manager->services, link) {
        service->private->gone = true;
    }
    for (size_t i = 0; i < manager->set->count && error >= 0; i++)
        error = take_entry(manager, &manager->set->entries[i]);
    manager->private->sweep = true;
    graph_spoil(manager);
    schedules_reload(manager);
    manager_sweep(manager);
    return error;
}

struct service *manager_find(struct manager *manager, const char *name) {
    struct service *service = manager_lookup(manager, name);
    struct unit_entry *entry = NULL;
    if (service || !manager->set || !strchr(name, '@') || !unit_name_is_valid(name))
        return service;
    if (unit_set_instantiate(manager->set, &manager->private->sources, name, &entry, NULL) < 0 ||
        take_entry(manager, entry) < 0)
        return NULL;
    return manager_lookup(manager, name);
}

/* ---- children ---- */

void manager_child_ended(struct manager *manager, pid_t pid, int wait_status) {
    children_end(&manager->private->children, pid, wait_status);
    if (manager->private->without_pid == 0)
        children_forget_unclaimed(&manager->private->children);
}

/* ---- the loop's side ---- */

/* In this order: what an event has changed is written down, then whoever asked hears of it, then
 * what has brought it about is taken out of where it waits. A manager that dies on the way is
 * followed by one that does the rest once more, and nobody has heard of what never was. */
void manager_event_ended(struct manager *manager) {
    struct manager_private *own = manager->private;
    if (own->draining)
        return;
    job_drain(manager);
    state_flush(manager);
    bus_tell(manager->bus);
    notify_consume(manager);
    world_alarm(manager, timers_next(&own->timers));
    world_date_alarm(manager, timers_next(&own->dates));
    if (manager->stopping && own->up == 0 && list_is_empty(&own->execs))
        world_finish(manager);
}

void manager_alarm(struct manager *manager) {
    timers_run(&manager->private->timers, world_now(manager));
    manager_event_ended(manager);
}

/* ---- life ---- */

int manager_new(const struct manager_options *options, struct runtime *runtime, sd_event *event,
                struct manager **ret_manager) {
    struct manager *manager = calloc(1, sizeof(*manager));
    struct manager_private *own = calloc(1, sizeof(*own));
    if (!manager || !own) {
        free(manager);
        free(own);
        return -ENOMEM;
    }
    *manager =
        (struct manager){.event = event, .options = *options, .runtime = runtime, .private = own};
    own->sources = (struct unit_sources){options->unit_directories, options->host_file};
    list_init(&manager->services);
    list_init(&own->dirty);
    list_init(&own->unsaved);
    list_init(&own->heard);
    list_init(&own->adoption.witnesses);
    list_init(&own->execs);
    list_init(&own->applies);
    list_init(&own->leaving.outputs);
    own->came_up = world_now(manager);
    if (timers_reserve(&own->timers, MANAGER_DEADLINES) < 0) {
        manager_free(manager);
        return -ENOMEM;
    }
    *ret_manager = manager;
    return 0;
}

void manager_free(struct manager *manager) {
    if (!manager)
        return;
    struct manager_private *own = manager->private;
    while (own->count > 0)
        service_free(own->index[--own->count]);
    applies_free(manager);
    execs_free(manager);
    witnesses_free(manager);
    adoption_free(&own->adoption);
    unit_set_free(manager->set);
    children_free(&own->children);
    timers_free(&own->timers);
    timers_free(&own->dates);
    text_free(&own->facts);
    free(own->aliases);
    free(own->index);
    free(own);
    free(manager);
}

static bool is_listed(const struct strings *list, const char *word) {
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i], word) == 0)
            return true;
    return false;
}

static const char *boot_target(const struct manager *manager) {
    return manager->options.boot_target ? manager->options.boot_target
                                        : manager->set->settings.boot_target;
}

bool manager_wants_at_boot(const struct service *service) {
    struct manager *manager = service->manager;
    const struct unit *unit = service->unit;
    const char *target = boot_target(manager);
    if (!unit)
        return false;
    return service == manager_lookup(manager, target) ||
           (unit->install.enabled && !unit_has_timer(unit) &&
            is_listed(&unit->install.wanted_by, target));
}

/* Its own facts are written before those of the units: whoever comes after us in between knows that
 * some are missing. */
static void boot(struct manager *manager, bool (*is_wanted)(const struct service *service)) {
    struct manager_private *own = manager->private;
    own->booting = true;
    job_boot(manager, is_wanted);
    if (!manager->continues)
        milestones_begin(manager);
    state_touch_manager(manager);
    manager_event_ended(manager);
    own->booting = false;
    state_touch_manager(manager);
    manager_event_ended(manager);
}

void manager_boot(struct manager *manager) {
    boot(manager, manager_wants_at_boot);
}

static bool is_left_at_boot(const struct service *service) {
    return state_is_pristine(service) && manager_wants_at_boot(service);
}

void manager_resume_boot(struct manager *manager) {
    if (manager->private->booting)
        boot(manager, is_left_at_boot);
}
