#include "supervisor/plan.h"

#include <stdlib.h>
#include <string.h>

#include "supervisor/change.h"
#include "supervisor/gate.h"
#include "supervisor/manager-private.h"
#include "units/base/text.h"
#include "units/complain.h"

/* ---- rows ---- */

static void set_row(struct plan *plan, struct plan_row *row, enum plan_action action,
                    const char *format, ...) __attribute__((format(printf, 4, 5)));

static void set_row(struct plan *plan, struct plan_row *row, enum plan_action action,
                    const char *format, ...) {
    va_list arguments;
    row->action = action;
    free(row->why);
    va_start(arguments, format);
    if (vasprintf(&row->why, format, arguments) < 0) {
        row->why = NULL;
        plan->failed = true;
    }
    va_end(arguments);
}

static struct plan_row *add_row(struct plan *plan, const char *name) {
    struct plan_row *row = &plan->rows[plan->count++];
    *row = (struct plan_row){.name = strdup(name), .why = strdup("")};
    plan->failed |= !row->name || !row->why;
    return row;
}

static int compare_rows(const void *left, const void *right) {
    return strcmp(((const struct plan_row *)left)->name, ((const struct plan_row *)right)->name);
}

static bool has_alias(const struct plan_row *row, const char *name) {
    const struct unit *const units[] = {row->now, row->service ? row->service->unit : NULL};
    for (size_t i = 0; i < 2; i++)
        if (units[i] && units[i]->install.alias && strcmp(units[i]->install.alias, name) == 0)
            return true;
    return false;
}

/* By its own name, or by its second one. */
static struct plan_row *find(const struct plan *plan, const char *name) {
    const struct plan_row wanted = {.name = (char *)(uintptr_t)name};
    struct plan_row *row =
        bsearch(&wanted, plan->rows, plan->count, sizeof(*plan->rows), compare_rows);
    for (size_t i = 0; i < plan->count && !row; i++)
        if (has_alias(&plan->rows[i], name))
            row = &plan->rows[i];
    return row;
}

/* Runs, or is on its way to. */
static bool is_engaged(const struct service *service) {
    const struct state_traits *traits = state_traits(service->state);
    return !traits->down || traits->rising || service->private->goal == GOAL_UP ||
           service->private->goal == GOAL_CYCLE;
}

static const struct unit *unit_before(const struct manager *manager, const char *name,
                                      const struct service *service) {
    const struct unit_entry *entry = manager->set ? unit_set_find(manager->set, name) : NULL;
    if (entry && entry->unit)
        return entry->unit;
    return service ? service->unit : NULL;
}

static void fill_rows(struct plan *plan, struct manager *manager, const struct unit_set *set) {
    struct service *service;
    for (size_t i = 0; i < set->count && !plan->failed; i++) {
        const struct unit_entry *entry = &set->entries[i];
        service = manager_lookup(manager, entry->name);
        bool none = entry->condition == UNIT_TEMPLATE || entry->condition == UNIT_MASKED;
        if (none && !service)
            continue;
        struct plan_row *row = add_row(plan, entry->name);
        row->service = service;
        row->entry = entry;
        row->now = entry->condition == UNIT_VALID ? entry->unit : NULL;
    }
    list_for_each(service, &manager->services, link) {
        if (plan->failed || unit_set_find(set, service->name))
            continue;
        add_row(plan, service->name)->service = service;
    }
    for (size_t i = 0; i < plan->count && !plan->failed; i++) {
        struct plan_row *row = &plan->rows[i];
        row->before = unit_before(manager, row->name, row->service);
        row->engaged = row->service && is_engaged(row->service);
    }
}

/* ---- names in units ---- */

/* Up to this many lists of names in one question about a unit. */
#define LISTS_MAX 4

static bool has_name(const struct strings *list, const char *name) {
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i], name) == 0)
            return true;
    return false;
}

typedef void (*name_visitor)(struct plan *plan, struct plan_row *row, struct plan_row *other,
                             const char *verb);

static void visit_list(struct plan *plan, struct plan_row *row, const struct strings *list,
                       const char *verb, name_visitor visit) {
    for (size_t i = 0; i < list->count; i++) {
        struct plan_row *other = find(plan, list->items[i]);
        if (other && other != row)
            visit(plan, row, other, verb);
    }
}

