/* What health probes ask of a sandbox: sockets of its network, files inside, processes that are
 * ended with all that they began. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/runtime/box.h"

static struct box box;

static uint64_t own_network(void) {
    struct stat status;
    CHECK(stat("/proc/self/ns/net", &status) == 0);
    return status.st_ino;
}

/* A service that runs until the box is closed. */
static void begin(void) {
    static char *items[] = {(char *)"/bin/sleep", (char *)"1000", NULL};
    static const struct strings exec = {items, 2};
    struct run_request request = {
        .place = RUN_MAIN, .exec = &exec, .standard = {-1, -1, -1}, .ready_fd = -1};
    box_open(&box);
    box_built(&box);
    CHECK(box_start(&box, &request, NULL, &box.main) == RUN_EXECUTED);
}

static int probe(const struct run_request *request, struct run **ret_run) {
    return box_start(&box, request, box.main, ret_run);
}

TEST(a_socket_lies_in_the_network_of_the_unit) {
    uint64_t before = own_network();
    begin();
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(80), /* free in a network of its own */
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct fault fault;
    int listener = sandbox_socket(box.sandbox, AF_INET, SOCK_STREAM, &fault);
    CHECK(listener >= 0);
    CHECK(fcntl(listener, F_GETFD) == FD_CLOEXEC);
    CHECK(fcntl(listener, F_GETFL) & O_NONBLOCK);
    CHECK(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0);
    CHECK(listen(listener, 1) == 0);
    int client = sandbox_socket(box.sandbox, AF_INET, SOCK_STREAM, &fault);
    CHECK(connect(client, (struct sockaddr *)&address, sizeof(address)) == 0 ||
          errno == EINPROGRESS);
    struct pollfd poll_fd = {listener, POLLIN, 0};
    CHECK(poll(&poll_fd, 1, 1000) == 1);
    CHECK(own_network() == before);
    CHECK(sandbox_socket(box.sandbox, -1, SOCK_STREAM, &fault) == -EAFNOSUPPORT);
    CHECK_TEXT(fault.text, "cannot make a socket in the network of \"box\": Address family not "
                           "supported by protocol");
    CHECK(own_network() == before);
    close(client);
    close(listener);
    box_close(&box);
}

TEST(a_file_is_looked_for_inside) {
    begin();
    struct run *run = NULL;
    struct run_request request = {
        .place = RUN_PROBE, .file = "/etc/passwd", .standard = {-1, -1, -1}, .ready_fd = -1};
    CHECK(probe(&request, &run) == RUN_EXECUTED);
    CHECK(run_pid(run) == 0);
    run_free(run);
    run = NULL;
    request.file = "/tmp/nothing-here";
    CHECK(probe(&request, &run) == -ECANCELED);
    CHECK_TEXT(box.fault.text, "file: \"/tmp/nothing-here\": No such file or directory");
    run_free(run);
    run = NULL;
    CHECK(mkdir(box_path(&box, "outside"), 0755) == 0); /* of the host, not of the unit */
    request.file = box_path(&box, "outside");
    CHECK(probe(&request, &run) == -ECANCELED);
    run_free(run);
    box_close(&box);
}

TEST(a_probe_is_ended_with_all_that_it_began) {
    begin();
    struct run *run = NULL;
    struct fault fault;
    char line[] = "trap '' HUP TERM; setsid sleep 1000 & sleep 1000 & exec sleep 1000";
    char *items[] = {(char *)"/bin/sh", (char *)"-c", line, NULL};
    const struct strings exec = {items, 3};
    struct run_request request = {
        .place = RUN_PROBE, .exec = &exec, .standard = {-1, -1, -1}, .ready_fd = -1};
    CHECK(sandbox_kill_probe(box.sandbox, &fault) == 0); /* nothing to do */
    for (int i = 0; i < 3; i++) {                        /* after a kill, another one is born */
        CHECK(probe(&request, &run) == RUN_EXECUTED);
        CHECK(sandbox_kill_probe(box.sandbox, &fault) == 0);
        CHECK(box_exit_code(run_pid(run)) == 128 + SIGKILL);
        run_free(run);
        run = NULL;
        CHECK(sandbox_is_populated(box.sandbox) == 1); /* the service lives */
    }
    char file[PATH_MAX], events[256] = "";
    snprintf(file, sizeof(file), "%s/probe/cgroup.events", sandbox_cgroup(box.sandbox));
    for (int i = 0; i < 100 && !strstr(events, "populated 0"); i++) {
        int fd = open(file, O_RDONLY | O_CLOEXEC);
        CHECK(fd >= 0 && read(fd, events, sizeof(events) - 1) > 0);
        close(fd);
        usleep(10000);
    }
    CHECK(strstr(events, "populated 0"));
    box_close(&box);
}

TEST_MAIN
