/* The manager dies between two events, and another one goes on: everything that runs is what ran,
 * and as it was. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/supervisor/fake-sandbox.h"
#include "tests/supervisor/simulation.h"

/* What must be the same afterwards, of a service that runs. */
struct before {
    char name[UNIT_NAME_MAX];
    pid_t pid;
    uint64_t restarts;
    unsigned step;
};

static struct before *befores;
static size_t before_count;

static void broken(const char *rule, const char *name) {
    char text[256];
    snprintf(text, sizeof(text), "%s: after a change of managers %s", name, rule);
    fake_broken(text);
}

static void note(const struct service *service) {
    const struct service_private *own = service->private;
    if (!service->main || !own->executed || own->ended || !list_is_empty(&own->unsaved))
        return;
    befores = reallocarray(befores, before_count + 1, sizeof(*befores));
    if (!befores)
        abort();
    struct before *one = &befores[before_count++];
    *one = (struct before){.pid = own->run_pid, .restarts = service->restarts, .step = own->step};
    snprintf(one->name, sizeof(one->name), "%s", service->name);
}

static bool is_alive(pid_t pid) {
    const struct run *run;
    list_for_each(run, &fake_all_runs, all) {
        if (run->pid == pid && run->alive && !run->killed)
            return true;
    }
    return false;
}

/* What runs on is held, and nothing was counted; whatever holds nothing has nothing. */
static void compare(const struct before *before) {
    const struct service *service = manager_lookup(fake_manager, before->name);
    if (!is_alive(before->pid))
        return;
    if (!service || !service->main)
        broken("nobody holds it, and it runs", before->name);
    else if (service->private->run_pid != before->pid)
        broken("another one runs", before->name);
    else if (service->restarts != before->restarts || service->private->step != before->step)
        broken("its restarts are counted in another way", before->name);
}

static bool was_noted(const char *name) {
    for (size_t i = 0; i < before_count; i++)
        if (strcmp(befores[i].name, name) == 0)
            return is_alive(befores[i].pid);
    return false;
}

/* Where ringfenced has died too, nobody holds what has no process; where nothing could be written,
 * nobody knows what has become of it since. */
static void check_lost(bool keeper_died, bool unsaved) {
    const struct adoption *adoption = &fake_manager->private->adoption;
    for (size_t i = 0; i < adoption->lost_count; i++) {
        const struct lost *lost = &adoption->lost[i];
        if (was_noted(lost->unit) || !(keeper_died || unsaved))
            broken(lost->why, lost->unit);
    }
}

void random_death(void) {
    struct service *service;
    bool keeper_dies = chance(10), unsaved = !list_is_empty(&fake_manager->private->unsaved);
    before_count = 0;
    list_for_each(service, &fake_manager->services, link) {
        note(service);
    }
    fake_die();
    files_forget();
    fake_kernel_is_old = chance(50);
    fake_run(chance(50) ? 0 : fake_random(SEC));
    if (chance(5))
        random_date();
    if (keeper_dies)
        fake_lose_keeper();
    fake_revive(chance(10));
    for (size_t i = 0; i < before_count; i++)
        compare(&befores[i]);
    check_lost(keeper_dies, unsaved);
}

void random_fullness(void) {
    fake_full = !fake_full && !calm && chance(50);
    manager_event_ended(fake_manager); /* it tries again at any event */
    if (!fake_full && !list_is_empty(&fake_manager->private->unsaved))
        fake_broken("the directory is not full any more, and not everything is saved");
}