/* Those whose namespaces it lives in. */
static void visit_shared(struct plan *plan, struct plan_row *row, const struct unit *unit,
                         name_visitor visit) {
    for (int kind = 0; kind < NAMESPACE_KINDS; kind++) {
        const struct namespace_choice *choice = &unit->container.namespaces.choices[kind];
        struct plan_row *other =
            choice->mode == NAMESPACE_UNIT && choice->name ? find(plan, choice->name) : NULL;
        if (other && other != row)
            visit(plan, row, other, "requires");
    }
}

/* What a start of it starts too. */
static void visit_pulled(struct plan *plan, struct plan_row *row, const struct unit *unit,
                         name_visitor visit) {
    visit_list(plan, row, &unit->dependencies.requires, "requires", visit);
    visit_list(plan, row, &unit->dependencies.binds_to, "requires", visit);
    visit_list(plan, row, &unit->dependencies.wants, "wants", visit);
    visit_shared(plan, row, unit, visit);
}

/* What takes it along when it is stopped or restarted. */
static void visit_followed(struct plan *plan, struct plan_row *row, const struct unit *unit,
                           name_visitor visit) {
    visit_list(plan, row, &unit->dependencies.requires, "requires", visit);
    visit_list(plan, row, &unit->dependencies.binds_to, "is bound to", visit);
    visit_list(plan, row, &unit->dependencies.part_of, "is part of", visit);
    visit_shared(plan, row, unit, visit);
}

/* ---- what is wanted at boot ---- */

static bool is_root(const struct unit *unit, const char *name, const char *target) {
    return strcmp(name, target) == 0 || (unit->install.enabled && !unit_has_timer(unit) &&
                                         has_name(&unit->install.wanted_by, target));
}

static void want_now(struct plan *plan, struct plan_row *row, struct plan_row *other,
                     const char *verb) {
    (void)plan, (void)row, (void)verb;
    other->wanted_now = true;
}

static void want_before(struct plan *plan, struct plan_row *row, struct plan_row *other,
                        const char *verb) {
    (void)plan, (void)row, (void)verb;
    other->wanted_before = true;
}

static size_t count_wanted(const struct plan *plan) {
    size_t count = 0;
    for (size_t i = 0; i < plan->count; i++)
        count += (size_t)plan->rows[i].wanted_now + (size_t)plan->rows[i].wanted_before;
    return count;
}

/* Rounds until nothing more is wanted; as many as the longest chain of names is long. */
static void find_wanted(struct plan *plan, const char *now, const char *before) {
    size_t count = 0, last;
    for (size_t i = 0; i < plan->count; i++) {
        struct plan_row *row = &plan->rows[i];
        row->wanted_now = row->now && is_root(row->now, row->name, now);
        row->wanted_before = row->before && is_root(row->before, row->name, before);
    }
    do {
        last = count;
        for (size_t i = 0; i < plan->count; i++) {
            struct plan_row *row = &plan->rows[i];
            if (row->wanted_now && row->now)
                visit_pulled(plan, row, row->now, want_now);
            if (row->wanted_before && row->before)
                visit_pulled(plan, row, row->before, want_before);
        }
        count = count_wanted(plan);
    } while (count != last);
}

/* ---- each unit for itself ---- */

static void judge_gone(struct plan *plan, struct plan_row *row) {
    enum plan_action action = row->engaged ? PLAN_STOP : PLAN_REMOVE;
    if (row->entry)
        set_row(plan, row, action, "masked by %s", row->entry->path);
    else
        set_row(plan, row, action, "its file is gone");
}

static void judge_invalid(struct plan *plan, struct plan_row *row) {
    const struct complaints *complaints = &row->entry->complaints;
    plan->invalid = true;
    if (complaints->count == 0)
        set_row(plan, row, PLAN_INVALID, "%s", row->entry->path);
    else
        set_row(plan, row, PLAN_INVALID, "%s:%d: %s%s", complaints->items[0].file,
                complaints->items[0].line, complaints->items[0].text,
                complaints->count > 1 ? " (and more)" : "");
}

static void judge_new(struct plan *plan, struct plan_row *row) {
    const char *what = row->service ? "valid again" : "new";
    if (row->wanted_now)
        set_row(plan, row, PLAN_START, "%s", what);
    else if (row->now->install.enabled && unit_has_timer(row->now))
        set_row(plan, row, PLAN_LOAD, "%s, and started by its timer", what);
    else
        set_row(plan, row, PLAN_LOAD, "%s, and nothing wants it at boot", what);
}

