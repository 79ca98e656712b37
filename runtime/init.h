#pragma once
/* The image of the init that is PID 1 where a unit asks for one (helpers/init.c). Called by
 * the run. */

struct fault;

/* A sealed memory file, so that nothing of it need exist in any root and no payload can write to
 * it; executed by execveat(2). *ret_image is opened unless it is there already. */
int init_open(int *ret_image, struct fault *fault);
