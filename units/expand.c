#include "units/expand.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "units/base/fault.h"
#include "units/base/text.h"
#include "units/draft.h"

static int replacement(char letter, const struct specifiers *specifiers, const char **ret_string,
                       struct fault *fault) {
    switch (letter) {
    case 'i':
        *ret_string = specifiers->argument;
        if (!specifiers->argument)
            return fault_say(fault, -EINVAL,
                             "\"%%i\" is the argument of an instance NAME@ARG, and "
                             "this unit is none");
        return 0;
    case 'n':
        *ret_string = specifiers->name;
        return 0;
    case 'p':
        *ret_string = specifiers->prefix;
        return 0;
    case 'H':
        *ret_string = specifiers->host;
        return 0;
    default:
        return fault_say(fault, -EINVAL,
                         "\"%%%c\" is none of %%i, %%n, %%p, %%H; write \"%%%%\" "
                         "for a percent sign",
                         letter);
    }
}

int expand(const char *string, const struct specifiers *specifiers, struct text *text,
           struct fault *fault) {
    for (const char *at = string; *at;) {
        size_t plain = strcspn(at, "%");
        text_append(text, at, plain);
        at += plain;
        if (*at == '\0')
            break;
        if (at[1] == '%' || !isalpha((unsigned char)at[1])) {
            text_add(text, "%");
            at += at[1] == '%' ? 2 : 1;
            continue;
        }
        const char *word;
        int error = replacement(at[1], specifiers, &word, fault);
        if (error)
            return error;
        text_add(text, word);
        at += 2;
    }
    return text->failed ? fault_set(fault, ENOMEM, "cannot expand \"%s\"", string) : 0;
}
