/* Random lives of hundreds of services. A seed decides everything: RINGFENCE_SEED=N replays the one
 * that failed, RINGFENCE_EVENTS and RINGFENCE_SERVICES make it longer or larger. */

#include "supervisor/seeded.h"
#include "tests/supervisor/simulation.h"
#include "tests/test.h"
#include "units/base/number.h"
#include "units/base/text.h"

static uint64_t seed, events, deaths;
static uint64_t checks;
static uint64_t mortal; /* one of so many acts is the death of the manager; 0: none is */
static bool traced;     /* RINGFENCE_TRACE: each step is told */
size_t services;
bool calm;

static uint64_t setting(const char *name, uint64_t otherwise) {
    const char *text = getenv(name);
    uint64_t value = otherwise;
    if (text && number_parse(text, &value) < 0)
        fprintf(stderr, "%s is not a number\n", name);
    return value;
}

static void tell_seed(const char *rule) {
    printf("# broken: %s\n# replay: RINGFENCE_SEED=%llu RINGFENCE_EVENTS=%llu "
           "RINGFENCE_SERVICES=%zu, after %llu microseconds\n",
           rule, (unsigned long long)seed, (unsigned long long)events, services,
           (unsigned long long)fake_now);
    exit(1);
}

static void trace(const char *what, const struct service *service) {
    if (traced)
        printf("# %llu %s: %s, %d, goal %d\n", (unsigned long long)fake_now, service->name, what,
               (int)service->state, (int)service->private->goal);
}

static void observe(struct service *service, enum service_state before) {
    trace(service_state_word(before), service);
    rules_note(service, before);
}

/* ---- how a service is this time ---- */

static int random_status(void) {
    static const int statuses[] = {EXITED(0),       EXITED(1),       EXITED(3),
                                   KILLED(SIGSEGV), KILLED(SIGTERM), KILLED(SIGKILL)};
    return statuses[fake_random(sizeof(statuses) / sizeof(statuses[0]))];
}

static void misbehave(struct fake_plan *plan) {
    plan->build_error = chance(3) ? "build: no such layer" : NULL;
    plan->launch_error = chance(3) ? "execve: no such file" : NULL;
    plan->fails_at_once = chance(2);
    plan->ready_after = chance(5) ? NEVER : plan->ready_after;
    plan->exit_after = chance(50) ? fake_random(60 * SEC) : NEVER;
    plan->exit_status = random_status();
    plan->out_of_memory = chance(10);
    plan->drops_signal = chance(10);
    plan->deaf = chance(5);
    plan->stop_time = chance(5) ? NEVER : fake_random(chance(80) ? 100 * MSEC : 5 * SEC);
    plan->children = (unsigned)fake_random(4);
    plan->child_time = chance(50) ? NEVER : fake_random(SEC);
    plan->busy_removals = chance(10) ? (unsigned)fake_random(4) : 0;
    plan->vain_kills = chance(5) ? (unsigned)fake_random(3) : 0;
    plan->command_time = chance(10) ? NEVER : fake_random(SEC);
    plan->command_status = chance(10) ? random_status() : EXITED(0);
    plan->command_missing = chance(3);
}

static void random_plan(const char *name, struct fake_plan *plan) {
    (void)name;
    plan->build_time = fake_random(20 * MSEC);
    plan->launch_time = fake_random(5 * MSEC);
    plan->report_delay = chance(20) ? fake_random(30 * MSEC) : 0;
    plan->ready_after = fake_random(chance(90) ? SEC : 20 * SEC);
    plan->stop_time = fake_random(100 * MSEC);
    plan->kill_time = fake_random(5 * MSEC);
    plan->command_time = fake_random(20 * MSEC);
    if (!calm)
        misbehave(plan);
    struct service *service = manager_lookup(fake_manager, name);
    if (service->unit->service.type == SERVICE_ONESHOT && plan->exit_after == NEVER) {
        plan->exit_after = fake_random(5 * SEC);
        plan->exit_status = EXITED(0);
    }
}

static void random_probe(const char *name, struct fake_probe_plan *plan) {
    (void)name;
    plan->healthy = calm || chance(70);
    plan->after = chance(50) ? 0 : fake_random(SEC);
    if (calm)
        return;
    plan->fails_at_once = chance(5);
    if (chance(10)) /* a hang, or an answer about when its time is over */
        plan->after = chance(50) ? NEVER : fake_random(5 * SEC);
}

