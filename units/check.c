#include "units/check.h"

#include <errno.h>
#include <string.h>

#include "units/base/number.h"
#include "units/kinds.h"

#define AT(member) offsetof(struct unit, member)
#define CHOICE(kind) offsetof(struct unit, container.namespaces.choices[kind])
#define SERVICE_SECTION AT(container.process.exec)

/* ---- what depends on other keys when it is not given ---- */

/* "101:101" names both. */
static int split_user(struct draft *draft) {
    struct process *process = &draft->unit->container.process;
    char *colon = strchr(process->user, ':');
    if (!colon)
        return 0;
    if (process->group) {
        char title[64];
        draft_complain(draft, AT(container.process.group), "%s names a group already",
                       key_title(AT(container.process.user), title, sizeof(title)));
        return 0;
    }
    process->group = strdup(colon + 1);
    *colon = '\0';
    return process->group ? 0 : -ENOMEM;
}

/* The unit whose user namespace is shared with its network or ipc namespace. */
static int share_user(struct draft *draft) {
    struct namespace_choice *choices = draft->unit->container.namespaces.choices;
    static const enum namespace_kind kinds[] = {NAMESPACE_NETWORK, NAMESPACE_IPC};
    for (size_t i = 0; i < ELEMENTS(kinds); i++) {
        const struct namespace_choice *shared = &choices[kinds[i]];
        if (shared->mode != NAMESPACE_UNIT || draft_says(draft, CHOICE(NAMESPACE_USER)))
            continue;
        if (choices[NAMESPACE_USER].mode == NAMESPACE_UNIT)
            continue; /* the first one's; that both are the same is checked below */
        choices[NAMESPACE_USER].mode = NAMESPACE_UNIT;
        choices[NAMESPACE_USER].name = strdup(shared->name);
        if (!choices[NAMESPACE_USER].name)
            return -ENOMEM;
    }
    return 0;
}

static bool is_named(const struct strings *strings, const char *name) {
    for (size_t i = 0; i < strings->count; i++)
        if (strcmp(strings->items[i], name) == 0)
            return true;
    return false;
}

/* Sharing a namespace of a unit requires that unit. */
static int require_shared(struct draft *draft) {
    struct strings *required = &draft->unit->dependencies.requires;
    const struct namespace_choice *choices = draft->unit->container.namespaces.choices;
    for (size_t i = 0; i < NAMESPACE_KINDS; i++)
        if (choices[i].mode == NAMESPACE_UNIT && !is_named(required, choices[i].name) &&
            strings_add(required, choices[i].name) < 0)
            return -ENOMEM;
    return 0;
}

static bool is_done_once(const struct unit *unit) {
    return unit->service.type == SERVICE_ONESHOT || unit->service.type == SERVICE_GROUP;
}

static bool starts_after_success(const struct unit *unit) {
    return unit->restart.policy == RESTART_ALWAYS || unit->restart.policy == RESTART_ON_SUCCESS ||
           unit->restart.policy == RESTART_UNLESS_STOPPED;
}

/* The four ways to probe, of which a unit has one. */
static const size_t probes[] = {AT(health.exec), AT(health.http), AT(health.tcp), AT(health.file)};

static bool has_probe(const struct unit *unit, size_t offset) {
    const char *member = (const char *)unit + offset;
    return offset == AT(health.exec) ? ((const struct strings *)member)->count > 0
                                     : *(char *const *)member != NULL;
}

static void drop_probe(struct unit *unit, size_t offset) {
    const struct section *section;
    const struct key *key = key_at(offset, &section);
    void *member = (char *)unit + offset;
    key->kind->free(member);
    key_reset(key, member);
}

/* What the host's defaults say gives way to the unit's own probe, and is nothing to one that ends.
 */
static void choose_probe(struct draft *draft) {
    bool own = is_done_once(draft->unit);
    for (size_t i = 0; i < ELEMENTS(probes); i++)
        own |= draft_says(draft, probes[i]);
    for (size_t i = 0; i < ELEMENTS(probes) && own; i++)
        if (!draft_says(draft, probes[i]))
            drop_probe(draft->unit, probes[i]);
}

