/* layers.h - start the keeper of unpacked layers (task/layers.h says what it is asked) */
#ifndef EXECUTOR_LAYERS_H
#define EXECUTOR_LAYERS_H

#include "base/error.h"

#include <stdbool.h>
#include <sys/types.h>

/* Fork it, with STATE in place and before there are threads, sockets and secrets. *RET_FD (owned by the caller,
 * non-blocking) takes struct layers_request; the keeper ends when it is closed. Its layers have uids of their own,
 * which root alone can give them; with ONE_OWNER they are the calling account's, for containers of one uid. */
int layers_start(const char *state, bool one_owner, int *ret_fd, pid_t *ret_pid, struct error *err);

#endif
