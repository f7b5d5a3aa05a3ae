/* queue.c - the table of the queue's replay, on a handful of machines and for a short time */
#include "base/alloc.h"
#include "placement/placement.h"
#include "sim/sim.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    const struct queue_options options = { .policy = &policy_las,
                                           .score = &score_best_fit,
                                           .groups = { { 2, 4 } },
                                           .n_groups = 1,
                                           .guaranteed_us = 3600000000,
                                           .restart_us = 60000000,
                                           .preemptible = true };
    struct queue_figures figures;
    struct error err = { 0 };

    if (size == 0 || size > 1024)
        return 0;
    FILE *jobs = fmemopen((void *) (uintptr_t) data, size, "r");
    const struct pack_file files[] = { { jobs, "jobs" }, { NULL, "-" } };
    if (queue_run(&options, &files[0], &files[1], &figures, &err) == 0) {
        assert(figures.n_jobs > 0 && figures.wait_mean_us >= 0);
        queue_figures_done(&figures);
    }
    (void) fclose(jobs);
    return 0;
}
