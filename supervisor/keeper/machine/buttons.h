#pragma once
/* The power button, as the kernel tells of it: KEY_POWER of an input device. */

#include <stdbool.h>

enum { BUTTONS_MOST = 8 };

struct buttons {
    int epoll;                      /* readable when there is something to look at */
    int watch;                      /* inotify(7): devices come with their drivers, later than us */
    int fds[BUTTONS_MOST];          /* input devices that have the key; -EBADF: a free place */
    unsigned numbers[BUTTONS_MOST]; /* of /dev/input/eventN */
};

void buttons_open(struct buttons *buttons);

/* To be called when epoll is readable: whether the button was pressed. */
bool buttons_pressed(struct buttons *buttons);
