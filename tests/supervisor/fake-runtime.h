#pragma once
/* What the parts of the fake tell each other. */

#include "supervisor/log.h"
#include "tests/supervisor/fake.h"

extern struct timers fake_timers; /* what will happen in the world */

int fake_fd_open(void);
void fake_fd_close(int fd);
void fake_fd_fire(int fd); /* calls whoever watches it */

void fake_timers_step(void); /* the first of fake_timers */
/* ---- fake-adopt.c ---- */
extern bool fake_dead; /* the manager is: what its functions do to the world does not happen */
void fake_keeper_reaps(pid_t pid, int wait_status);
void fake_say_later(const char *name); /* READY=1, while nobody listens */
bool fake_take_said(const char *name);
/* ---- fake-strangers.c ---- */
int fake_stranger_open(pid_t pid);
void fake_stranger_ends(pid_t pid, int status);
void fake_stranger_is_waited_for(pid_t pid, int status);
void fake_strangers_forget(void);
void fake_stranger_watch(int fd, watch_ready ready, void *context); /* ready NULL: no more */
/* ---- fake-sockets.c ---- */
void fake_sockets_lose(void);   /* nobody keeps them */
void fake_sockets_settle(void); /* those that no later manager took are closed */
/* ---- fake-world.c ---- */
void fake_manager_open(struct unit_set *set);
/* ---- fake-units.c ---- */
struct unit_set *fake_take_files(void); /* those that were not read yet; NULL */
void fake_manager_close(void);
/* ---- fake-rules.c ---- */
void fake_break(const char *rule, const struct service *service);
void fake_check_requirements(const struct service *service);
/* It is being stopped by command: those that require it, and are to go too, are gone. */
void fake_check_reverse(const struct service *service);
void fake_check_sockets(struct service *service, const struct run_request *request);
void fake_runtime_observe(struct service *service, enum service_state before);
/* ---- fake-runtime.c ---- */
/* To what fake_move_main made the main process. */
int fake_runtime_signal(int pidfd, int signal);
struct unit_set *fake_set_new(void);
/* Whether a connection was told that no start has followed yet; then one has. */
bool fake_take_delivery(struct service *service);
void fake_accept(struct service *service); /* all connections that wait */
