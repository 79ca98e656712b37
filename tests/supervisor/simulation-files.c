/* Files that change on the disk, and what a person does about it: apply, enable and disable, rm;
 * also when the manager dies between one and the other. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/apply.h"
#include "tests/supervisor/simulation.h"

/* A service as it was before the files were applied. */
struct before {
    char name[UNIT_NAME_MAX];
    enum service_state state;
    enum goal goal;
    const struct unit *unit, *next;
    bool runs, went_down; /* and what the plan says of it: */
    enum plan_action action;
};

static struct before *befores;
static size_t before_count;
static bool planned; /* the plan was told */
static size_t applies, applied;

static void broken(const char *rule, const char *name) {
    char text[256];
    snprintf(text, sizeof(text), "%s: %s", name, rule);
    fake_broken(text);
}

static bool goes_down(const struct service *service) {
    return service->private->goal == GOAL_DOWN || service->private->goal == GOAL_CYCLE;
}

/* ---- before ---- */

static void note_all(void) {
    const struct service *service;
    before_count = 0;
    list_for_each(service, &fake_manager->services, link) {
        befores = reallocarray(befores, before_count + 1, sizeof(*befores));
        if (!befores)
            abort();
        struct before *one = &befores[before_count++];
        *one = (struct before){.state = service->state,
                               .goal = service->private->goal,
                               .unit = service->unit,
                               .next = service->next_unit,
                               .runs = state_traits(service->state)->running,
                               .went_down = goes_down(service)};
        snprintf(one->name, sizeof(one->name), "%s", service->name);
    }
}

static int by_name(const void *left, const void *right) {
    return strcmp(left, ((const struct before *)right)->name);
}

static struct before *find_before(const char *name) {
    return before_count ? bsearch(name, befores, before_count, sizeof(*befores), by_name) : NULL;
}

static void note_plan(void *context, const struct plan *plan) {
    (void)context;
    planned = true;
    for (size_t i = 0; i < plan->count; i++) {
        struct before *before = find_before(plan->rows[i].name);
        if (before)
            before->action = plan->rows[i].action;
    }
}

/* ---- after ---- */

static void check_untouched(const char *rule) {
    for (size_t i = 0; i < before_count; i++) {
        const struct before *before = &befores[i];
        const struct service *service = manager_lookup(fake_manager, before->name);
        if (!service || service->state != before->state || service->private->goal != before->goal ||
            service->unit != before->unit || service->next_unit != before->next)
            broken(rule, before->name);
    }
}

static bool is_rescuer(const struct service *service) {
    const struct service *other;
    list_for_each(other, &fake_manager->services, link) {
        const struct edges *ties = &other->private->ties;
        for (size_t i = 0; i < ties->count; i++)
            if ((ties->items[i].kinds & EDGE_RESCUES) && ties->items[i].other == service)
                return true;
    }
    return false;
}

static bool is_to_come(const struct before *before) {
    return before && (before->action == PLAN_START || before->action == PLAN_RESTART);
}

/* A start failed at once, and what comes to the rescue may conflict with anybody. */
static bool came_to_the_rescue(const struct before *before, const struct service *service) {
    bool moved = service->state != before->state || service->private->goal != before->goal;
    return moved && !before->runs && !is_to_come(before) && is_rescuer(service);
}

/* The files want two to come that conflict: one of them goes, with who stands behind it. */
static bool contradicts(const struct before *before, const struct service *service) {
    const struct edges *ties = &service->private->ties;
    for (size_t i = 0; i < ties->count && is_to_come(before); i++)
        if ((ties->items[i].kinds & EDGE_CONFLICTS) &&
            is_to_come(find_before(ties->items[i].other->name)))
            return true;
    return false;
}

static bool can_be_foretold(void) {
    for (size_t i = 0; i < before_count; i++) {
        const struct service *service = manager_lookup(fake_manager, befores[i].name);
        if (service &&
            (came_to_the_rescue(&befores[i], service) || contradicts(&befores[i], service)))
            return false;
    }
    return true;
}

/* Not because what it is bound to is gone, which nobody plans. */
static bool goes_by_word(const struct service *service) {
    const struct service_private *own = service->private;
    return own->goal == GOAL_CYCLE ? own->cycle_by_person : own->goal == GOAL_DOWN && !own->recover;
}