int draft_complete(struct draft *draft) {
    struct unit *unit = draft->unit;
    const struct section *section;
    key_at(SERVICE_SECTION, &section);
    if (!(draft->sections_given >> (section - unit_sections.sections) & 1))
        unit->service.type = SERVICE_GROUP;
    if (unit->service.type == SERVICE_ONESHOT) {
        if (!draft_gave(draft, AT(service.start_timeout)))
            unit->service.start_timeout = DURATION_OFF;
        if (!draft_gave(draft, AT(service.remain_after_exit)))
            unit->service.remain_after_exit = true;
        /* The next run needs the end of this one. */
        if (unit_has_timer(unit) && !draft_says(draft, AT(service.remain_after_exit)))
            unit->service.remain_after_exit = false;
    }
    if (unit->service.type != SERVICE_ONESHOT && !draft_says(draft, AT(service.remain_after_exit)))
        unit->service.remain_after_exit = false;
    if (is_done_once(unit) && !draft_says(draft, AT(restart.policy)) &&
        (!draft_gave(draft, AT(restart.policy)) || starts_after_success(unit)))
        unit->restart.policy = RESTART_NO;
    /* An exact set is all that the host's defaults would add to, or take from. */
    if (draft_says(draft, AT(container.security.capabilities))) {
        struct security *security = &unit->container.security;
        if (!draft_says(draft, AT(container.security.capabilities_add)))
            security->capabilities_add = 0;
        if (!draft_says(draft, AT(container.security.capabilities_drop)))
            security->capabilities_drop = 0;
    }
    choose_probe(draft);
    unit->container.resources.pids_max_is_default =
        !draft_gave(draft, AT(container.resources.pids_max));
    int error = split_user(draft);
    if (!error)
        error = share_user(draft);
    return error ? error : require_shared(draft);
}

/* ---- rules ---- */

/* A pid namespace ends with its PID 1: where that is the program, nothing outlives it. */
static void check_init(struct draft *draft) {
    const struct unit *unit = draft->unit;
    bool own = unit->container.namespaces.choices[NAMESPACE_PID].mode == NAMESPACE_PRIVATE;
    if (unit->container.process.init && !own)
        draft_complain(draft, AT(container.process.init),
                       "an init is PID 1 of a pid namespace of its own, and there is none");
    if (unit->service.kill_mode != KILL_CONTROL_GROUP && own && !unit->container.process.init)
        draft_complain(draft, AT(service.kill_mode),
                       "the program is PID 1, with which the kernel ends all others; it needs "
                       "init = true, or pid = \"host\" among the namespaces");
}

static void check_exec(struct draft *draft) {
    const struct unit *unit = draft->unit;
    if (unit->service.type != SERVICE_GROUP && unit->container.process.exec.count == 0)
        draft_complain(draft, AT(container.process.exec), "required, and not given; it is %s",
                       kind_arguments.example);
}

static void check_ready(struct draft *draft) {
    const struct service_settings *service = &draft->unit->service;
    if (service->type == SERVICE_FD && service->ready_fd == INTEGER_UNSET)
        draft_complain(draft, AT(service.type),
                       "\"fd\" needs the number of the descriptor too: ready_fd = 3;");
    if (service->type != SERVICE_FD && service->ready_fd != INTEGER_UNSET)
        draft_complain(draft, AT(service.ready_fd), "only a service of type \"fd\" has one");
}

static void check_once(struct draft *draft) {
    const struct unit *unit = draft->unit;
    bool once = unit->service.type == SERVICE_ONESHOT;
    if (once && starts_after_success(unit))
        draft_complain(draft, AT(restart.policy),
                       "a oneshot that succeeded is done; it can have \"no\", \"on-failure\" or "
                       "\"on-abnormal\"");
    if (!once && unit->service.remain_after_exit)
        draft_complain(draft, AT(service.remain_after_exit),
                       "only a service of type \"oneshot\" remains after its exit");
}

static void check_terminal(struct draft *draft) {
    const struct unit *unit = draft->unit;
    char title[64];
    if (unit->container.process.tty && unit->service.tty_path)
        draft_complain(draft, AT(service.tty_path),
                       "it has a terminal of its own; it can have one of the two");
    if (unit->container.process.tty && unit->logging.driver == LOG_NONE)
        draft_complain(draft, AT(container.process.tty),
                       "nobody reads the terminal where %s is \"none\"",
                       key_title(AT(logging.driver), title, sizeof(title)));
}

static void check_reload(struct draft *draft) {
    const struct service_settings *service = &draft->unit->service;
    if (service->exec_reload.count && service->reload_signal)
        draft_complain(draft, AT(service.exec_reload),
                       "a signal is given for it too; one of the two makes it reload");
}

static void check_delays(struct draft *draft) {
    const struct unit *unit = draft->unit;
    if (unit->restart.max_delay < unit->restart.delay)
        draft_complain(draft,
                       draft_says(draft, AT(restart.max_delay)) ? AT(restart.max_delay)
                                                                : AT(restart.delay),
                       "the longest delay is shorter than the first");
}

