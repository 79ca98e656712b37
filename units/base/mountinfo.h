#pragma once
/* The words of /proc/PID/mountinfo and its kin, for whoever reads them: ringfenced with another
 * libc too, hence all of it is here. */

/* White space and backslashes are three octal digits there (proc(5)); in place. */
static inline void mountinfo_unescape(char *text) {
    char *to = text;
    for (const char *at = text; *at; to++) {
        if (at[0] == '\\' && at[1] >= '0' && at[1] <= '3' && at[2] && at[3]) {
            *to = (char)((at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0'));
            at += 4;
        } else {
            *to = *at++;
        }
    }
    *to = '\0';
}
