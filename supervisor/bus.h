#pragma once
/* The control door: D-Bus peer to peer on RUNTIME_DIR/control, made and freed by the manager.
 *
 *     /org/ringfence1             org.ringfence1.Manager   the whole: lists, commands, UnitChanged
 *     /org/ringfence1/unit/NAME   org.ringfence1.Unit      one unit: commands, properties
 *
 * NAME is written as sd_bus_path_encode(3) does. `busctl --address=unix:path=DIR/control
 * introspect` shows the members with their types. Reading is for whoever may open the socket (0660
 * root:ringfence); what changes anything is for root alone, by SO_PEERCRED. Errors are named
 * org.ringfence1.Error.* (bus-names.h) and carry the fault's sentence. */

#include "units/base/scoped.h"

struct manager;
struct fault;
struct bus;

/* Binds the socket (a dead predecessor's is replaced, a living one's is -EADDRINUSE) and attaches
 * to manager->event. Nothing here blocks: an answer waits for its transaction. */
int bus_new(struct manager *manager, struct bus **ret_bus, struct fault *fault);
/* Sends what is queued without waiting, disconnects everybody, removes the socket. Before the
 * manager's services are freed. Accepts NULL. */
void bus_free(struct bus *bus);
SCOPED(bus_free, struct bus *)

/* bus_service_changed() and bus_tell() are declared in supervisor/manager.h, where their callers
 * find them. */
