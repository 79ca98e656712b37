#pragma once
/* The own program, out of reach of what runs inside. Called once by the manager. */

struct fault;

/* A helper that executes "/proc/self/exe", or a script that names it as its interpreter, runs our
 * own program inside: then a unit that is the host's root there could write to it, and so be root
 * outside as soon as it runs again (CVE-2019-5736). Therefore it runs from a read-only mount of
 * itself that is nowhere attached: this starts the program again from there, with the same
 * arguments. 0: it does so already. Does not return when it succeeds otherwise. */
int executable_seal(char **arguments, struct fault *fault);
