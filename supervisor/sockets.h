#pragma once
/* The sockets that the manager binds for a unit in the host's network namespace, and hands to its
 * process. Called by the policy (service-listen.c); sockets.c answers from the kernel. */

#include <stdbool.h>
#include <stddef.h>

struct fault;
struct port_socket;
struct service;
struct sockets;
struct text;

/* Brings *sockets in line with the unit: what it still names stays open, the rest is closed, what
 * is new is bound. On failure the sentence names the place, the reason and, if known, who has it;
 * what was open and is still named stays. *sockets is NULL where the unit names none. */
int sockets_open(struct service *service, struct sockets **sockets, struct fault *fault);
/* Those that an earlier manager had bound, as far as they were kept; sockets_open binds the rest.
 */
int sockets_resume(struct service *service, struct sockets **sockets, struct fault *fault);
/* Removes the paths of unix sockets too. Accepts NULL. */
void sockets_close(struct sockets *sockets);

/* EVENT_CONNECTION as long as a connection or a datagram waits. */
int sockets_watch(struct sockets *sockets, struct fault *fault);
void sockets_unwatch(struct sockets *sockets);

/* In the unit's order, blocking as a program expects them; both accept NULL: none. */
const int *sockets_descriptors(struct sockets *sockets, size_t *ret_count);
const char *sockets_names(const struct sockets *sockets); /* LISTEN_FDNAMES */

/* "web=tcp 127.0.0.1:80, unix /run/x.sock"; nothing for NULL. */
void sockets_describe(const struct sockets *sockets, struct text *text);

/* Whether since the last look anybody used them: something waits in a queue, a process of the unit
 * holds a connection that came in, or has taken a datagram. True where it cannot be known. */
bool sockets_are_busy(struct sockets *sockets);

/* ", by the unit \"web\"" or ", by nginx (process 812)"; nothing where it cannot be found out. */
void sockets_name_holder(const struct service *asker, const struct port_socket *place,
                         struct text *text);
