#pragma once
/* The rows by which state.c writes what must outlive the manager and adopt.c reads it back. Those
 * of a health check and of a timer lie with what they are about (health.h, schedule.h). */

#include "supervisor/facts.h"

extern const struct fact_group service_facts;         /* struct service */
extern const struct fact_group private_facts;         /* struct service_private */
extern const struct fact_group held_facts;            /* the same: held */
extern const struct fact_group manager_facts;         /* struct manager */
extern const struct fact_group manager_private_facts; /* struct manager_private */
