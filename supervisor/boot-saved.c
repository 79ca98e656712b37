#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <linux/rtc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "supervisor/boot-steps.h"
#include "units/base/fault.h"
#include "units/base/file.h"
#include "units/base/scoped.h"

#define CLOCK_FILE "clock" /* its time of change is that of the last shutdown or boot */
#define SEED_FILE "random-seed"
#define SEED_SIZE 512
#define SEED_BITS 256 /* credited at most: what the kernel's generator can hold */
#define SEED_UNPROVEN (SEED_BITS / 8 - 1) /* bytes of one that is not credited */
#define CLOCK_MOST (RINGFENCE_EPOCH + 15LL * 365 * 24 * 3600) /* as systemd has it */

static char *path_in(const char *directory, const char *name) {
    char *path = NULL;
    return asprintf(&path, "%s/%s", directory, name) < 0 ? NULL : path;
}

/* ---- the clock ---- */

/* The clock of the machine runs in UTC. */
static bool read_rtc(time_t *ret_time) {
    scoped_fd int fd = open("/dev/rtc0", O_RDONLY | O_CLOEXEC);
    struct rtc_time rtc;
    if (fd < 0 || ioctl(fd, RTC_RD_TIME, &rtc) < 0)
        return false;
    struct tm date = {.tm_sec = rtc.tm_sec,
                      .tm_min = rtc.tm_min,
                      .tm_hour = rtc.tm_hour,
                      .tm_mday = rtc.tm_mday,
                      .tm_mon = rtc.tm_mon,
                      .tm_year = rtc.tm_year};
    *ret_time = timegm(&date);
    return *ret_time > 0;
}

static int set_clock(time_t to, const char *source, struct fault *fault) {
    const char *was = time(NULL) < to ? "behind" : "years ahead";
    const struct timespec now = {.tv_sec = to};
    char date[64];
    struct tm broken;
    if (clock_settime(CLOCK_REALTIME, &now) < 0)
        return fault_set(fault, errno, "cannot set the clock");
    strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S UTC", gmtime_r(&to, &broken));
    boot_note("the clock was %s, and is set to %s by %s", was, date, source);
    return 0;
}

static bool is_likely(time_t date, time_t least) {
    return date >= least && date <= CLOCK_MOST;
}

/* A clock that is not behind what it certainly was is left alone: most kernels have set it by the
 * machine's own before, and a step back is what programs bear least. One that is ahead by many
 * years had a fault, be it the one that was kept: it is not believed. */
int boot_set_clock(const struct boot_work *work, struct fault *fault) {
    time_t least = RINGFENCE_EPOCH, rtc = 0;
    const char *source = "the time of this build";
    scoped_free char *path = path_in(work->state_directory, CLOCK_FILE);
    struct stat status;
    if (path && stat(path, &status) == 0 && is_likely(status.st_mtime, least)) {
        least = status.st_mtime;
        source = "what it was last";
    }
    if (is_likely(time(NULL), least))
        return 0;
    if (read_rtc(&rtc) && is_likely(rtc, least))
        return set_clock(rtc, "the clock of the machine", fault);
    return set_clock(least, source, fault);
}

/* A machine that keeps nothing has nothing to do here. */
static int unless_read_only(int error) {
    return error == -EROFS ? 1 : error;
}

int boot_save_clock(const char *directory, bool sync, struct fault *fault) {
    scoped_free char *path = path_in(directory, CLOCK_FILE);
    if (!path)
        return fault_set(fault, ENOMEM, "cannot save the clock");
    scoped_fd int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0 || futimens(fd, NULL) < 0 || (sync && fsync(fd) < 0))
        return fault_set(fault, errno, "cannot save the clock in \"%s\"", path);
    return 0;
}

int boot_keep_clock(const struct boot_work *work, struct fault *fault) {
    int error = boot_set_clock(work, fault);
    return error < 0 ? error
                     : unless_read_only(boot_save_clock(work->state_directory, true, fault));
}

/* ---- the random seed ---- */

static bool generator_is_ready(void) {
    char byte;
    return getrandom(&byte, 1, GRND_NONBLOCK) == 1;
}

/* Before the generator is ready its bytes still hold what was fed into it. If that is nothing that
 * anybody vouches for (the first boot of a machine without a source of its own), nobody is to vouch
 * for them at the next boot: they are too few. */
static int save_seed(const char *path, bool fed, struct fault *fault) {
    char seed[SEED_SIZE];
    size_t size = fed || generator_is_ready() ? SEED_SIZE : SEED_UNPROVEN;
    for (size_t have = 0; have < size;) {
        ssize_t got = getrandom(seed + have, size - have, GRND_INSECURE);
        if (got < 0 && errno != EINTR)
            return fault_set(fault, errno, "cannot make a random seed");
        have += got > 0 ? (size_t)got : 0;
    }
    int error = file_replace(AT_FDCWD, path, seed, size, 0400, true, fault);
    explicit_bzero(seed, sizeof(seed));
    return error;
}

/* The generator has it already: this says what it is worth. */
static int credit_seed(int fd, const char *seed, struct fault *fault) {
    _Alignas(struct rand_pool_info) char space[sizeof(struct rand_pool_info) + SEED_BITS / 8];
    struct rand_pool_info *credit = (void *)space;
    credit->entropy_count = SEED_BITS;
    credit->buf_size = SEED_BITS / 8;
    memcpy(space + sizeof(*credit), seed, SEED_BITS / 8);
    int error = ioctl(fd, RNDADDENTROPY, credit) < 0
                    ? fault_set(fault, errno, "cannot credit the random seed")
                    : 0;
    explicit_bzero(space, sizeof(space));
    return error;
}

/* Mixed in first, without credit; then it is replaced on the disk by what the generator makes of
 * it; only then is it credited, so that no seed is ever trusted twice, also after a power cut. */
int boot_feed_random(const struct boot_work *work, struct fault *fault) {
    scoped_free char *path = path_in(work->state_directory, SEED_FILE), *seed = NULL;
    size_t length = 0;
    if (!path)
        return fault_set(fault, ENOMEM, "cannot read the random seed");
    int have = file_read(AT_FDCWD, path, SEED_SIZE, &seed, &length, NULL);
    bool vouched = have >= 0 && length > SEED_UNPROVEN;
    scoped_fd int fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return fault_set(fault, errno, "cannot open \"/dev/urandom\"");
    if (have >= 0 && write(fd, seed, length) < 0)
        return fault_set(fault, errno, "cannot feed the random generator");
    int error = directory_make(AT_FDCWD, work->state_directory, 0700, fault);
    if (error >= 0)
        error = save_seed(path, vouched, fault);
    return error < 0 || !vouched ? unless_read_only(error) : credit_seed(fd, seed, fault);
}

/* The clock needs no room on a full disk: it is kept whatever becomes of the seed. */
int boot_save(const char *state_directory, struct fault *fault) {
    scoped_free char *seed = path_in(state_directory, SEED_FILE);
    struct fault why;
    if (!seed)
        return fault_set(fault, ENOMEM, "cannot save what the next boot needs");
    int clock = boot_save_clock(state_directory, true, &why);
    int error = save_seed(seed, false, fault);
    if (error >= 0 && clock < 0)
        *fault = why;
    return unless_read_only(error < 0 ? error : clock);
}
