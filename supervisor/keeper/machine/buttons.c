#include "supervisor/keeper/machine/buttons.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/input.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "units/base/scoped.h"

#define DIRECTORY "/dev/input"
#define NUMBERS 64 /* tried, rather than listed: listing allocates */

/* Only this key's events are to wake us: a keyboard may have it among a hundred others, and what a
 * person types is none of our business. */
static void mask_others(int fd) {
    uint8_t keys[KEY_MAX / 8 + 1] = {0};
    keys[KEY_POWER / 8] = 1u << KEY_POWER % 8;
    for (uint32_t type = EV_SYN + 1; type < EV_CNT; type++) {
        static const uint8_t none[KEY_MAX / 8 + 1];
        const struct input_mask mask = {.type = type,
                                        .codes_size = sizeof keys,
                                        .codes_ptr = (uintptr_t)(type == EV_KEY ? keys : none)};
        ioctl(fd, EVIOCSMASK, &mask);
    }
}

static bool has_power_key(int fd) {
    uint8_t keys[KEY_MAX / 8 + 1] = {0};
    return ioctl(fd, EVIOCGBIT(EV_KEY, sizeof keys), keys) >= 0 &&
           (keys[KEY_POWER / 8] & 1u << KEY_POWER % 8);
}

/* Closing a descriptor takes it out again. */
static void watch(const struct buttons *buttons, int fd) {
    struct epoll_event event = {.events = EPOLLIN};
    epoll_ctl(buttons->epoll, EPOLL_CTL_ADD, fd, &event);
}

static bool is_open(const struct buttons *buttons, unsigned number) {
    for (size_t i = 0; i < BUTTONS_MOST; i++)
        if (buttons->fds[i] >= 0 && buttons->numbers[i] == number)
            return true;
    return false;
}

static void open_one(struct buttons *buttons, unsigned number) {
    char path[64];
    snprintf(path, sizeof path, DIRECTORY "/event%u", number);
    for (size_t i = 0; i < BUTTONS_MOST; i++) {
        if (buttons->fds[i] >= 0)
            continue;
        scoped_fd int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        if (fd >= 0 && has_power_key(fd)) {
            mask_others(fd);
            watch(buttons, fd);
            buttons->numbers[i] = number;
            buttons->fds[i] = take_fd(&fd);
        }
        return;
    }
}

static void look(struct buttons *buttons) {
    /* Either may come to be later; a watch that is there already is the same one. */
    inotify_add_watch(buttons->watch, "/dev", IN_CREATE | IN_ONLYDIR);
    inotify_add_watch(buttons->watch, DIRECTORY, IN_CREATE | IN_ATTRIB | IN_ONLYDIR);
    for (unsigned number = 0; number < NUMBERS; number++)
        if (!is_open(buttons, number))
            open_one(buttons, number);
}

void buttons_open(struct buttons *buttons) {
    for (size_t i = 0; i < BUTTONS_MOST; i++)
        buttons->fds[i] = -EBADF;
    buttons->epoll = epoll_create1(EPOLL_CLOEXEC);
    buttons->watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    watch(buttons, buttons->watch);
    look(buttons);
}

/* What is left over makes epoll readable again. 1: pressed. 0: not. -ENODEV: the device is gone. */
static int read_button(int fd) {
    struct input_event events[16];
    int pressed = 0;
    ssize_t length = read(fd, events, sizeof events);
    if (length <= 0)
        return length < 0 && errno == EAGAIN ? 0 : -ENODEV;
    for (size_t i = 0; i < (size_t)length / sizeof *events; i++)
        pressed |= events[i].type == EV_KEY && events[i].code == KEY_POWER && events[i].value == 1;
    return pressed;
}

bool buttons_pressed(struct buttons *buttons) {
    char news[4096];
    bool pressed = false;
    for (size_t i = 0; i < BUTTONS_MOST; i++) {
        int result = buttons->fds[i] < 0 ? 0 : read_button(buttons->fds[i]);
        if (result < 0)
            buttons->fds[i] = close_fd(buttons->fds[i]);
        pressed |= result > 0;
    }
    if (read(buttons->watch, news, sizeof news) > 0)
        look(buttons);
    return pressed;
}