/* ---- the units ---- */

bool may_be_lazy(size_t number) {
    return number % 3 == 0;
}

static void random_sockets(struct unit *unit, size_t number) {
    struct network *network = &unit->container.network;
    if (unit->service.type == SERVICE_GROUP || chance(50))
        return;
    fake_add(&network->sockets, "80");
    network->sockets_lazy =
        may_be_lazy(number) && unit->service.type != SERVICE_ONESHOT && chance(80);
    if (network->sockets_lazy && chance(50))
        network->idle_stop = 10 * MSEC + fake_random(20 * SEC);
}

static void random_health(struct unit *unit) {
    static const enum health_action actions[] = {HEALTH_RESTART, HEALTH_NONE, HEALTH_STOP};
    struct health *health = &unit->health;
    if (unit->service.type == SERVICE_GROUP || unit->service.type == SERVICE_ONESHOT || chance(60))
        return;
    health->http = strdup("http://127.0.0.1/");
    health->interval = 100 * MSEC + fake_random(10 * SEC);
    health->timeout = 10 * MSEC + fake_random(5 * SEC);
    health->retries = 1 + (int64_t)fake_random(4);
    health->start_period = chance(50) ? 0 : fake_random(20 * SEC);
    health->start_interval = 10 * MSEC + fake_random(2 * SEC);
    health->on_failure = actions[fake_random(3)];
    health->gates_ready = chance(70);
}

static struct unit *random_unit(size_t number) {
    static const enum service_type types[] = {SERVICE_EXEC,    SERVICE_EXEC, SERVICE_NOTIFY,
                                              SERVICE_ONESHOT, SERVICE_FD,   SERVICE_GROUP};
    static const enum restart_policy policies[] = {RESTART_ON_FAILURE, RESTART_ALWAYS, RESTART_NO,
                                                   RESTART_ON_ABNORMAL, RESTART_ON_WATCHDOG};
    struct unit *unit = fake_unit(name_of(number), types[fake_random(6)]);
    random_relations(unit, number);
    random_sockets(unit, number);
    unit->service.remain_after_exit = chance(50);
    unit->service.start_timeout = chance(50) ? 5 * SEC : 90 * SEC;
    unit->service.stop_timeout = chance(50) ? SEC : fake_random(10 * SEC);
    unit->service.runtime_max = chance(10) ? 10 * SEC + fake_random(100 * SEC) : DURATION_OFF;
    unit->restart.policy = policies[fake_random(5)];
    unit->restart.delay = chance(5) ? 0 : 10 * MSEC + fake_random(SEC);
    unit->restart.backoff = 1 + (double)fake_random(30) / 10;
    unit->restart.jitter = (double)fake_random(11) / 10;
    unit->restart.max_delay = unit->restart.delay + fake_random(30 * SEC);
    unit->restart.limit_burst = chance(30) ? 1 + (int64_t)fake_random(10) : 0;
    unit->install.enabled = chance(70);
    random_health(unit);
    random_runs(unit);
    random_timer(unit);
    return unit;
}

/* ---- commands, each of which must end ---- */

/* Each of those before it, and no chain is longer, is given up after its own timeouts. */
#define ONE_MAX (110 * SEC)
#define CHAIN_MAX 64
#define CHAIN_MIN 16 /* one alone is begun anew for others' commands, and each time has as long */

struct given {
    uint64_t at;
    bool told; /* that it ended */
    char name[24];
    enum command kind;
};
static struct given *commands, *latest;
static size_t given, ended, oldest;
static uint64_t slept; /* the time that clock jumps took */

static void done(void *context, int error, const struct fault *fault) {
    struct given *this_one = context;
    (void)error, (void)fault;
    if (this_one->told)
        fake_broken("a command ended twice");
    this_one->told = true;
    ended++;
    /* A stop wins over all but a later command. */
    const struct service *service = manager_lookup(fake_manager, this_one->name);
    if (this_one->kind == COMMAND_STOP && this_one == latest && service &&
        service->private->goal == GOAL_CYCLE)
        fake_broken("what was stopped is to come up again, and nobody said so");
}

