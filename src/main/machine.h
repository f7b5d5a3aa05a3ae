/* machine.h - what a role that starts containers does first, as root */
#ifndef MAIN_MACHINE_H
#define MAIN_MACHINE_H

#include "main/privilege.h"
#include "main/settings.h"

#include <sys/types.h>

/* STATE, RUNTIME and what lies in STATE, ACCOUNT's and reachable for it. */
int machine_directories(const struct settings *settings, const struct account *account,
                        struct error *err);
/* launcher_start() with these settings. */
int machine_launcher(const struct settings *settings, int *ret_fd, pid_t *ret_pid,
                     struct error *err);

#endif
