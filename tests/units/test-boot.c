/* Which mounts of early boot wait for which: the others are checked and mounted at the same time.
 */

#include "tests/test.h"
#include "units/boot.h"

static char *const overlay_options[] = {"lowerdir=/usr:/data/lower", "upperdir=/data/upper"};

static const struct boot_mount root = {.target = "/"};
static const struct boot_mount data = {.device = "LABEL=data", .target = "/data"};
static const struct boot_mount deep = {.device = "LABEL=deep", .target = "/data/deep"};
static const struct boot_mount database = {.device = "LABEL=base", .target = "/database"};
static const struct boot_mount again = {.device = "tmpfs", .target = "/data"};
static const struct boot_mount bind = {.device = "/data/www", .target = "/srv/www"};
static const struct boot_mount above = {.device = "/", .target = "/everything"};
static const struct boot_mount swap = {.device = "/data/swap", .type = MOUNT_TYPE_SWAP};
static const struct boot_mount overlay = {
    .device = "overlay", .target = "/merged", .options = {(char **)overlay_options, 2}};

static char *const beside_options[] = {"lowerdir=/database:/srv/data"};
static const struct boot_mount beside = {
    .device = "overlay", .target = "/merged", .options = {(char **)beside_options, 1}};

static bool waits(const struct boot_mount *mount, const struct boot_mount *other) {
    return boot_mount_waits(mount, other, true);
}
static bool waits_for_later(const struct boot_mount *mount, const struct boot_mount *other) {
    return boot_mount_waits(mount, other, false);
}

TEST(independent_ones_do_not_wait) {
    CHECK(!waits(&data, &database));
    CHECK(!waits(&database, &data));
    CHECK(!waits(&bind, &database));
    CHECK(!waits(&swap, &database));
    CHECK(!waits(&overlay, &database));
    CHECK(!waits(&beside, &data));
    CHECK(waits(&beside, &database));
}

TEST(all_wait_for_the_root_wherever_it_is_listed) {
    CHECK(waits(&data, &root));
    CHECK(waits_for_later(&data, &root));
    CHECK(waits_for_later(&swap, &root));
    CHECK(!waits_for_later(&root, &root));
    CHECK(!waits_for_later(&root, &data));
}

TEST(what_lies_within_waits_wherever_it_is_listed) {
    CHECK(waits(&deep, &data));
    CHECK(waits_for_later(&deep, &data));
    CHECK(!waits_for_later(&data, &deep));
    CHECK(!waits(&data, &deep));
}

TEST(of_one_target_the_list_tells_the_order) {
    CHECK(waits(&again, &data));
    CHECK(!waits_for_later(&again, &data));
}

TEST(what_another_brings_waits_as_listed) {
    CHECK(waits(&bind, &data));
    CHECK(!waits_for_later(&bind, &data));
    CHECK(waits(&swap, &data));
    CHECK(waits(&overlay, &data));
    CHECK(waits(&above, &deep)); /* "rbind" takes it along */
}

TEST(within) {
    CHECK(boot_mount_is_within(&deep, &data));
    CHECK(!boot_mount_is_within(&data, &deep));
    CHECK(!boot_mount_is_within(&data, &again));
    CHECK(!boot_mount_is_within(&database, &data));
    CHECK(!boot_mount_is_within(&data, &root)); /* which is there in any case */
    CHECK(!boot_mount_is_within(&swap, &data));
}

TEST(what_it_is_made_of) {
    CHECK(boot_mount_needs(&deep, &data, false));
    CHECK(boot_mount_needs(&bind, &data, true));
    CHECK(!boot_mount_needs(&bind, &data, false)); /* which is mounted over it later */
    CHECK(boot_mount_needs(&swap, &data, true));
    CHECK(boot_mount_needs(&overlay, &data, true));
    CHECK(!boot_mount_needs(&overlay, &database, true));
    CHECK(!boot_mount_needs(&again, &data, true));
    CHECK(!boot_mount_needs(&above, &deep, true)); /* the rest of it is there */
    CHECK(!boot_mount_needs(&bind, &root, true));
}

TEST_MAIN