static void check_health(struct draft *draft) {
    static const size_t others[] = {AT(health.interval),       AT(health.timeout),
                                    AT(health.retries),        AT(health.start_period),
                                    AT(health.start_interval), AT(health.on_failure),
                                    AT(health.gates_ready)};
    char title[64];
    size_t first = ELEMENTS(probes);
    for (size_t i = 0; i < ELEMENTS(probes); i++) {
        if (!has_probe(draft->unit, probes[i]))
            continue;
        if (first < ELEMENTS(probes)) {
            draft_complain(draft, probes[i], "%s is given too; a unit is probed in one way",
                           key_title(probes[first], title, sizeof(title)));
            return;
        }
        first = i;
        if (draft->unit->service.type == SERVICE_ONESHOT)
            draft_complain(draft, probes[i], "a oneshot ends: there is nothing to probe");
    }
    for (size_t i = 0; i < ELEMENTS(others) && first == ELEMENTS(probes); i++) {
        if (!draft_says(draft, others[i]))
            continue;
        draft_complain(draft, others[i], "it is not said what is probed; %s is one way",
                       key_title(AT(health.http), title, sizeof(title)));
        return;
    }
}

static void check_timer(struct draft *draft) {
    const struct unit *unit = draft->unit;
    const struct timer *timer = &unit->timer;
    bool again = timer->schedule || timer->interval != DURATION_OFF;
    char title[64], other[64];
    if (again && unit->service.remain_after_exit)
        draft_complain(draft, AT(service.remain_after_exit),
                       "a unit that remains after its exit is not started again by %s",
                       key_title(timer->schedule ? AT(timer.schedule) : AT(timer.interval), title,
                                 sizeof(title)));
    if (again && draft_says(draft, AT(restart.policy)) && !is_done_once(unit) &&
        starts_after_success(unit))
        draft_complain(draft, AT(restart.policy),
                       "a unit that is started again whenever it ends leaves nothing for %s",
                       key_title(timer->schedule ? AT(timer.schedule) : AT(timer.interval), title,
                                 sizeof(title)));
    if (unit_has_timer(unit) && unit->container.network.sockets_lazy)
        draft_complain(draft, AT(container.network.sockets_lazy),
                       "a unit that its timer starts does not wait for a connection too");
    if (!again && timer->persistent && draft_says(draft, AT(timer.persistent)))
        draft_complain(draft, AT(timer.persistent), "it is about %s and %s, and there is neither",
                       key_title(AT(timer.schedule), title, sizeof(title)),
                       key_title(AT(timer.interval), other, sizeof(other)));
    if (!unit_has_timer(unit) && timer->randomized_delay &&
        draft_says(draft, AT(timer.randomized_delay)))
        draft_complain(draft, AT(timer.randomized_delay), "there is no run that it could put off");
}

/* A group has no process, and nothing that would be about one. */
static void check_group(struct draft *draft) {
    const struct section *service, *general, *install;
    key_at(SERVICE_SECTION, &service);
    key_at(AT(description), &general);
    key_at(AT(install.enabled), &install);
    for (size_t i = 0; i < draft->origin_count; i++) {
        const struct origin *origin = &draft->origins[i];
        size_t row = 0;
        for (size_t k = 0; k < unit_sections.count; row += unit_sections.sections[k++].count) {
            const struct section *section = &unit_sections.sections[k];
            if (origin->row < row || origin->row >= row + section->count || section == general ||
                section == install || origin->layer == LAYER_DEFAULTS)
                continue;
            source_complain_at(origin->source, &draft->complaints,
                               origin->source->nodes[origin->node].name,
                               "%s.%s: a file without a section \"%s\" is a group, which has no "
                               "process of its own",
                               section->name, section->keys[origin->row - row].name, service->name);
            return;
        }
    }
}

/* An order of two limits, each of which may be absent or "max". */
static void check_order(struct draft *draft, size_t low, size_t high) {
    char title[64];
    uint64_t less = *(const uint64_t *)((const char *)draft->unit + low);
    uint64_t more = *(const uint64_t *)((const char *)draft->unit + high);
    if (less == LIMIT_UNSET || more == LIMIT_UNSET || more == SIZE_NONE)
        return;
    if (less > more && draft_says(draft, low) && draft_says(draft, high))
        draft_complain(draft, low, "it is above %s, and would do nothing",
                       key_title(high, title, sizeof(title)));
}

static void check_resources(struct draft *draft) {
    check_order(draft, AT(container.resources.memory_high), AT(container.resources.memory_max));
    check_order(draft, AT(container.resources.memory_low), AT(container.resources.memory_max));
    check_order(draft, AT(container.resources.memory_min), AT(container.resources.memory_max));
}

