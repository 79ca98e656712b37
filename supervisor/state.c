#include "supervisor/state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/adopt.h"
#include "supervisor/facts-file.h"
#include "supervisor/fd-store.h"
#include "supervisor/gate.h"
#include "supervisor/health.h"
#include "supervisor/keeping.h"
#include "supervisor/log.h"
#include "supervisor/manager-private.h"
#include "supervisor/schedule.h"
#include "supervisor/seeded.h"
#include "supervisor/state-table.h"
#include "units/base/text.h"
#include "units/resolved.h"

void state_touch(struct service *service) {
    if (list_is_empty(&service->private->unsaved))
        list_append(&service->manager->private->unsaved, &service->private->unsaved);
}

void state_touch_manager(struct manager *manager) {
    manager->private->own_unsaved = true;
}

/* ---- what is held, in the words by which it is found again ---- */

static char *taken_words(struct text *words) {
    return words->failed ? NULL : take(words->data);
}

static void replace(char **place, char *words) {
    free(*place);
    *place = words;
}

static const char *const held_words[] = {
    [HELD_SANDBOX] = "sandbox",
    [HELD_RUN] = "run",
    [HELD_LAUNCH] = "launch",
    [HELD_COMMAND] = "command",
};
static_assert(ELEMENTS(held_words) == HELD_KINDS, "a word for each");

/* Whose it is, too: facts that could not be written name an earlier owner. */
struct held_name {
    char text[32];
};
static struct held_name name_of(enum held_kind kind, pid_t owner) {
    struct held_name name;
    snprintf(name.text, sizeof(name.text), "%s.%d", held_words[kind], (int)owner);
    return name;
}

void state_hold(struct service *service, const char *kind, const int *fds, size_t count) {
    struct fault fault = {{0}};
    char name[UNIT_NAME_MAX + sizeof(struct held_name) + 1];
    snprintf(name, sizeof(name), "%s/%s", service->name, kind);
    if (keeping_store(service->manager->private->keeping, name, fds, count, &fault) < 0)
        log_line(LEVEL_WARNING, "%s: %s", service->name, fault.text);
}

void state_release(struct service *service, const char *kind) {
    char name[UNIT_NAME_MAX + sizeof(struct held_name) + 1];
    snprintf(name, sizeof(name), "%s/%s", service->name, kind);
    keeping_drop(service->manager->private->keeping, name);
}

size_t state_take(struct service *service, const char *kind, int *ret_fds, size_t room) {
    char name[UNIT_NAME_MAX + sizeof(struct held_name) + 1];
    snprintf(name, sizeof(name), "%s/%s", service->name, kind);
    int count = keeping_take(service->manager->private->keeping, name, ret_fds, room);
    return count < 0 ? 0 : (size_t)count;
}

/* Before the facts name them; count 0: none are needed. What the facts name no more is kept until
 * that is written (drop_unneeded). */
static void hold(struct service *service, enum held_kind kind, pid_t owner, const int *fds,
                 size_t count) {
    struct held *held = &service->private->held;
    pid_t before = held->needed[kind];
    held->needed[kind] = count > 0 ? owner : 0;
    if (!held->needed[kind] || (before == owner && held->stored[kind] == owner))
        return;
    if (held->stored[kind] &&
        (held->stored[kind] == owner || held->stored[kind] != held->named[kind]))
        state_release(service, name_of(kind, held->stored[kind]).text);
    state_hold(service, name_of(kind, owner).text, fds, count);
    held->stored[kind] = owner;
}

static void drop_unneeded(struct service *service) {
    struct held *held = &service->private->held;
    for (enum held_kind kind = 0; kind < HELD_KINDS; kind++) {
        pid_t needed = held->needed[kind], stored = held->stored[kind], named = held->named[kind];
        if (named && named != needed)
            state_release(service, name_of(kind, named).text);
        if (stored && stored != needed && stored != named)
            state_release(service, name_of(kind, stored).text);
        held->stored[kind] = held->named[kind] = stored == needed ? stored : 0;
    }
}

size_t state_take_held(struct service *service, enum held_kind kind, pid_t owner, int *ret_fds,
                       size_t room) {
    struct held *held = &service->private->held;
    size_t count = state_take(service, name_of(kind, owner).text, ret_fds, room);
    if (count > 0)
        held->stored[kind] = held->needed[kind] = held->named[kind] = owner;
    return count;
}