static void judge_engaged(struct plan *plan, struct plan_row *row, const struct text *changes,
                          bool live) {
    if (changes->length == 0)
        set_row(plan, row, PLAN_UNCHANGED, "%s", "");
    else if (!live && unit_has_timer(row->now)) /* it runs when it is time, and not now */
        set_row(plan, row, PLAN_LOAD, "from its next run on; changed: %s", changes->data);
    else
        set_row(plan, row, live ? PLAN_UPDATE : PLAN_RESTART, "changed: %s", changes->data);
}

static void judge_down(struct plan *plan, struct plan_row *row, const struct text *changes) {
    bool failed = state_traits(row->service->state)->failed;
    if (row->wanted_now && !row->wanted_before)
        set_row(plan, row, PLAN_START, "wanted at boot now");
    else if (changes->length == 0)
        set_row(plan, row, PLAN_UNCHANGED, "%s", "");
    else if (failed && row->wanted_now)
        set_row(plan, row, PLAN_START, "failed, and changed: %s", changes->data);
    else
        set_row(plan, row, PLAN_UPDATE, "does not run; changed: %s", changes->data);
}

static void judge(struct plan *plan, struct plan_row *row) {
    scoped_text struct text changes = {0};
    bool live = true;
    if (row->entry && row->entry->condition == UNIT_INVALID) {
        judge_invalid(plan, row);
        return;
    }
    if (!row->now) {
        judge_gone(plan, row);
        return;
    }
    if (!row->service || !row->service->unit) {
        judge_new(plan, row);
        return;
    }
    unit_changes(row->service->unit, row->now, &changes, &live);
    plan->failed |= changes.failed;
    if (plan->failed)
        return;
    if (row->engaged)
        judge_engaged(plan, row, &changes, live);
    else
        judge_down(plan, row, &changes);
}

/* ---- what follows ---- */

static void note_need(struct plan *plan, struct plan_row *row, struct plan_row *other,
                      const char *verb) {
    (void)plan, (void)verb;
    if (row->engaged && row->action != PLAN_STOP)
        other->owner = row;
}

/* A unit that boot does not want any more is stopped unless one that goes on needs it. */
static void drop_unwanted(struct plan *plan) {
    for (size_t i = 0; i < plan->count; i++)
        if (plan->rows[i].now)
            visit_pulled(plan, &plan->rows[i], plan->rows[i].now, note_need);
    for (size_t i = 0; i < plan->count; i++) {
        struct plan_row *row = &plan->rows[i];
        bool unwanted = row->engaged && row->now && row->wanted_before && !row->wanted_now &&
                        !unit_has_timer(row->now);
        if (unwanted && !row->owner)
            set_row(plan, row, PLAN_STOP, "not wanted at boot any more");
    }
}

static bool is_left_alone(const struct plan_row *row) {
    return row->action == PLAN_UNCHANGED || row->action == PLAN_UPDATE || row->action == PLAN_LOAD;
}

/* One that is raised is part of a start, as if it began to wait only now. */
static bool comes_up(const struct plan_row *row) {
    return row->action == PLAN_START || row->action == PLAN_RESTART || row->raised;
}

static const char *word_of_coming(const struct plan_row *row) {
    return plan_action_word(row->action == PLAN_RESTART ? PLAN_RESTART : PLAN_START);
}

static bool can_be_raised(const struct plan_row *row) {
    const struct service *service = row->service;
    return row->engaged && is_left_alone(row) && service &&
           (state_traits(service->state)->gated || gate_is_going_down(service));
}

static void follow(struct plan *plan, struct plan_row *row, struct plan_row *other,
                   const char *verb) {
    bool moves = other->action == PLAN_STOP || other->action == PLAN_RESTART;
    enum plan_action action = moves ? other->action : other->passed_on;
    if (action == PLAN_UNCHANGED)
        return;
    bool passes = !row->engaged || row->action == PLAN_INVALID;
    if (passes && row->passed_on == PLAN_UNCHANGED)
        row->passed_on = action;
    else if (row->engaged && is_left_alone(row))
        set_row(plan, row, action, "%s %s, which %s %s", verb, other->name,
                moves ? "is to" : "goes with what is to", plan_action_word(action));
}

static void pull(struct plan *plan, struct plan_row *row, struct plan_row *other,
                 const char *verb) {
    bool gains = row->engaged && row->action == PLAN_UPDATE && strcmp(verb, "requires") == 0;
    bool idle = other->now && !other->engaged && is_left_alone(other);
    if ((comes_up(row) || gains) && idle)
        set_row(plan, other, PLAN_START, "%s %s it", row->name, verb);
    else if (comes_up(row) && other->now && other->action == PLAN_STOP)
        set_row(plan, other, PLAN_RESTART, "it is to stop, and %s %s it", row->name, verb);
    else if (comes_up(row) && can_be_raised(other))
        other->raised = true;
}

