/* Fault injection: each system call that the manager and its children make for launch, state and
 * control fails once, with each error that fits it. Whatever fails: the unit concerned tells a
 * clear error or it was tried again, the manager goes on, the others are unharmed, nothing is left
 * behind.
 *
 *     supervisor-test-faults [--points N | --all | --repeats] [--seed N]
 *                            [--scenario NAME [--point POINT]] [--verbose]
 *
 * prints TAP, a case for each scenario. --all tries every point once (points.h tells what a point
 * is; tests/soak faults), --repeats also what runs the same code again. Where nothing is said it is
 * a sample, the same each time, with each system call in it. */

#include <getopt.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/faults/points.h"
#include "tests/faults/scene.h"
#include "units/base/scoped.h"

#define STEPS_MAX 8
#define SAMPLE 99
#define TRIES 3     /* of a point that is not reached */
#define SETTLE 5000 /* milliseconds until nothing may be left */

/* What is done while one call fails: each step a command line of the tool, or a word of ours. */
static const struct scenario {
    const char *name;
    const char *unit; /* that it is about; NULL: none */
    bool fresh;       /* with a keeper of its own for each point */
    const char *steps[STEPS_MAX];
} scenarios[] = {
    {"life", "plain", false, {"start plain", "exec plain -- /bin/true", "stop plain"}},
    {"crash", "plain", false, {"start plain", "!crash", "stop plain"}},
    {"freeze", "plain", false, {"start plain", "pause plain", "resume plain", "stop plain"}},
    {"hooks", "hooks", false, {"start hooks", "reload hooks", "stop hooks"}},
    {"probe", "probed", false, {"start probed", "stop probed"}},
    {"rich", "rich", false, {"start rich", "restart rich", "stop rich"}},
    {"layers", "layered", false, {"start layered", "stop layered"}},
    {"control", NULL, false, {"list", "status " BYSTANDER, "inspect " BYSTANDER, "stats", "ns"}},
    {"files", "changing", false, {"!change", "reload", "apply --dry-run", "apply"}},
    {"boot", NULL, true, {"start plain", "stop plain"}},
    {"again", NULL, true, {"start plain", "wait " BYSTANDER, "list", "!die", "restart plain"}},
};
#define SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

/* Which points. */
struct choice {
    size_t per_scenario; /* 0: all */
    uint64_t seed;
    bool repeats;
    struct point point; /* .call is NULL: none is named */
};

struct trial {
    struct scene scene;
    struct quiet quiet;
    bool verbose;
    struct history history;                         /* of the scenarios before */
    unsigned tried, told, named, unreached, broken; /* points */
};

static struct trial trial;

/* ---- steps ---- */

/* The program dies, and is started again by its policy. */
static void crash(const struct scene *scene, const char *unit) {
    pid_t before = scene_main_pid(scene, unit), now = before;
    if (before == 0 || kill(before, SIGKILL) < 0)
        return;
    for (unsigned waited = 0; waited < 1000 && (now == 0 || now == before); waited += 5) {
        pause_for(5);
        now = scene_main_pid(scene, unit);
    }
}

/* kill -9 of the manager: the next one finds every process again. */
static void die(const struct scene *scene, struct text *complaints) {
    pid_t bystander = scene_main_pid(scene, BYSTANDER), manager = injector_manager(scene->injector);
    bool answers = false;
    if (manager <= 0 || kill(manager, SIGKILL) < 0)
        return;
    for (unsigned waited = 0; waited < 10000 && !answers; waited += 20) {
        scoped_text struct text output = {0};
        pause_for(20);
        answers =
            injector_manager(scene->injector) != manager && scene_run(scene, "list", &output) == 0;
    }
    if (!answers)
        text_add(complaints, "; no other manager comes up");
    else if (scene_main_pid(scene, BYSTANDER) != bystander)
        text_format(complaints, "; the bystander is %d, and was %d",
                    (int)scene_main_pid(scene, BYSTANDER), (int)bystander);
}

