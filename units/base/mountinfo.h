#pragma once
/* The words of /proc/PID/mountinfo and its kin, for whoever reads them: ringfenced with another
 * libc too, hence all of it is here. */

static inline int mountinfo_is_octal(char digit, char most) {
    return digit >= '0' && digit <= most;
}

/* White space and backslashes are three octal digits there (proc(5)); in place. */
static inline void mountinfo_unescape(char *text) {
    char *to = text;
    for (const char *at = text; *at; to++) {
        if (at[0] == '\\' && mountinfo_is_octal(at[1], '3') && mountinfo_is_octal(at[2], '7') &&
            mountinfo_is_octal(at[3], '7')) {
            *to = (char)((at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0'));
            at += 4;
        } else {
            *to = *at++;
        }
    }
    *to = '\0';
}
