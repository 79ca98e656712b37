#pragma once
/* Makes room on a full disk for ringfence-logd: the oldest files of whoever has most of them go. */

#include <stddef.h>

/* Removes the oldest rotated file of the unit whose rotated files are the largest together. Its
 * name, as "web/current.3", is in ret_name. 1, or 0 where there is none to be removed. */
int log_reclaim(int root, char *ret_name, size_t size);