static int do_step(const struct scenario *scenario, const char *step, struct text *ret_output,
                   struct text *complaints) {
    if (strcmp(step, "!die") == 0)
        die(&trial.scene, complaints);
    else if (strcmp(step, "!crash") == 0)
        crash(&trial.scene, scenario->unit);
    else if (strcmp(step, "!change") == 0)
        scene_change(&trial.scene);
    else
        return scene_run(&trial.scene, step, ret_output);
    return 0;
}

/* How many failed. What is wrong with how they did is added to `complaints`. */
static unsigned do_steps(const struct scenario *scenario, struct text *ret_output,
                         struct text *complaints) {
    unsigned failed = 0;
    for (size_t i = 0; i < STEPS_MAX && scenario->steps[i]; i++) {
        scoped_text struct text output = {0};
        int code = do_step(scenario, scenario->steps[i], &output, complaints);
        failed += code != 0;
        if (code == 124)
            text_format(complaints, "; \"%s\" hangs", scenario->steps[i]);
        else if (code != 0 && output.length == 0)
            text_format(complaints, "; \"%s\" fails without a word (%d)", scenario->steps[i], code);
        if (output.length)
            text_add(ret_output, output.data);
    }
    return failed;
}

/* ---- what must be true after a fault ---- */

static void expect(const char *verb, const char *unit, struct text *complaints) {
    scoped_text struct text words = {0}, output = {0};
    text_format(&words, "%s %s", verb, unit);
    int code = scene_run(&trial.scene, words.data, &output);
    if (code != 0)
        text_format(complaints, "; then \"%s\" gives %d: %s", words.data, code,
                    output.length ? output.data : "nothing");
}

/* Nothing of the unit is left, also of what a stop keeps. */
static void expect_gone(const char *unit, struct text *complaints) {
    expect("stop", unit, complaints);
    expect("rm", unit, complaints);
}

static void expect_quiet(unsigned patience, struct text *complaints) {
    for (unsigned waited = 0;; waited += 10) {
        scoped_text struct text difference = {0};
        struct quiet now = {0};
        scene_look(&trial.scene, &now);
        quiet_compare(&trial.quiet, &now, &difference);
        quiet_clear(&now);
        if (difference.length == 0)
            return;
        if (waited >= patience) {
            text_add(complaints, difference.data);
            return;
        }
        pause_for(10);
    }
}

/* What there is when all that was begun has come to its end. */
static void take_quiet(void) {
    scoped_text struct text log = {0}, difference = {0};
    do {
        struct quiet before = trial.quiet;
        difference.length = 0;
        pause_for(100);
        scene_look(&trial.scene, &trial.quiet);
        quiet_compare(&before, &trial.quiet, &difference);
        quiet_clear(&before);
    } while (difference.length);
    scene_take_log(&trial.scene, &log);
}

/* The log, cut to a few lines that a reader can use. */
static void print_complaint(const struct scenario *scenario, const char *where,
                            const struct point *point, const char *complaints, const char *output,
                            const char *log) {
    printf("# %s: %s%s\n", where, strerrorname_np(point->error), complaints);
    printf("#     again: --scenario %s --point %d.%zu.%u.%d\n", scenario->name, (int)point->whose,
           (size_t)(point->call - calls), point->ordinal, point->error);
    const char *const texts[] = {output, log};
    for (size_t i = 0; i < 2; i++) {
        scoped_free char *copy = strdup(texts[i]);
        char *rest = copy;
        for (char *line; rest && (line = strsep(&rest, "\n"));)
            if (*line)
                printf("#     %s %.300s\n", i ? "log:" : "tool:", line);
    }
}

static void judge(const struct scenario *scenario, const struct point *point, const char *where,
                  unsigned failed, const struct text *output, struct text *complaints) {
    scoped_text struct text log = {0};
    scene_take_log(&trial.scene, &log);
    if (log.data && strstr(log.data, "did not expect"))
        text_add(complaints, "; an event came that could not come");
    const char *error = strerror(point->error);
    trial.tried++;
    trial.told += failed > 0;
    trial.named += failed > 0 && ((output->data && strstr(output->data, error)) ||
                                  (log.data && strstr(log.data, error)));
    if (trial.verbose)
        printf("# %s: %s: %s\n", where, strerrorname_np(point->error),
               failed ? "told" : "no command failed");
    if (complaints->length == 0)
        return;
    trial.broken++;
    print_complaint(scenario, where, point, complaints->data, output->data ? output->data : "",
                    log.data ? log.data : "");
}

