/* The descriptors of listening sockets, as sd_listen_fds(3) finds them. */

#include "tests/runtime/box.h"

#define COUNT 3

static struct box box;
static int ends[COUNT][2]; /* pipes do for sockets here: what is told apart is their order */

static void open_pipes(void) {
    for (int i = 0; i < COUNT; i++)
        CHECK(pipe2(ends[i], O_CLOEXEC) == 0);
}

static const char *heard(int i) {
    static char text[64];
    ssize_t length = read(ends[i][0], text, sizeof text - 1);
    CHECK(length > 0);
    text[length] = '\0';
    return text;
}

static void check_order(void) {
    CHECK_TEXT(heard(0), "first\n");
    CHECK_TEXT(heard(1), "second\n");
    CHECK_TEXT(heard(2), "third\n");
}

static struct run_request request_for(const struct strings *command, const int *sockets) {
    return (struct run_request){.place = RUN_MAIN,
                                .exec = command,
                                .ready_fd = -1,
                                .listen = sockets,
                                .listen_count = COUNT,
                                .listen_names = "a:unknown:c"};
}

#define WORDS "echo first >&3; echo second >&4; echo third >&5; "

TEST(in_order_with_names_and_the_right_pid) {
    char *own[] = {(char *)"LISTEN_PID=7", (char *)"LISTEN_FDS=9"};
    box_open(&box);
    open_pipes();
    box.container.process.environment = (struct strings){own, 2};
    box_built(&box);
    const int sockets[] = {ends[0][1], ends[1][1], ends[2][1]};
    BOX_COMMAND(command, (char *)"/bin/bash", (char *)"-c",
                (char *)WORDS "echo $LISTEN_FDS $LISTEN_FDNAMES $LISTEN_PID $$; "
                              "ls /proc/self/fd | wc -l");
    struct run_request request = request_for(&command, sockets);
    CHECK(box_run_request(&box, &request, NULL) == 0);
    CHECK_TEXT(box.output, "3 a:unknown:c 1 1\n7\n");
    check_order();
    CHECK_TEXT(box_shell(&box, "echo $LISTEN_FDS $LISTEN_PID; ls /proc/self/fd | wc -l"), "9 7\n4");
    box_close(&box);
}

TEST(beside_a_ready_descriptor) {
    int ready[2];
    box_open(&box);
    open_pipes();
    box_built(&box);
    CHECK(pipe2(ready, O_CLOEXEC) == 0);
    const int sockets[] = {ends[0][1], ends[1][1], ends[2][1]};
    for (int number = 6; number < 20; number++) {
        char line[160], got[8] = "";
        snprintf(line, sizeof line, WORDS "echo r >&%d; ls /proc/self/fd | wc -l", number);
        BOX_COMMAND(command, (char *)"/bin/bash", (char *)"-c", line);
        struct run_request request = request_for(&command, sockets);
        request.ready_fd = ready[1];
        request.ready_fd_number = number;
        CHECK(box_run_request(&box, &request, NULL) == 0);
        CHECK_TEXT(box.output, "8\n");
        CHECK(read(ready[0], got, sizeof got) == 2);
        check_order();
    }
    box_close(&box);
}

TEST(too_many) {
    int sockets[RUN_LISTEN_MAX + 1] = {0};
    box_open(&box);
    box_built(&box);
    BOX_COMMAND(command, (char *)"/bin/true");
    struct run_request request = request_for(&command, sockets);
    request.listen_count = RUN_LISTEN_MAX + 1;
    CHECK(box_run_request(&box, &request, NULL) == -EINVAL);
    CHECK_TEXT(box.fault.text, "there are more than 192 sockets");
    box_close(&box);
}

TEST_MAIN
