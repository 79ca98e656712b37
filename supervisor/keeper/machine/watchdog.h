#pragma once
/* The hardware that resets a machine whose software stopped answering. */

struct watchdog {
    int fd;           /* /dev/watchdog; -EBADF: not armed */
    unsigned seconds; /* that a person wants; 0: none */
};

/* Arms it, or gives it another time; 0 disarms it. A device that is not there is said, and waited
 * for: its driver may be loaded later. */
void watchdog_arm(struct watchdog *watchdog, unsigned seconds);

/* Another period of life. */
void watchdog_feed(struct watchdog *watchdog);