static void say_endless(const struct given *command) {
    scoped_text struct text text = {0};
    const struct service *service = manager_lookup(fake_manager, command->name);
    text_format(&text, "command %d of %s (%s, goal %d) takes for ever: ", (int)command->kind,
                command->name, service ? service_state_word(service->state) : "gone",
                service ? (int)service->private->goal : 0);
    if (service)
        service_explain_waiting(service, &text);
    fake_broken(text.data);
}

static void check_commands(void) {
    while (oldest < given && commands[oldest].told)
        oldest++;
    uint64_t most = (services < CHAIN_MIN   ? CHAIN_MIN
                     : services < CHAIN_MAX ? services
                                            : CHAIN_MAX) *
                    ONE_MAX;
    if (oldest < given && fake_now - slept - commands[oldest].at > most)
        say_endless(&commands[oldest]);
}

static void random_command(void) {
    static const enum command kinds[] = {COMMAND_START, COMMAND_STOP, COMMAND_RESTART,
                                         COMMAND_RELOAD};
    char instance[16];
    snprintf(instance, sizeof(instance), "t@%u", (unsigned)fake_random(10));
    const char *name = chance(5) ? instance : name_of(fake_random(services));
    enum command kind = kinds[fake_random(4)];
    struct fault fault;
    latest = &commands[given];
    *latest = (struct given){.at = fake_now - slept, .kind = kind};
    static const char *const words[] = {"start", "stop", "restart", "reload"};
    snprintf(commands[given].name, sizeof(commands[given].name), "%s", name);
    struct service *service = manager_lookup(fake_manager, name);
    rules_before_command(service);
    if (service)
        trace(words[kind], service);
    if (manager_command(fake_manager, kind, name, done, &commands[given], &fault) < 0)
        return;
    given++;
    service = manager_lookup(fake_manager, name);
    if (service)
        rules_check_command(kind, service);
}

static void random_pause(void) {
    struct fault fault;
    const char *name = name_of(fake_random(services));
    struct service *service = fake_service(name);
    if (service)
        manager_pause(fake_manager, name, !service->paused, &fault);
}

static bool random_use(const char *name) {
    (void)name;
    return !calm && chance(30);
}

static void random_connection(void) {
    struct service *service = fake_service(name_of(fake_random(services)));
    if (service)
        fake_connect(service->name);
}

/* Whoever waited for a command is told nothing any more. */
static void random_end(void) {
    for (size_t i = oldest; i < given; i++)
        if (!commands[i].told) {
            commands[i].told = true;
            ended++;
        }
    latest = NULL;
    random_death();
    deaths++;
}

/* The machine sleeps, or somebody sets its date. */
static void random_jump(void) {
    uint64_t length = fake_random(chance(50) ? SEC : 3600 * SEC);
    if (chance(50)) {
        fake_now += length;
        slept += length;
    } else {
        random_date();
    }
}

static void random_small_act(uint64_t what) {
    if (what == 0)
        random_condition();
    else if (what == 1)
        random_jump();
    else if (what == 2)
        random_fullness();
    else
        fake_move_main(name_of(fake_random(services)));
}

static void random_files(void) {
    latest = NULL; /* an apply may start again what was stopped */
    if (chance(50))
        random_remove(name_of(fake_random(services)));
    else if (!random_apply(random_unit))
        random_end();
}

static void random_act(void) {
    uint64_t what = fake_random(100);
    struct service *service = fake_service(name_of(fake_random(services)));
    if (mortal && fake_random(mortal) == 0)
        random_end();
    else if (what < 55)
        random_command();
    else if (what < 75)
        random_connection();
    else if (what < 80)
        random_small_act(what - 75);
    else if (what < 85)
        random_pause();
    else if (what == 85 && fake_random(1 + services / 32) == 0) /* which asks about all units */
        random_files();
    else if (what < 88)
        random_change(random_unit);
    else if (what < 94)
        random_word(service);
    else if (service && service->main && service->private->executed && !service->private->ended)
        fake_exit(service->name, random_status());
}

/* ---- what must hold after every event ---- */

/* What is unhealthy is left alone only where its file says so; what is to be healthy first is not
 * ready before; what does not run is not looked at. */
