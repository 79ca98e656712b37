#pragma once
/* Rules that span keys. check.c calls those of check-container.c and check-sockets.c. */

#include "units/draft.h"

void check_root(struct draft *draft);
void check_mounts(struct draft *draft);
void check_devices(struct draft *draft);
void check_shared(struct draft *draft);
void check_hostname(struct draft *draft);
void check_namespaces(struct draft *draft);
void check_sysctl(struct draft *draft);
void check_sockets(struct draft *draft);
