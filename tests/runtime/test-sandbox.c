/* A sandbox on the host's root: what a default unit sees and cannot do. */

#include "tests/runtime/box.h"

static struct box box;

TEST(first_run) {
    box_open(&box);
    box_built(&box);
    CHECK_TEXT(box_shell(&box, "echo hello; id -u"), "hello\n0");
    box_close(&box);
}

TEST_MAIN