static void check_health(const struct service *service) {
    const struct health_record *record = service_health(service);
    bool probed = state_traits(service->state)->probed;
    if (!record || !service->unit)
        return;
    if (record->state == HEALTH_UNHEALTHY && service->unit->health.on_failure != HEALTH_NONE)
        fake_broken("it is unhealthy, and nothing is done");
    if (record->state != HEALTH_UNKNOWN && !probed)
        fake_broken("it does not run, and has a health");
    if (service->state == SERVICE_READY && service->unit->health.gates_ready &&
        record->state == HEALTH_STARTING)
        fake_broken("it is ready before it is healthy");
}

static void check_more(const struct service *service) {
    check_health(service);
    fake_sockets_check(service);
    timers_check(service);
    if (++checks % 16 != 0) /* these take as long as the event */
        return;
    files_check(service);
    fake_check_saved(manager_lookup(fake_manager, service->name));
}

/* All of them again and again, and those that changed after each event. */
static void check_after(uint64_t event) {
    rules_check_changed(check_more);
    if (event % (1 + services / 16) != 0)
        return;
    rules_check_all();
    timers_check_all();
    check_commands();
}

static void live(void) {
    for (size_t number = 0; number < services; number++)
        if (chance(95)) /* the others come later */
            fake_set(random_unit(number));
    fake_apply();
    manager_boot(fake_manager);
    for (uint64_t event = 0; event < events; event++) {
        if (!fake_step() || chance(20))
            random_act();
        check_after(event);
    }
}

static void check_empty(void) {
    const struct {
        size_t count;
        const char *what;
    } left[] = {
        {fake_sandboxes, "sandboxes"}, {fake_runs, "runs"},       {fake_processes, "processes"},
        {fake_sockets, "sockets"},     {fake_watches, "watches"}, {fake_probes, "probes"},
        {fake_listeners, "listeners"},
    };
    char rule[64];
    for (size_t i = 0; i < ELEMENTS(left); i++) {
        snprintf(rule, sizeof(rule), "%zu %s are left behind", left[i].count, left[i].what);
        if (left[i].count)
            fake_broken(rule);
    }
}

static void rest(void) {
    calm = true;
    random_fullness();
    fake_run(120 * SEC);
    rules_check_changed(check_more);
    rules_check_all();
    manager_stop_all(fake_manager);
    for (int i = 0; i < 1000000 && !fake_finished && fake_step(); i++)
        ;
    struct service *service;
    list_for_each(service, &fake_manager->services, link) {
        if (!state_traits(service->state)->down)
            printf("# %s is %s (%d), goal %d, main %d, pid %d, ended %d, populated %d\n",
                   service->name, service_state_word(service->state), (int)service->state,
                   (int)service->private->goal, service->main != NULL, service->private->run_pid,
                   service->private->ended,
                   service->sandbox ? sandbox_is_populated(service->sandbox) : -1);
    }
    if (!fake_finished)
        fake_broken("not everything stops");
    fake_run(60 * SEC); /* nothing comes to life again */
    check_empty();
    if (given != ended)
        fake_broken("a command did not end");
    files_check_ended();
    if (fake_manager->private->without_pid || fake_manager->private->children.count > 0)
        fake_broken("a child is still waited for");
    fake_close();
    if (fake_outputs)
        fake_broken("an output is still open");
    if (fake_kept())
        fake_broken(fake_kept());
}

static void simulate(uint64_t with_seed, uint64_t with_events, size_t with_services) {
    seed = setting("RINGFENCE_SEED", with_seed);
    events = setting("RINGFENCE_EVENTS", with_events);
    services = setting("RINGFENCE_SERVICES", with_services);
    mortal = setting("RINGFENCE_MORTAL", 100 + 3 * services);
    traced = getenv("RINGFENCE_TRACE") != NULL;
    commands = calloc(events + 1, sizeof(*commands)); /* at most one command for each event */
    fake_open(seed);
    fake_choose = random_plan;
    fake_choose_probe = random_probe;
    fake_busy = random_use;
    fake_broken = tell_seed;
    fake_observe = observe;
    fake_path_exists = random_path_exists;
    live();
    rest();
    free(commands);
    printf(
        "# seed %llu: %llu events, %zu services, %zu commands, %llu deaths, %llu s of their time\n",
        (unsigned long long)seed, (unsigned long long)events, services, given,
        (unsigned long long)deaths, (unsigned long long)(fake_now / SEC));
}

