#pragma once
/* By what a person's command is known when it is asked for again: who gave it cannot tell whether a
 * manager that died had taken it. The tool gives a token with it, the unit that it is for remembers
 * the last few (its facts hold them), and command.c does what it has not done yet. */

#include <stdbool.h>

#define ORDER_TOKEN_LENGTH 32 /* 128 random bits in lower-case hexadecimal digits */
#define ORDERS_KEPT 8         /* of one unit */

bool order_token_is_valid(const char *token);

/* orders: tokens with a blank between them, the newest last; NULL: none. */
bool orders_have(const char *orders, const char *token);
/* The same with one more, without the oldest where they are too many; the caller's. NULL: there is
 * no memory. */
char *orders_with(const char *orders, const char *token);
