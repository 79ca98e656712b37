#include "supervisor/manager-private.h"
#include "units/keys.h"

/* FNV-1a, 64 bits: two versions of one file are told apart, nobody is kept out. */
static uint64_t mix(uint64_t digest, const char *text) {
    for (; *text; text++)
        digest = (digest ^ (unsigned char)*text) * 0x100000001b3ULL;
    return (digest ^ 0xff) * 0x100000001b3ULL;
}

static void visit(void *context, const char *key, const char *value, bool given) {
    uint64_t *digest = context;
    (void)given;
    *digest = mix(mix(*digest, key), value ? value : "");
}

uint64_t unit_digest(const struct unit *unit) {
    uint64_t digest = 0xcbf29ce484222325ULL;
    keys_visit(unit, visit, &digest);
    return digest;
}
