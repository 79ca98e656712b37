#include "supervisor/log/rate.h"

#include <inttypes.h>

#include "units/base/number.h"
#include "units/base/text.h"

void rate_tick(struct rate *rate, uint64_t now) {
    rate->now = now;
    if (rate->most == 0 || now < rate->end)
        return;
    rate->end = now + rate->interval;
    rate->passed = 0;
}

bool rate_pass(struct rate *rate) {
    if (rate->most == 0 || rate->passed < rate->most) {
        rate->passed++;
        return true;
    }
    if (rate->dropped++ == 0)
        rate->say = rate->end < rate->now + RATE_SAY ? rate->end : rate->now + RATE_SAY;
    return false;
}

bool rate_has_to_say(const struct rate *rate) {
    return rate->dropped > 0 && rate->now >= rate->say;
}

void rate_say(struct rate *rate, struct text *text) {
    text_format(text, "%" PRIu64 " line%s dropped: there were more than %" PRIu64 " in ",
                rate->dropped, rate->dropped == 1 ? " was" : "s were", rate->most);
    duration_print(text, rate->interval * 1000);
    rate->dropped = 0;
}
