/* run-times.c - how long jobs of projects ran lately: by it forecasts go
 *
 * It is noted as jobs end, and after a start read from the newest that the store has.
 */
#include "lifecycle/internal.h"

#include "base/time.h"

enum { NEWEST = 1000 };

struct recalling {
    struct lifecycle *lc; /* NULL: freed meanwhile */
};

void run_times_note(struct lifecycle *lc, const struct workload *w)
{
    if ((w->cause == END_EXITED || w->cause == END_MAX_TIME) && w->ran_us > 0)
        history_note(lc->run_times, &w->project, w->ran_us, w->spec->max_time_s * US_PER_S);
}

/* Newest first they come; the newest is to be noted last. */
static void on_newest(void *userdata, int r, struct workload **items, size_t n,
                      const struct error *err)
{
    struct recalling *recalling = userdata;
    struct lifecycle *lc = recalling->lc;

    (void) err;
    free(recalling);
    if (!lc)
        return;
    lc->recalling = NULL;
    for (size_t i = r < 0 ? 0 : n; i-- > 0;)
        run_times_note(lc, items[i]);
}

void run_times_recall(struct lifecycle *lc)
{
    const struct workload_filter filter = {
        .states = 1u << WORKLOAD_SUCCEEDED | 1u << WORKLOAD_FAILED,
        .limit = NEWEST,
    };

    lc->recalling = xnew(struct recalling);
    lc->recalling->lc = lc;
    store_list_workloads(lc->store, &filter, on_newest, lc->recalling);
}

void run_times_done(struct lifecycle *lc)
{
    if (lc->recalling)
        lc->recalling->lc = NULL;
    history_free(lc->run_times);
}
