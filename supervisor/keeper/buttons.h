#pragma once
/* The power button, as the kernel tells of it: KEY_POWER of an input device. */

#include <poll.h>
#include <stdbool.h>

enum { BUTTONS_MOST = 8 };

struct buttons {
    int watch;             /* inotify(7): devices come with their drivers, later than we do */
    int fds[BUTTONS_MOST]; /* input devices that have the key; -EBADF: a free place */
    unsigned numbers[BUTTONS_MOST]; /* of /dev/input/eventN */
};

void buttons_open(struct buttons *buttons);

/* Fills what poll(2) is to look at; how many. There has to be room for BUTTONS_MOST + 1. */
unsigned buttons_poll(const struct buttons *buttons, struct pollfd *ret_polled);

/* To be called when any of them is ready: whether the button was pressed. */
bool buttons_pressed(struct buttons *buttons);
