/* landing.h - the server's part in bringing home what tasks changed in /storage */
#ifndef MAIN_LANDING_H
#define MAIN_LANDING_H

#include "blob/blob.h"
#include "lifecycle/lifecycle.h"
#include "os/loop.h"
#include "os/pool.h"

/* Borrowed as long as the loop runs. */
struct lander {
    struct loop *loop;
    struct pool *pool;
    struct blob_store *blobs;
    struct lifecycle *lifecycle;
    const char *state;
    int keeper; /* storage/keeper.h; -1: none */
};

/* One task after the other; the keeper does it, and what it has to say goes to the task's log. Ends with
 * lifecycle_landed(), on the loop. */
void landing_run(const struct lander *lander, const struct landing *landing);

#endif
