/* shares.h - what orgs, projects and users have had, kept over restarts */
#ifndef MAIN_SHARES_H
#define MAIN_SHARES_H

#include "lifecycle/lifecycle.h"
#include "os/loop.h"
#include "os/pool.h"

struct shares;

/* Tell LIFECYCLE, which has not recovered yet, what DIRECTORY/shares.json says, and write it every minute from now on. A file that
 * cannot be read is a warning: all begin with nothing then. */
struct shares *shares_open(struct loop *loop, struct pool *pool, struct lifecycle *lifecycle,
                           const char *directory);
/* The lifecycle ends: look at it once more. */
void shares_leave(struct shares *shares);
/* The pool has ended: write what was looked at last. */
void shares_close(struct shares *shares);

#endif
