#pragma once
/* The stage of the fault injection: a keeper, its manager and a few units in a scratch directory
 * and a cgroup of their own, the tool beside them, and what may not be left behind. */

#include <stdbool.h>
#include <sys/types.h>

#include "tests/faults/injector.h"
#include "units/base/text.h"

#define BYSTANDER "bystander"

struct scene {
    char programs[256]; /* the build's directory */
    char directory[128], cgroup[192];
    struct injector *injector;
    pid_t keeper;
};

/* What there is while nothing is asked: compared with what is there after a fault. */
struct quiet {
    pid_t manager, bystander;
    struct text cgroups, mounts, files, children, descriptors;
    unsigned count; /* of descriptors */
};

/* The directories and the units. False: `ret_reason` says why not here. */
bool scene_open(struct scene *scene, const char *programs, const char **ret_reason);
/* All is stopped and removed. */
void scene_close(struct scene *scene);

/* The file of the unit "changing" says something else than before. */
bool scene_change(const struct scene *scene);

/* The keeper and its manager; `point` is armed from the manager's first call on. */
int scene_begin(struct scene *scene, const struct point *point);
/* The keeper is told to end: its exit status, -ETIMEDOUT where it was killed. Then the injector may
 * be asked what it saw, until it is forgotten. */
int scene_stop(struct scene *scene);
void scene_forget(struct scene *scene);
void scene_clear_cgroup(const struct scene *scene);

/* The tool: its exit status, 124 where it was killed after `patience` seconds. Words are parted by
 * blanks; all that it prints is in `ret_output`. */
int scene_run(const struct scene *scene, const char *words, struct text *ret_output);

/* What the keeper and its manager have said since the last call. */
void scene_take_log(const struct scene *scene, struct text *ret_text);

pid_t scene_main_pid(const struct scene *scene, const char *unit); /* 0: none */
void scene_look(const struct scene *scene, struct quiet *ret_quiet);
void quiet_clear(struct quiet *quiet);
/* What is more, or less, in words; nothing where all is the same. */
void quiet_compare(const struct quiet *before, const struct quiet *after, struct text *ret_words);

void pause_for(unsigned milliseconds);
