#pragma once
/* What a power cut leaves at the end of a log file; for whoever goes on writing to it. */

struct fault;

/* Makes the file end with a whole record again. Zeros at its end, which a file system leaves where
 * it knew of the length and had no data yet, go; of a record that was torn in its text stays what
 * there is, as a partial one; one that was torn before it goes. fd: read-write, with O_APPEND. A
 * file that ends as it should is not touched. */
int log_mend(int fd, const char *path, struct fault *fault);
