#pragma once
/* The text of one sd_notify(3) message, taken apart without a look at anything else. Called by
 * notify.c, and by the fuzzer. */

#include "supervisor/service-private.h"

struct notify_message {
    struct notification said; /* main_pid and main_pidfd are not filled in */
    const char *main_pid;     /* MAINPID=, as the sender counts; NULL */
    bool main_pidfd;          /* MAINPIDFD=1: the descriptor that came with it */
    bool store, remove, barrier;
    bool poll;           /* false: FDPOLL=0 */
    const char *fd_name; /* FDNAME=; NULL, also where it is no name */
};

/* Cuts the text into lines; the message points into it. What it does not know it passes over, as
 * the protocol demands. */
void notify_message_parse(char *text, struct notify_message *ret_message);
