#pragma once
/* Specifiers in strings: "%i" and its kin. Called by units/load for every string of a unit. */

struct fault;
struct specifiers;
struct text;

/* Appends the string with %i, %n, %p, %H and %% replaced. A "%" that no letter follows is itself
 * ("150%"). -EINVAL with a sentence for any other letter, and for %i where there is no argument. */
int expand(const char *string, const struct specifiers *specifiers, struct text *text,
           struct fault *fault);
