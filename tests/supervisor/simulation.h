#pragma once
/* What the parts of the simulation share: its size and chance, the relations between random units,
 * and the rules that hold after every event. test-simulation.c lives the lives. */

#include "tests/supervisor/fake.h"

extern size_t services;
extern bool calm; /* everybody behaves from now on */

bool chance(unsigned percent);
const char *name_of(size_t number);
/* Of those that share their namespaces with others, none is lazy: units/order refuses it. */
bool may_be_lazy(size_t number);

/* ---- relations (simulation-relations.c) ---- */

/* Edges, conditions, a second name: all but what is in the unit's own sections. */
void random_relations(struct unit *unit, size_t number);
bool random_path_exists(const char *path);
void random_condition(void); /* one path comes or goes */

/* ---- files (simulation-files.c) ---- */

void random_change(struct unit *(*make)(size_t number)); /* of some, which are read at once */
/* The same as `ringfence apply` does it. False: that is left to the next manager, which is to come.
 */
bool random_apply(struct unit *(*make)(size_t number));
void random_remove(const char *name);
void files_check(const struct service *service);
void files_forget(void);      /* the manager who was asked is gone */
void files_check_ended(void); /* each apply has */

/* ---- runs (simulation-runs.c) ---- */

/* Commands beside its program, an init, a kill mode, a watchdog. */
void random_runs(struct unit *unit);
void random_word(const struct service *service); /* of sd_notify, at any time */

/* ---- deaths (simulation-deaths.c) ---- */

void random_death(void);    /* of the manager; another one goes on */
void random_fullness(void); /* of the runtime directory: it begins, or it ends */

/* ---- rules (simulation-rules.c): each calls fake_broken where it does not hold ---- */

void rules_break(const char *rule, const struct service *service);
void rules_note(struct service *service, enum service_state before); /* for fake_observe */
/* Of those that changed since the last time, and their neighbours. */
void rules_check_changed(void (*check_more)(const struct service *service));
/* Of all: nothing waits for something that cannot come. */
void rules_check_all(void);
/* Just before a command is given (NULL: to one that is not there yet), and just after. */
void rules_before_command(const struct service *service);
void rules_check_command(enum command command, const struct service *service);

/* ---- timers (simulation-timers.c) ---- */

void random_timer(struct unit *unit);
void random_date(void); /* the clock is set, by a second or by ten years */
void timers_check(const struct service *service);
void timers_check_all(void);
