#pragma once
/* The real world's loop, made and driven by main.c. */

#include <stdbool.h>

struct manager;

int loop_block_signals(void); /* before anything else; the runtime unblocks them in children */
/* The word to stop came before we could read it: nothing is to be started. */
bool loop_is_to_stop(void);
int loop_open(struct manager *manager);
void loop_run(struct manager *manager); /* until world_finish or loop_leave */
/* The loop ends after the present event, and everything is left as it is for another manager. */
void loop_leave(struct manager *manager);
bool loop_is_left(const struct manager *manager);
/* The same, or until *over. False: the loop is finished. */
bool loop_run_until(struct manager *manager, const bool *over);
void loop_close(struct manager *manager);
