#pragma once
/* The cells of the state x event table: each does what one service does on one event and returns
 * the next state. Called through service_handle alone. */

#include "supervisor/service-private.h"

/* ---- where a cell only names the next state ---- */
enum service_state stay(struct service *service);
enum service_state to_loaded(struct service *service);
enum service_state to_waiting(struct service *service);
enum service_state to_created(struct service *service);
enum service_state to_created_or_waiting(struct service *service);
enum service_state to_ready(struct service *service);
enum service_state to_ready_if_healthy(struct service *service);
enum service_state to_stopped(struct service *service);
enum service_state to_invalid(struct service *service);

/* ---- up (service-start.c) ---- */
enum service_state build(struct service *service);
enum service_state launch(struct service *service);
enum service_state launch_prepared(struct service *service);
enum service_state fail_to_prepare(struct service *service);
enum service_state time_out_preparing(struct service *service);
enum service_state to_ready_if_exec(struct service *service);
enum service_state fail_to_build(struct service *service);
enum service_state fail_to_launch(struct service *service);
enum service_state fail_for_dependency(struct service *service);
enum service_state wait_again_if_group(struct service *service);
enum service_state ask_for_start(struct service *service);

/* ---- sockets (service-listen.c) ---- */
enum service_state awaken(struct service *service);
enum service_state stop_idle(struct service *service);
enum service_state stop_listening(struct service *service);
enum service_state watch_again(struct service *service);

/* ---- reload (service-reload.c) ---- */
enum service_state begin_reload(struct service *service);
enum service_state reload_again(struct service *service);
enum service_state note_reloading(struct service *service);
enum service_state end_reload_by_word(struct service *service);
enum service_state end_reload_command(struct service *service);
enum service_state fail_to_reload(struct service *service);
enum service_state time_out_reloading(struct service *service);

/* ---- down (service-stop.c) ---- */
enum service_state obey_stopping(struct service *service); /* it said that it ends */
enum service_state stop_prepared(struct service *service);
enum service_state end_asking(struct service *service);
enum service_state time_out_asking(struct service *service);
enum service_state end_if_asked(struct service *service);
enum service_state abort_process(struct service *service);
enum service_state time_out_finishing(struct service *service);
enum service_state leave_rest(struct service *service);
enum service_state leave_rest_if_spared(struct service *service);
enum service_state stop_process(struct service *service);
enum service_state stop_process_once(struct service *service);
enum service_state kill_after_timeout(struct service *service);
enum service_state kill_again(struct service *service);
enum service_state time_out_starting(struct service *service);
enum service_state time_out_running(struct service *service);
enum service_state act_on_health(struct service *service);
enum service_state clear_up(struct service *service); /* after the main process */
enum service_state settle_if_ended(struct service *service);
enum service_state settle_if_over(struct service *service);
enum service_state settle_if_empty(struct service *service);
enum service_state remove_stopped(struct service *service);
enum service_state remove_again(struct service *service);

/* cgroup.kill; then nothing, or nothing any more. */
enum service_state kill_all(struct service *service);
/* Nothing runs any more: decides what follows from how it ended. */
enum service_state settle(struct service *service);
/* Lets the sandbox go, then outcome, unless a goal says otherwise. */
enum service_state remove_sandbox(struct service *service, enum service_state outcome);

/* After the commands that follow an end. */
enum service_state conclude(struct service *service);

/* ---- taken over from an earlier manager (service-resume.c): what was under way goes on ---- */
enum service_state resume_building(struct service *service);
enum service_state resume_delayed(struct service *service); /* nothing ought to run */
enum service_state resume_preparing(struct service *service);
enum service_state resume_starting(struct service *service);
enum service_state resume_running(struct service *service);
enum service_state resume_listening(struct service *service);
enum service_state resume_reloading(struct service *service);
enum service_state resume_asking(struct service *service);
enum service_state resume_stopping(struct service *service);
enum service_state resume_finishing(struct service *service);

/* ---- on entering a state ---- */
void enter_preparing(struct service *service);
void enter_reloading(struct service *service);
void enter_asking(struct service *service);
void enter_ending(struct service *service);
void enter_killing(struct service *service);
void enter_finishing(struct service *service);
void enter_starting(struct service *service);
void enter_ready(struct service *service);
void enter_listening(struct service *service);
void enter_stopping(struct service *service);
void enter_removing(struct service *service);
void enter_restarting(struct service *service);
void enter_skipped(struct service *service);
void enter_down(struct service *service);