/* What runs and is not named goes on; what is to be stopped or restarted is. Of those whose file is
 * invalid nothing is foretold. */
static void check_done(const struct before *before, bool foretold) {
    const struct service *service = manager_lookup(fake_manager, before->name);
    bool stops = before->action == PLAN_STOP || before->action == PLAN_RESTART ||
                 before->action == PLAN_INVALID;
    if (!service || !before->runs || before->went_down)
        return;
    if (!stops && foretold && goes_by_word(service))
        rules_break("an apply stops what its plan does not name", service);
    if (before->action == PLAN_STOP && !goes_down(service) && !state_traits(service->state)->down)
        rules_break("an apply does not stop what its plan says", service);
    if (before->action == PLAN_UPDATE && service->next_unit)
        rules_break("an apply does not update what its plan says", service);
}

static void count_applied(void *context, const struct plan *plan) {
    (void)context, (void)plan;
    applied++;
}

/* ---- acts ---- */

/* As ringfence enable, disable, or an edit of what only we read. */
static struct unit *edited(const struct unit *unit) {
    struct unit *copy = fake_copy(unit);
    if (chance(50)) {
        copy->install.enabled = !copy->install.enabled;
    } else {
        free(copy->description);
        if (asprintf(&copy->description, "edited at %llu", (unsigned long long)fake_now) < 0)
            abort();
    }
    return copy;
}

/* Some numbers have no unit at first: their files come later. */
static void change_one(struct unit *(*make)(size_t number)) {
    size_t number = fake_random(services);
    const char *name = name_of(number);
    const struct unit *present = fake_file(name);
    unsigned what = (unsigned)fake_random(100);
    if (what < 15)
        fake_refuse(name);
    else if (what < 30 && fake_has_file(name))
        fake_drop(name);
    else if (what < 60 && present)
        fake_set(edited(present));
    else
        fake_set(make(number));
}

static void change_some(struct unit *(*make)(size_t number)) {
    for (size_t i = chance(80) ? 1 : 1 + fake_random(10); i > 0; i--)
        change_one(make);
}

void random_change(struct unit *(*make)(size_t number)) {
    change_some(make);
    fake_apply();
}

/* The plan is what is done, and a plan alone does nothing. */
static void plan_and_apply(unsigned flags) {
    struct fault fault;
    graph_refresh(fake_manager);
    note_all();
    planned = false;
    fake_keep_files();
    int error = manager_apply(fake_manager, flags | APPLY_DRY_RUN, note_plan, NULL, &fault);
    if (planned != (error >= 0))
        fake_broken("a plan was not told");
    check_untouched("a plan alone has changed it");
    applies++;
    error = manager_apply(fake_manager, flags, count_applied, &applied, &fault);
    if (error < 0) {
        applies--;
        check_untouched("what was refused has changed it");
        return;
    }
    bool foretold = can_be_foretold();
    for (size_t i = 0; i < before_count; i++)
        check_done(&befores[i], foretold);
}

bool random_apply(struct unit *(*make)(size_t number)) {
    fake_files();
    change_some(make);
    if (chance(20))
        return false;
    plan_and_apply(chance(70) ? APPLY_KEEP_GOING : 0);
    return true;
}

void random_remove(const char *name) {
    struct fault fault;
    const struct service *service = manager_lookup(fake_manager, name);
    if (!service)
        return;
    bool rests = state_traits(service->state)->down && service->private->goal == GOAL_NONE;
    int error = manager_remove(fake_manager, name, false, &fault);
    if ((error < 0) == rests)
        broken(rests ? "it is down and cannot be removed" : "it was removed as it runs", name);
    if (error >= 0)
        fake_check_removed(name);
}

/* ---- rules ---- */

void files_forget(void) {
    applies = applied = 0;
}

/* What has another file than it was started from is known to have one. */
void files_check(const struct service *service) {
    const struct unit_entry *entry = unit_set_find(fake_manager->set, service->name);
    if (!service->unit || !entry || !entry->unit)
        return;
    bool same = unit_digest(service->unit) == unit_digest(entry->unit);
    if (!same && !service->next_unit)
        broken("its file has changed, and nobody knows", service->name);
    if (service->file_changed != (service->next_unit != NULL))
        broken("that its file has changed is told in two ways", service->name);
}

void files_check_ended(void) {
    if (applies != applied)
        fake_broken("an apply did not end");
}
