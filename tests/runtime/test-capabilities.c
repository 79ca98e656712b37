/* Capability sets: the arithmetic, and what /proc says after they were applied. */

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/prctl.h>

#include "runtime/capabilities.h"
#include "tests/test.h"
#include "units/base/fault.h"
#include "units/base/file.h"
#include "units/base/scoped.h"

#define BIT(capability) (UINT64_C(1) << (capability))
#define BIND BIT(CAP_NET_BIND_SERVICE)

static const struct security empty = {.capabilities = CAPABILITIES_UNSET};

TEST(empty_is_safe) {
    struct capabilities found;
    CHECK(capabilities_prepare(&empty, &found, NULL) == 0);
    CHECK(found.last >= CAP_CHECKPOINT_RESTORE);
    const struct capability_sets *root = capabilities_for(&found, 0);
    CHECK(root->bounding == (BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FOWNER) |
                             BIT(CAP_KILL) | BIT(CAP_SETUID) | BIT(CAP_SETGID) | BIND));
    CHECK(root->permitted == root->bounding && root->inheritable == 0 && root->ambient == 0);
    const struct capability_sets *other = capabilities_for(&found, 1);
    CHECK(other->bounding == 0 && other->permitted == 0 && other->inheritable == 0);
}

TEST(sets_are_added_and_dropped) {
    struct capabilities found;
    struct security security = empty;
    security.capabilities_add = BIT(CAP_SYS_TIME);
    security.capabilities_drop = BIT(CAP_CHOWN);
    CHECK(capabilities_prepare(&security, &found, NULL) == 0);
    CHECK(found.root.bounding ==
          ((capabilities_root_default | BIT(CAP_SYS_TIME)) & ~BIT(CAP_CHOWN)));
    CHECK(found.other.bounding == BIT(CAP_SYS_TIME));

    security = empty;
    security.capabilities = 0;
    CHECK(capabilities_prepare(&security, &found, NULL) == 0);
    CHECK(found.root.bounding == 0 && found.other.bounding == 0);
}

TEST(ambient_comes_with_the_default_but_not_with_an_exact_set) {
    struct capabilities found;
    struct fault fault;
    struct security security = empty;
    security.ambient = BIND;
    CHECK(capabilities_prepare(&security, &found, NULL) == 0);
    CHECK(found.other.bounding == BIND && found.other.ambient == BIND &&
          found.other.inheritable == BIND);
    security.capabilities = BIT(CAP_CHOWN);
    CHECK(capabilities_prepare(&security, &found, &fault) == -EINVAL);
    CHECK_TEXT(fault.text, "CAP_NET_BIND_SERVICE cannot be ambient: it is not among the unit's "
                           "capabilities");
}

TEST(an_unknown_capability_is_an_error) {
    struct capabilities found;
    struct fault fault;
    struct security security = empty;
    security.capabilities = BIT(60);
    CHECK(capabilities_prepare(&security, &found, &fault) == -EINVAL);
    CHECK_TEXT(fault.text, "this kernel has no capability 60 (number 60)");
}

static uint64_t status_set(const char *name) {
    scoped_free char *text = NULL;
    CHECK(file_read(AT_FDCWD, "/proc/self/status", 65536, &text, NULL, NULL) == 0);
    char *line = strstr(text, name);
    CHECK(line);
    return strtoull(line + strlen(name), NULL, 16);
}

/* Applies as the stage does: lower, change user, apply. */
static void become(const struct security *security, uid_t uid) {
    struct capabilities found;
    struct fault fault;
    CHECK(capabilities_prepare(security, &found, NULL) == 0);
    const struct capability_sets *sets = capabilities_for(&found, uid);
    CHECK(capabilities_lower(&found, sets, &fault) == 0);
    CHECK(setresgid(uid, uid, uid) == 0 && setresuid(uid, uid, uid) == 0);
    CHECK(capabilities_apply(sets, &fault) == 0);
    CHECK(status_set("CapBnd:") == sets->bounding);
    CHECK(status_set("CapPrm:") == sets->permitted);
    CHECK(status_set("CapEff:") == sets->permitted);
    CHECK(status_set("CapInh:") == sets->inheritable);
    CHECK(status_set("CapAmb:") == sets->ambient);
}

TEST(root_keeps_the_default_set) {
    if (geteuid() != 0)
        SKIP("needs root");
    become(&empty, 0);
    CHECK(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0);
    CHECK(chown("/", 0, 0) == 0);
    CHECK(sethostname("x", 1) < 0 && errno == EPERM);
}

TEST(a_user_has_nothing) {
    if (geteuid() != 0)
        SKIP("needs root");
    become(&empty, 1234);
    CHECK(setuid(0) < 0 && errno == EPERM);
}

TEST(a_user_keeps_an_ambient_capability_over_exec) {
    if (geteuid() != 0)
        SKIP("needs root");
    struct security security = empty;
    security.ambient = BIND;
    become(&security, 1234);
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    static const char script[] = "grep -qx 'CapEff:.0000000000000400' /proc/self/status";
    CHECK(execl("/bin/sh", "sh", "-c", script, NULL) == 0); /* returns where it failed */
}

TEST_MAIN
