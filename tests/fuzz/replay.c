/* Runs one fuzz target over its corpus with any compiler, as a test. The target and
 * CORPUS_DIRECTORY are given by the build. */

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>

#include "tests/test.h"
#include "units/base/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Of those targets that have one. */
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

TEST(every_file_of_the_corpus_is_borne) {
    char path[PATH_MAX];
    int count = 0;
    DIR *stream = opendir(CORPUS_DIRECTORY);
    CHECK(stream);
    CHECK(!LLVMFuzzerInitialize || LLVMFuzzerInitialize(NULL, NULL) == 0);
    for (struct dirent *entry; (entry = readdir(stream));) {
        char *data;
        size_t length;
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s", CORPUS_DIRECTORY, entry->d_name);
        CHECK(file_read(AT_FDCWD, path, 1 << 20, &data, &length, NULL) == 0);
        LLVMFuzzerTestOneInput((const uint8_t *)data, length);
        free(data);
        count++;
    }
    closedir(stream);
    printf("# %d files\n", count);
    CHECK(count > 0);
}

TEST_MAIN
