/* How long 10,000 unit files take to be loaded, checked and ordered, and what they leave in memory.
 * `bench-units [COUNT]` makes them in a scratch directory; its figures are information. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "units/base/fault.h"
#include "units/base/file.h"
#include "units/set.h"

static double seconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Kilobytes of this process alone. */
static long private_memory(void) {
    char line[128];
    long total = 0, part;
    FILE *file = fopen("/proc/self/smaps_rollup", "re");
    while (file && fgets(line, sizeof(line), file))
        if (sscanf(line, "Private_Clean: %ld", &part) == 1 ||
            sscanf(line, "Private_Dirty: %ld", &part) == 1)
            total += part;
    if (file)
        fclose(file);
    return total;
}

/* What a person writes: some 400 bytes, dependencies on two earlier units. */
static int write_unit(const char *directory, int number) {
    char path[256], text[1024];
    snprintf(path, sizeof(path), "%s/service-%05d.unit", directory, number);
    snprintf(
        text, sizeof(text),
        "unit = { description = \"Service %d\"; requires = [ \"service-%05d\" ];\n"
        "         after = [ \"service-%05d\" ]; };\n"
        "service = { type = \"notify\"; exec = [ \"/usr/bin/service\", \"--number\", \"%d\" ];\n"
        "            user = \"10001:10001\"; stop_timeout = \"30s\"; environment = [ \"A=1\" ]; "
        "};\n"
        "rootfs = { layers = [ \"/srv/base\", \"/srv/service\" ]; readonly = true; };\n"
        "mounts = ( { type = \"tmpfs\"; target = \"/run\"; size = \"4M\"; } );\n"
        "resources = { memory_max = \"96M\"; pids_max = 64; };\n",
        number, number / 2, number / 3, number);
    if (number == 0)
        snprintf(text, sizeof(text), "service = { exec = [ \"/bin/true\" ]; };\n");
    return file_replace(AT_FDCWD, path, text, strlen(text), 0644, false, NULL);
}

static int measure(const char *directory, int count) {
    const char *const directories[] = {directory, NULL};
    const struct unit_sources sources = {directories, NULL};
    struct complaints host = {0};
    struct unit_set *set = NULL;
    struct fault fault;
    size_t invalid = 0;
    long before = private_memory();
    double start = seconds(CLOCK_MONOTONIC), processor = seconds(CLOCK_PROCESS_CPUTIME_ID);
    struct rusage trial;

    if (unit_set_load(&sources, &set, &host, &fault) < 0) {
        fprintf(stderr, "%s\n", fault.text);
        return 1;
    }
    start = seconds(CLOCK_MONOTONIC) - start;
    processor = seconds(CLOCK_PROCESS_CPUTIME_ID) - processor;
    getrusage(RUSAGE_CHILDREN, &trial);
    for (size_t i = 0; i < set->count; i++)
        invalid += set->entries[i].condition == UNIT_INVALID;
    printf(
        "%d unit files: %.0f ms (%.0f ms of processor here, %.0f ms in the trial), %.1f us each, "
        "%ld KB of memory kept, %ld KB at most, %zu invalid\n",
        count, start * 1e3, processor * 1e3,
        (double)trial.ru_utime.tv_sec * 1e3 + (double)trial.ru_utime.tv_usec / 1e3,
        start * 1e6 / count, private_memory() - before,
        (getrusage(RUSAGE_SELF, &trial), trial.ru_maxrss), invalid);
    unit_set_free(set);
    return invalid ? 1 : 0;
}

int main(int argc, char **argv) {
    char directory[] = "/tmp/ringfence-bench-"
                       "XXX"
                       "XXX";
    int count = argc > 1 ? atoi(argv[1]) : 10000;
    if (count < 1 || count > 100000 || !mkdtemp(directory)) {
        fprintf(stderr, "usage: bench-units [COUNT], from 1 to 100000\n");
        return 2;
    }
    int failed = 0;
    for (int i = 0; i < count && !failed; i++)
        failed = write_unit(directory, i) < 0;
    if (!failed)
        failed = measure(directory, count);
    directory_remove(AT_FDCWD, directory, NULL);
    return failed;
}