/* ---- one point ---- */

static void try_running(const struct scenario *scenario, const struct point *point) {
    scoped_text struct text output = {0}, complaints = {0}, difference = {0};
    char where[256];
    injector_arm(trial.scene.injector, point);
    unsigned failed = do_steps(scenario, &output, &complaints);
    bool fired = injector_disarm(trial.scene.injector, where, sizeof(where));
    if (!fired) {
        trial.unreached++;
        snprintf(where, sizeof(where), "%s no. %u (not reached)", point->call->name,
                 point->ordinal);
    }
    if (scenario->unit)
        expect_gone(scenario->unit, &complaints);
    expect_quiet(scenario->unit ? SETTLE / 10 : SETTLE, &difference);
    /* What cannot be removed now is taken over by the unit's next run, and goes with it. */
    if (scenario->unit && (failed || difference.length || complaints.length)) {
        expect("start", scenario->unit, &complaints);
        expect_gone(scenario->unit, &complaints);
        difference.length = 0;
        expect_quiet(SETTLE, &difference);
    }
    if (difference.length)
        text_add(&complaints, difference.data);
    if (fired || complaints.length)
        judge(scenario, point, where, failed, &output, &complaints);
}

/* What the last one could not remove, the next one does. */
static bool is_left(struct scene *scene) {
    if (access(scene->cgroup, F_OK) < 0)
        return false;
    if (scene_begin(scene, NULL) >= 0)
        scene_stop(scene);
    scene_forget(scene);
    return access(scene->cgroup, F_OK) == 0;
}

/* From the first call of a manager to its last. */
static void try_fresh(const struct scenario *scenario, const struct point *point) {
    scoped_text struct text output = {0}, complaints = {0};
    char where[256];
    unsigned failed = 0;
    int error = scene_begin(&trial.scene, point);
    if (error < 0)
        text_format(&complaints, "; it does not come up: %s", strerror(-error));
    else
        failed = do_steps(scenario, &output, &complaints);
    int code = scene_stop(&trial.scene);
    if (code == -ETIMEDOUT)
        text_add(&complaints, "; it does not end");
    else if (code != 0)
        text_format(&complaints, "; it ends with %d", code);
    bool fired = injector_disarm(trial.scene.injector, where, sizeof(where));
    scene_forget(&trial.scene);
    if (is_left(&trial.scene))
        text_add(&complaints, "; its cgroup is left, also by the next one");
    scene_clear_cgroup(&trial.scene);
    if (!fired)
        trial.unreached++;
    if (fired || complaints.length)
        judge(scenario, point, fired ? where : "not reached", failed, &output, &complaints);
}

/* ---- all points ---- */

/* The scenario, in which nothing fails; its points, where they are asked for. */
static bool rehearse(const struct scenario *scenario, bool repeats, struct points *ret_points) {
    scoped_text struct text output = {0}, complaints = {0};
    unsigned failed;
    if (scenario->fresh) {
        if (scene_begin(&trial.scene, NULL) < 0)
            return false;
        failed = do_steps(scenario, &output, &complaints);
        failed += scene_stop(&trial.scene) != 0;
    } else {
        injector_arm(trial.scene.injector, NULL);
        failed = do_steps(scenario, &output, &complaints);
    }
    char nothing[1];
    injector_disarm(trial.scene.injector, nothing, sizeof(nothing));
    if (ret_points) {
        points_list(ret_points, trial.scene.injector, &trial.history, repeats);
        history_add(&trial.history, trial.scene.injector);
    }
    if (scenario->fresh)
        scene_forget(&trial.scene);
    else if (scenario->unit)
        expect_gone(scenario->unit, &complaints);
    if (failed)
        printf("# without a fault:\n# %s\n", output.data ? output.data : "");
    return failed == 0;
}

