#pragma once
/* The times of this boot in RUNTIME_DIR/boot, so that a manager that comes after the first one
 * neither repeats a step nor forgets when it was. boot.c alone uses it. */

#include "supervisor/boot.h"

struct boot_record {
    bool machine;
    uint64_t ringfenced, manager, units; /* as in struct boot_times */
    struct boot_step *steps;
    size_t count;
};

/* A new one: RINGFENCE_BEGAN of the environment says when ringfenced began, RINGFENCE_SWITCHED when
 * it left an initramfs; the time between is a step. */
int boot_record_begin(struct boot_record *record, uint64_t now, bool machine);
/* -ENOENT, -EINVAL: there is none of this boot. */
int boot_record_read(struct boot_record *record, const struct manager *manager);
int boot_record_write(const struct boot_record *record, const struct manager *manager,
                      struct fault *fault);
void boot_record_remove(const struct manager *manager);
void boot_record_free(struct boot_record *record);

/* Adds a step, or tells anew of one that was tried before. */
int boot_record_step(struct boot_record *record, const char *name, uint64_t begun, uint64_t ended,
                     enum boot_outcome outcome, const char *words);
const struct boot_step *boot_record_find(const struct boot_record *record, const char *name);