#ifdef SIMULATE_FAULT
enum seeded_fault seeded_fault;

/* Whether some seed breaks a rule, and how many it took. */
static bool is_found(enum seeded_fault fault) {
    seeded_fault = fault;
    for (uint64_t with_seed = 1; with_seed <= 200; with_seed++) {
        int status = 0;
        fflush(NULL);
        pid_t child = fork();
        if (child == 0) {
            alarm(20); /* an event without an end is a fault that was found too */
            simulate(with_seed, 4000, 5 + with_seed % 20);
            exit(0);
        }
        CHECK(waitpid(child, &status, 0) == child);
        if (status != 0) {
            printf("# fault %d is found by seed %llu\n", (int)fault, (unsigned long long)with_seed);
            return true;
        }
    }
    return false;
}

TEST(without_a_fault_nothing_is_found) {
    CHECK(!is_found(SEEDED_NONE));
}

TEST(every_seeded_fault_is_found) {
    for (int fault = SEEDED_NONE + 1; fault < SEEDED_FAULTS; fault++)
        if (!is_found((enum seeded_fault)fault)) {
            printf("# fault %d is not found\n", fault);
            CHECK(!"every fault is found");
        }
}
#else
/* A million events in all; a sanitizer has to be content with fewer. */
#ifdef __SANITIZE_ADDRESS__
#define THOUSAND 200
#else
#define THOUSAND 1000
#endif

static void busy(const char *name, struct fake_plan *plan) {
    (void)name;
    *plan = (struct fake_plan){.ready_after = NEVER, .exit_after = NEVER, .busy_removals = 2};
}

static void command(enum command kind, const char *name) {
    struct fault fault;
    rules_before_command(fake_service(name));
    CHECK(manager_command(fake_manager, kind, name, NULL, NULL, &fault) >= 0);
    rules_check_command(kind, fake_service(name));
}

/* Who is being restarted waits for the kernel alone; the event that stops "part" goes on with that,
 * and so pulls "part" again. */
TEST(what_is_stopped_may_be_started_in_the_same_event) {
    fake_open(1);
    fake_choose = busy;
    fake_observe = observe;
    struct unit *part = fake_unit("part", SERVICE_GROUP),
                *between = fake_unit("between", SERVICE_GROUP),
                *user = fake_unit("user", SERVICE_EXEC);
    fake_add(&part->dependencies.part_of, "whole");
    fake_add(&part->dependencies.on_failure, "user"); /* which is looked at after it */
    fake_add(&between->dependencies.requires, "part");
    fake_add(&user->dependencies.wants, "between");
    fake_set(fake_unit("whole", SERVICE_GROUP));
    fake_set(part);
    fake_set(between);
    fake_set(user);
    fake_apply();
    command(COMMAND_START, "user");
    fake_run(SEC);
    command(COMMAND_STOP, "between");
    command(COMMAND_RESTART, "user");
    while (fake_service("user")->state != SERVICE_REMOVING)
        CHECK(fake_step());
    command(COMMAND_STOP, "whole");
    CHECK(fake_service("part")->state == SERVICE_READY);
    CHECK(fake_service("between")->state == SERVICE_READY);
    manager_stop_all(fake_manager);
    fake_run(SEC);
    CHECK(fake_finished);
    fake_close();
}

TEST(few_services_many_events) {
    simulate(1, 200 * THOUSAND, 12);
}

TEST(three_hundred_services) {
    simulate(2, 200 * THOUSAND, 300);
}

TEST(another_three_hundred) {
    simulate(3, 200 * THOUSAND, 300);
}

TEST(a_thousand_services) {
    simulate(4, 300 * THOUSAND, 1000);
}

TEST(many_short_lives) {
    if (getenv("RINGFENCE_SEED"))
        SKIP("one seed is replayed");
    for (uint64_t with_seed = 100; with_seed < 140; with_seed++) {
        fflush(NULL);
        pid_t child = fork();
        if (child == 0) {
            simulate(with_seed, 3000, 5 + with_seed % 20);
            exit(0);
        }
        int status = 0;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
}
#endif

TEST_MAIN
