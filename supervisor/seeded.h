#pragma once
/* Deliberate faults of the policy, one at a time, by which the simulation shows that it finds such.
 * They are compiled into a test's build of the policy alone (SIMULATE_FAULT). */

enum seeded_fault {
    SEEDED_NONE,
    SEEDED_STARTS_EARLY, /* before what it requires is ready */
    SEEDED_STOPS_EARLY,  /* before those that need it */
    SEEDED_FORGETS,      /* to look at those that wait */
    SEEDED_IMPATIENT,    /* the delay of a restart is too short */
    SEEDED_TOLERANT,     /* of what conflicts */
    SEEDED_UNBOUND,      /* goes on without what it is bound to */
    SEEDED_BLIND,        /* to circles */
    SEEDED_REVIVES,      /* by itself what is being stopped */
    SEEDED_SILENT,       /* about the end of a stop that a start follows */
    SEEDED_APART,        /* parts do not follow */
    SEEDED_TWICE,        /* the next run before the last one is gone */
    SEEDED_DANGLES,      /* edges to what a reload freed */
    SEEDED_AWAKES,       /* what is being stopped, when a connection comes */
    SEEDED_FORGETFUL,    /* facts are written the first time alone */
    SEEDED_KEEPS,        /* descriptors of the sandbox before, for the next one */
    SEEDED_OUTDATED,     /* what runs is taken for what its file says by now */
    SEEDED_LITTERS,      /* facts of what was removed stay */
    SEEDED_MEDDLES,      /* an apply restarts what it need only update */
    SEEDED_FAULTS
};

#ifdef SIMULATE_FAULT
extern enum seeded_fault seeded_fault; /* chosen by the test */
#define SEEDED(fault) (seeded_fault == SEEDED_##fault)
#else
#define SEEDED(fault) 0
#endif
