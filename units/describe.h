#pragma once
/* The key table as a manual for people and machines: `ringfence describe`. */

struct text;
struct fault;

/* All sections and keys, or one section ("service"), or one key ("service.type").
 * -ENOENT with the nearest name in the fault where there is no such key. */
int describe_text(const char *key, struct text *text, struct fault *fault);
/* The same as JSON Schema (draft 2020-12) of a unit file. */
void describe_schema(struct text *text);