/* The words change while a unit lives (they name its main process, and count what was killed); what
 * goes with them is stored once. */
static void hold_sandbox(struct service *service) {
    struct held *held = &service->private->held;
    int fds[SANDBOX_SAVED_MAX];
    size_t count = 0;
    scoped_text struct text words = {0};
    bool there = service->sandbox && service->private->built;
    if (there && sandbox_save(service->sandbox, &words, fds, &count) < 0)
        return; /* what was saved of it before holds still */
    replace(&held->sandbox, there ? taken_words(&words) : NULL);
    hold(service, HELD_SANDBOX, STATE_SANDBOX, fds, held->sandbox ? count : 0);
}

static void hold_run(struct service *service) {
    struct service_private *own = service->private;
    struct run_saved saved = RUN_SAVED_NONE;
    scoped_text struct text words = {0};
    replace(&own->held.run, NULL);
    if (service->main && run_save(service->main, &words, &saved) >= 0)
        replace(&own->held.run, taken_words(&words));
    if (!own->held.run)
        saved = RUN_SAVED_NONE;
    hold(service, HELD_RUN, own->run_pid, &saved.status, saved.status >= 0);
    hold(service, HELD_LAUNCH, own->run_pid, &saved.report, saved.report >= 0);
}

void state_renew_sandbox(struct service *service) {
    if (!SEEDED(KEEPS))
        service->private->held.needed[HELD_SANDBOX] = 0;
}

static void hold_others(struct service *service) {
    struct service_private *own = service->private;
    scoped_text struct text command = {0}, execs = {0}, descriptors = {0};
    pid_t command_pid = 0;
    int report = execs_save(service, &own->commands, &command, &command_pid, &execs);
    fd_store_describe(own->fd_store, &descriptors);
    replace(&own->held.command, taken_words(&command));
    hold(service, HELD_COMMAND, command_pid, &report, own->held.command && report >= 0);
    replace(&own->held.execs, taken_words(&execs));
    replace(&own->held.descriptors, taken_words(&descriptors));
}

/* In what lies beside the facts; only a new unit is written anew. */
static int hold_unit(struct service *service, struct fault *fault) {
    struct held *held = &service->private->held;
    scoped_text struct text text = {0};
    if (held->unit == service->unit || !service->unit)
        return 0;
    unit_print(service->unit, &text);
    if (text.failed)
        return fault_set(fault, ENOMEM, "cannot save the unit %s", service->name);
    int error = facts_file_write(service->manager, service->name, FACTS_UNIT_FILE,
                                 text.data ? text.data : "", text.length, fault);
    if (error < 0)
        return error;
    unit_unref(held->unit);
    held->unit = unit_ref(service->unit);
    replace(&held->unit_path, strdup(service->unit->path));
    return 0;
}

/* ---- the text ---- */

static uint64_t print(struct service *service, struct text *text) {
    facts_begin(text, facts_file_boot(service->manager));
    facts_write(text, &service_facts, service);
    facts_write(text, &private_facts, service->private);
    facts_write(text, &held_facts, service->private);
    health_save(service, text);
    schedule_save(service, text);
    return facts_end(text);
}

uint64_t state_print(struct service *service, struct text *text) {
    hold_sandbox(service);
    hold_run(service);
    hold_others(service);
    service->private->guarded = service->private->watchdog.slot != 0;
    service->private->launching = service->main && !service->private->executed;
    return print(service, text);
}

bool state_is_pristine(const struct service *service) {
    const struct service_private *own = service->private;
    bool rests = service->state == SERVICE_LOADED || service->state == SERVICE_INVALID;
    return rests && own->goal == GOAL_NONE && !own->schedule && own->saved == 0;
}

/* ---- writing ---- */

/* What is launched goes on when this is known to whoever comes after us, or cannot be. */
static void release(struct service *service) {
    if (service->private->report_watch && service->main)
        run_release(service->main);
    execs_release(service);
}

/* Beside the facts, for whoever finds them damaged. */
static int save_wanted(struct service *service, struct fault *fault) {
    struct service_private *own = service->private;
    bool wanted = gate_is_active(service) && own->goal != GOAL_DOWN;
    if (wanted == own->held.wanted)
        return 0;
    int error = facts_file_want(service->manager, service->name, wanted, fault);
    if (error >= 0)
        own->held.wanted = wanted;
    return error;
}