/* The one that was named, or a sample, or all. */
static bool choose_points(const struct choice *choice, struct points *points) {
    if (choice->point.call)
        return points_keep(points, &choice->point);
    if (choice->per_scenario)
        points_sample(points, choice->per_scenario, choice->seed, &trial.history);
    return true;
}

/* A keeper and its manager that no fault has touched. */
static bool begin_running(void) {
    return trial.scene.keeper > 0 || scene_begin(&trial.scene, NULL) >= 0;
}

/* The programs that a fault has harmed go, and others come. */
static bool begin_anew(const struct scenario *scenario) {
    scene_stop(&trial.scene);
    scene_forget(&trial.scene);
    if (!begin_running() || !rehearse(scenario, false, NULL))
        return false;
    take_quiet();
    return true;
}

/* How many calls there are is not the same each time: one that did not come may the next time. */
static void try_point(const struct scenario *scenario, const struct point *point) {
    for (int i = 0; i < TRIES; i++) {
        unsigned unreached = trial.unreached;
        (scenario->fresh ? try_fresh : try_running)(scenario, point);
        if (trial.unreached == unreached)
            return;
        if (i + 1 < TRIES)
            trial.unreached--;
    }
}

static void try_points(const struct scenario *scenario, const struct points *points) {
    for (size_t i = 0; i < points->count; i++) {
        unsigned broken = trial.broken;
        try_point(scenario, &points->items[i]);
        if (trial.broken != broken && !scenario->fresh && !begin_anew(scenario)) {
            printf("# it does not come up again: %zu points are not tried\n",
                   points->count - i - 1);
            return;
        }
    }
}

/* Twice before: what is made once is there then. */
static bool learn_scenario(const struct scenario *scenario, bool repeats, struct points *points) {
    return (scenario->fresh || begin_running()) && rehearse(scenario, false, NULL) &&
           rehearse(scenario, false, NULL) && rehearse(scenario, repeats, points);
}

static bool run_scenario(const struct scenario *scenario, const struct choice *choice, int number) {
    struct points points = {0};
    const struct trial sums = trial;
    bool good = learn_scenario(scenario, choice->repeats || choice->point.call, &points);
    if (!good || !choose_points(choice, &points)) {
        printf("not ok %d - %s: %s\n", number, scenario->name,
               good ? "there is no such point" : "fails without a fault");
        points_free(&points);
        return false;
    }
    if (!scenario->fresh)
        take_quiet();
    try_points(scenario, &points);
    good = trial.broken == sums.broken;
    printf("%sok %d - %s: %u points tried of %zu (%zu with repeats), %u failed a command (%u with "
           "the error's name), %u not reached, %u broken\n",
           good ? "" : "not ", number, scenario->name, trial.tried - sums.tried, points.distinct,
           points.all, trial.told - sums.told, trial.named - sums.named,
           trial.unreached - sums.unreached, trial.broken - sums.broken);
    points_free(&points);
    return good;
}

/* After all those faults. */
static bool end_running(int number) {
    scoped_text struct text log = {0};
    int code = scene_stop(&trial.scene);
    bool good = code == 0 && access(trial.scene.cgroup, F_OK) < 0;
    scene_forget(&trial.scene);
    scene_clear_cgroup(&trial.scene);
    scene_take_log(&trial.scene, &log);
    if (!good)
        printf("# it ends with %d: %s\n", code, log.data ? log.data : "");
    printf("%sok %d - it ends, and nothing is left\n", good ? "" : "not ", number);
    return good;
}

/* ---- main ---- */

static void close_scene(void) {
    history_free(&trial.history);
    scene_close(&trial.scene);
}

static bool read_point(const char *words, struct point *ret_point) {
    unsigned whose, row, ordinal;
    int error;
    if (sscanf(words, "%u.%u.%u.%d", &whose, &row, &ordinal, &error) != 4 || whose >= WHOSE_COUNT ||
        row >= calls_count)
        return false;
    memset(ret_point, 0, sizeof(*ret_point)); /* compared as a whole */
    ret_point->whose = whose;
    ret_point->call = &calls[row];
    ret_point->ordinal = ordinal;
    ret_point->error = error;
    return true;
}

