#include "supervisor/orders.h"

#include <stdio.h>
#include <string.h>

#define STEP (ORDER_TOKEN_LENGTH + 1) /* from one token to the next */

bool order_token_is_valid(const char *token) {
    return strspn(token, "0123456789abcdef") == ORDER_TOKEN_LENGTH &&
           token[ORDER_TOKEN_LENGTH] == '\0';
}

bool orders_have(const char *orders, const char *token) {
    return orders && strstr(orders, token) != NULL;
}

char *orders_with(const char *orders, const char *token) {
    size_t length = orders ? strlen(orders) : 0, most = (size_t)STEP * (ORDERS_KEPT - 1) - 1;
    const char *kept = length > most ? orders + length - most : orders;
    char *with = NULL;
    return asprintf(&with, "%s%s%s", kept ? kept : "", length > 0 ? " " : "", token) < 0 ? NULL
                                                                                         : with;
}