/* What is the same as it was last time is not written again. */
static int save(struct service *service, struct text *text, struct fault *fault) {
    struct service_private *own = service->private;
    if (state_is_pristine(service))
        return 0;
    int error = hold_unit(service, fault);
    if (error < 0)
        return error;
    uint64_t digest = state_print(service, text);
    if (text->failed)
        return fault_set(fault, ENOMEM, "cannot save the state of %s", service->name);
    if (digest != own->saved && !(SEEDED(FORGETFUL) && own->saved)) {
        error = facts_file_write(service->manager, service->name, FACTS_FILE, text->data,
                                 text->length, fault);
        if (error < 0)
            return error;
        own->saved = digest;
        drop_unneeded(service);
    }
    return save_wanted(service, fault);
}

/* Where it cannot be written, the end of the event tries again, and says why. */
void state_save(struct service *service) {
    struct fault fault = {{0}};
    save(service, &service->manager->private->facts, &fault);
    state_touch(service);
}

int state_save_manager(struct manager *manager, struct fault *fault) {
    struct manager_private *own = manager->private;
    scoped_text struct text text = {0};
    if (!own->own_unsaved)
        return 0;
    facts_begin(&text, facts_file_boot(manager));
    facts_write(&text, &manager_facts, manager);
    facts_write(&text, &manager_private_facts, own);
    facts_end(&text);
    if (text.failed)
        return fault_set(fault, ENOMEM, "cannot save the state of the manager");
    int error = facts_file_write(manager, NULL, FACTS_FILE, text.data, text.length, fault);
    own->own_unsaved = error < 0;
    return error;
}

/* One that cannot be written is the last that is tried: the others would fail for the same reason.
 * Each time it is another one, lest one alone is in the way of all. */
static int save_touched(struct manager *manager, struct fault *fault) {
    struct manager_private *own = manager->private;
    struct service_private *next;
    int error = state_save_manager(manager, fault);
    while (error >= 0 && (next = list_first(&own->unsaved, struct service_private, unsaved))) {
        list_remove(&next->unsaved);
        error = save(next->service, &own->facts, fault);
        release(next->service);
        if (error < 0)
            list_append(&own->unsaved, &next->unsaved);
    }
    if (error < 0)
        list_for_each(next, &own->unsaved, unsaved) {
            release(next->service);
        }
    return error;
}

void state_flush(struct manager *manager) {
    struct manager_private *own = manager->private;
    struct fault fault = {{0}};
    int error = save_touched(manager, &fault);
    if (error >= 0)
        fault.text[0] = '\0';
    if (error < 0 && !own->unsaved_fault.text[0]) /* of which unit is another question each time */
        log_line(LEVEL_ERROR, "%s: what runs goes on, and would not survive a restart of ringfence",
                 fault.text);
    else if (error >= 0 && own->unsaved_fault.text[0])
        log_line(LEVEL_NOTICE, "the state of all units is saved again");
    own->unsaved_fault = fault;
}

int state_save_all(struct manager *manager, struct fault *fault) {
    struct service *service;
    state_touch_manager(manager);
    list_for_each(service, &manager->services, link) {
        state_touch(service);
    }
    return save_touched(manager, fault);
}

const char *state_complaint(const struct service *service) {
    const struct manager_private *manager = service->manager->private;
    bool saved = list_is_empty(&service->private->unsaved);
    return saved || !manager->unsaved_fault.text[0] ? NULL : manager->unsaved_fault.text;
}

/* ---- life ---- */

void state_set_saved(struct service *service, const char *text) {
    service->private->saved = facts_digest(text);
    service->private->held.wanted = facts_file_is_wanted(service->manager, service->name) > 0;
}

void state_forget(struct service *service) {
    struct service_private *own = service->private;
    if (own->saved && !SEEDED(LITTERS))
        facts_file_remove(service->manager, service->name);
    own->saved = 0;
    memset(own->held.needed, 0, sizeof(own->held.needed));
    drop_unneeded(service);
    own->held.wanted = false;
    unit_unref(take(own->held.unit));
    list_remove(&own->unsaved);
}

void state_free(struct service *service) {
    struct held *held = &service->private->held;
    char **const words[] = {&held->sandbox, &held->run,         &held->command,
                            &held->execs,   &held->descriptors, &held->unit_path};
    list_remove(&service->private->unsaved);
    for (size_t i = 0; i < ELEMENTS(words); i++)
        replace(words[i], NULL);
    unit_unref(held->unit);
}