static bool read_options(int argc, char **argv, size_t *points, const char **scenario,
                         struct choice *choice) {
    static const struct option options[] = {{"points", required_argument, NULL, 'p'},
                                            {"seed", required_argument, NULL, 's'},
                                            {"scenario", required_argument, NULL, 'n'},
                                            {"point", required_argument, NULL, 'o'},
                                            {"all", no_argument, NULL, 'a'},
                                            {"repeats", no_argument, NULL, 'r'},
                                            {"verbose", no_argument, NULL, 'v'},
                                            {0}};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        choice->repeats |= option == 'r';
        if (option == 'p')
            *points = strtoul(optarg, NULL, 10);
        else if (option == 's')
            choice->seed = strtoull(optarg, NULL, 10);
        else if (option == 'n')
            *scenario = optarg;
        else if (option == 'a' || option == 'r')
            *points = 0;
        else if (option == 'v')
            trial.verbose = true;
        else if (option != 'o' || !read_point(optarg, &choice->point))
            return false;
    }
    return optind == argc;
}

/* The build's directory, from our own path in tests/ below it. */
static bool find_programs(char *ret, size_t size) {
    ssize_t length = readlink("/proc/self/exe", ret, size - 1);
    for (int i = 0; i < 2 && length > 0; i++) {
        ret[length] = '\0';
        char *slash = strrchr(ret, '/');
        length = slash ? slash - ret : 0;
    }
    if (length > 0)
        ret[length] = '\0';
    return length > 0;
}

/* Those before a named one are learned, so that its points are the same whether or not it is run
 * alone. How many test cases failed. */
static int run_scenarios(const char *name, const struct choice *choice, int *number) {
    int failed = 0;
    bool is_over = false;
    for (size_t i = 0; i < SCENARIOS && !is_over; i++) {
        struct points points = {0};
        is_over = name && strcmp(name, scenarios[i].name) == 0;
        bool is_wanted = !name || is_over;
        if (!is_wanted && choice->point.call)
            continue;
        if (scenarios[i].fresh && trial.scene.keeper > 0)
            failed += !end_running(++*number);
        if (is_wanted)
            failed += !run_scenario(&scenarios[i], choice, ++*number);
        else if (!learn_scenario(&scenarios[i], false, &points))
            printf("# %s: fails without a fault\n", scenarios[i].name);
        points_free(&points);
    }
    if (trial.scene.keeper > 0)
        failed += !end_running(++*number);
    return failed;
}

static bool is_scenario(const char *name) {
    for (size_t i = 0; i < SCENARIOS; i++)
        if (strcmp(name, scenarios[i].name) == 0)
            return true;
    return false;
}

int main(int argc, char **argv) {
    size_t points = SAMPLE;
    const char *scenario = NULL, *reason;
    char programs[256];
    struct choice choice = {.seed = 1};
    int number = 0, failed = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!read_options(argc, argv, &points, &scenario, &choice) ||
        (scenario && !is_scenario(scenario)) || !find_programs(programs, sizeof(programs))) {
        fprintf(stderr, "usage: see the head of tests/faults/faults.c\n");
        return 2;
    }
    if (!scene_open(&trial.scene, programs, &reason)) {
        printf("1..0 # SKIP %s\n", reason);
        return 0;
    }
    atexit(close_scene);
    choice.per_scenario = scenario ? points : (points + SCENARIOS - 1) / SCENARIOS;
    int error = scene_begin(&trial.scene, NULL);
    if (error == -ENOSYS) {
        printf("1..0 # SKIP this kernel has no notifications of seccomp(2)\n");
        return 0;
    }
    if (error < 0)
        printf("not ok %d - the manager does not come up: %s\n", ++number, strerror(-error));
    else
        failed = run_scenarios(scenario, &choice, &number);
    printf("# %u points tried in all, %u broken\n1..%d\n", trial.tried, trial.broken, number);
    return failed || error < 0;
}
