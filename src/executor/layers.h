/* layers.h - start the keeper of unpacked layers (task/layers.h says what it is asked) */
#ifndef EXECUTOR_LAYERS_H
#define EXECUTOR_LAYERS_H

#include "base/error.h"

#include <sys/types.h>

/* Fork it. To be called by root, with STATE in place and before there are threads and sockets. *RET_FD
 * (owned by the caller, non-blocking) takes struct layers_request; the keeper ends when it is closed. */
int layers_start(const char *state, int *ret_fd, pid_t *ret_pid, struct error *err);

#endif