static void check_security(struct draft *draft) {
    const struct security *security = &draft->unit->container.security;
    char title[64];
    if (security->capabilities != CAPABILITIES_UNSET &&
        (security->capabilities_add || security->capabilities_drop))
        draft_complain(draft, AT(container.security.capabilities),
                       "the exact set leaves nothing for %s or its counterpart",
                       key_title(security->capabilities_add
                                     ? AT(container.security.capabilities_add)
                                     : AT(container.security.capabilities_drop),
                                 title, sizeof(title)));
    if (security->capabilities != CAPABILITIES_UNSET && security->ambient & ~security->capabilities)
        draft_complain(draft, AT(container.security.ambient),
                       "a capability that %s has not got cannot be ambient",
                       key_title(AT(container.security.capabilities), title, sizeof(title)));
    if (security->seccomp == SECCOMP_UNCONFINED &&
        (security->seccomp_allow.count || security->seccomp_deny.count))
        draft_complain(draft, AT(container.security.seccomp),
                       "\"unconfined\" has no list that calls could be added to or taken from");
}

/* What a unit of the present kind cannot mean, though each key alone is sound. */
static void check_unused(struct draft *draft) {
    const struct unit *unit = draft->unit;
    const struct namespaces *namespaces = &unit->container.namespaces;
    if (namespaces->choices[NAMESPACE_TIME].mode == NAMESPACE_HOST) {
        if (namespaces->boot_offset)
            draft_complain(draft, AT(container.namespaces.boot_offset),
                           "the host's clocks have none; it needs time = \"private\"");
        if (namespaces->monotonic_offset)
            draft_complain(draft, AT(container.namespaces.monotonic_offset),
                           "the host's clocks have none; it needs time = \"private\"");
    }
}

/* A rule, and the keys whose default would be complained about though another value was meant. */
struct rule {
    void (*check)(struct draft *draft);
    size_t needs[6];
};

static const struct rule rules[] = {
    {check_exec, {AT(container.process.exec)}},
    {check_ready, {AT(service.type), AT(service.ready_fd)}},
    {check_once, {AT(service.type), AT(restart.policy)}},
    {check_terminal, {0}},
    {check_reload, {0}},
    {check_init, {AT(container.process.init), CHOICE(NAMESPACE_PID)}},
    {check_delays, {AT(restart.delay), AT(restart.max_delay)}},
    {check_timer,
     {AT(service.type), AT(restart.policy), AT(timer.schedule), AT(timer.interval),
      AT(timer.on_boot)}},
    {check_health, {AT(health.exec), AT(health.http), AT(health.tcp), AT(health.file)}},
    {check_root,
     {AT(container.rootfs.path), AT(container.rootfs.layers), AT(container.rootfs.bundle),
      AT(container.rootfs.upper), AT(container.rootfs.readonly)}},
    {check_mounts, {AT(container.mounts), AT(container.volumes)}},
    {check_devices, {AT(container.devices)}},
    {check_shared, {CHOICE(NAMESPACE_USER)}},
    {check_hostname, {AT(container.process.hostname), CHOICE(NAMESPACE_UTS)}},
    {check_namespaces, {0}},
    {check_sysctl, {CHOICE(NAMESPACE_NETWORK), CHOICE(NAMESPACE_IPC)}},
    {check_sockets, {AT(container.network.sockets), AT(container.network.sockets_lazy)}},
    {check_resources, {0}},
    {check_security, {0}},
    {check_unused, {CHOICE(NAMESPACE_TIME)}},
};

/* Where a file could not be read at all, everything is in doubt. */
static bool is_read(const struct draft *draft) {
    for (size_t i = 0; i < draft->source_count; i++)
        if (draft->sources[i].bad)
            return false;
    return true;
}

static bool is_understood(const struct draft *draft, const struct rule *rule) {
    for (size_t i = 0; i < ELEMENTS(rule->needs) && rule->needs[i]; i++)
        if (draft_doubts(draft, rule->needs[i]))
            return false;
    return true;
}

void draft_check(struct draft *draft) {
    /* The host's defaults are complained about there; here they hold as far as they are sound. */
    bool doubtful = complaints_any(&draft->complaints);
    if (!is_read(draft))
        return;
    if (draft_complete(draft) < 0) {
        complain(&draft->complaints, draft->path, 0, 0, NULL, "out of memory");
        return;
    }
    if (draft->unit->service.type == SERVICE_GROUP &&
        !(doubtful && draft_doubts(draft, AT(service.type)))) {
        check_group(draft);
        return;
    }
    for (size_t i = 0; i < ELEMENTS(rules); i++)
        if (!doubtful || is_understood(draft, &rules[i]))
            rules[i].check(draft);
}