/* Whose edges hold while the plan is done: what runs keeps its unit, unless it takes its new one as
 * it runs; what has an invalid file has its former one still. */
static const struct unit *present_unit(const struct plan_row *row) {
    bool keeps = row->engaged ? row->action != PLAN_UPDATE : row->action == PLAN_INVALID;
    return keeps && row->service && row->service->unit ? row->service->unit : row->now;
}

/* Of one with an invalid file it is not told, but of those that follow it. */
static void give_way(struct plan *plan, struct plan_row *row, const struct plan_row *comer) {
    if (!row->engaged)
        return;
    if (is_left_alone(row))
        set_row(plan, row, PLAN_STOP, "conflicts with %s, which is to %s", comer->name,
                word_of_coming(comer));
    else if (row->action == PLAN_INVALID && row->passed_on == PLAN_UNCHANGED)
        row->passed_on = PLAN_STOP;
}

/* Whoever of the two comes up, the one that is up goes. */
static void conflict(struct plan *plan, struct plan_row *row, struct plan_row *other,
                     const char *verb) {
    (void)verb;
    if (comes_up(row))
        give_way(plan, other, row);
    else if (comes_up(other))
        give_way(plan, row, other);
}

/* By what it says now, and by what it runs with. */
static void visit_conflicts(struct plan *plan, struct plan_row *row, const struct unit *present) {
    if (row->now)
        visit_list(plan, row, &row->now->dependencies.conflicts, "", conflict);
    if (present && present != row->now)
        visit_list(plan, row, &present->dependencies.conflicts, "", conflict);
}

static size_t count_unmoved(const struct plan *plan) {
    size_t count = 0;
    for (size_t i = 0; i < plan->count; i++)
        count += (size_t)is_left_alone(&plan->rows[i]) + !comes_up(&plan->rows[i]) +
                 (plan->rows[i].passed_on == PLAN_UNCHANGED);
    return count;
}

static void find_followers(struct plan *plan) {
    size_t count = SIZE_MAX, last;
    do {
        last = count;
        for (size_t i = 0; i < plan->count; i++) {
            struct plan_row *row = &plan->rows[i];
            const struct unit *present = present_unit(row);
            if (present)
                visit_followed(plan, row, present, follow);
            if (row->now)
                visit_pulled(plan, row, row->now, pull);
            visit_conflicts(plan, row, present);
        }
        count = count_unmoved(plan);
    } while (count != last);
}

static void judge_host(struct plan *plan, const struct complaints *host) {
    if (host->count == 0)
        return;
    plan->invalid = true;
    set_row(plan, add_row(plan, ""), PLAN_INVALID, "%s:%d: %s%s", host->items[0].file,
            host->items[0].line, host->items[0].text, host->count > 1 ? " (and more)" : "");
}

int plan_make(struct manager *manager, const struct unit_set *set, struct plan *ret_plan) {
    struct plan plan = {0};
    const char *before = manager->set ? manager->set->settings.boot_target : UNIT_BOOT_TARGET;
    plan.rows = calloc(set->count + manager->private->count + 1, sizeof(*plan.rows));
    if (!plan.rows)
        return -ENOMEM;
    fill_rows(&plan, manager, set);
    if (!plan.failed) {
        qsort(plan.rows, plan.count, sizeof(*plan.rows), compare_rows);
        find_wanted(&plan, set->settings.boot_target, before);
    }
    for (size_t i = 0; i < plan.count && !plan.failed; i++)
        judge(&plan, &plan.rows[i]);
    if (!plan.failed) {
        drop_unwanted(&plan);
        find_followers(&plan);
        judge_host(&plan, &set->complaints);
    }
    if (plan.failed) {
        plan_free(&plan);
        return -ENOMEM;
    }
    for (size_t i = 0; i < plan.count; i++)
        plan.rows[i].owner = NULL;
    *ret_plan = plan;
    return 0;
}

void plan_free(struct plan *plan) {
    for (size_t i = 0; i < plan->count; i++) {
        free(plan->rows[i].name);
        free(plan->rows[i].why);
        free(plan->rows[i].failure);
    }
    free(plan->rows);
    *plan = (struct plan){0};
}
