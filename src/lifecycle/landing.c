/* landing.c - what tasks changed in their copies of /storage comes to the project's before their attempt ends
 *
 * From the moment at which an end was taken nothing else can become of the attempt: no report and no lost node. So
 * what comes is of an attempt that was never given up, and who sees the job's end sees what it wrote.
 */
#include "lifecycle/internal.h"

#include "base/alloc.h"

#include <string.h>

/* What the end waits with. */
struct ashore {
    json_t *data;
    struct manifest *artifacts;
};

void landing_free(struct job *job)
{
    if (!job->ashore)
        return;
    json_decref(job->ashore->data);
    manifest_free(job->ashore->artifacts);
    free(job->ashore);
    job->ashore = NULL;
}

uint32_t job_uid_base(const struct lifecycle *lc, const struct job *job)
{
    return lc->settings.uid_first + job->project->range * UID_RANGE_LEN;
}

static void add_reason(json_t *data, const char *what, const char *why)
{
    const char *before = json_get_str(data, "reason", NULL);
    _cleanup_free_ char *reason =
        xasprintf("%s%s%s: %s", before ? before : "", before ? "; " : "", what, why);

    json_put_str(data, "reason", reason);
}

static void add_task(struct lifecycle *lc, const struct job *job, size_t rank,
                     const json_t *storage, struct landing *landing)
{
    const char *hex = json_get_str(storage, "manifest", NULL);
    struct landing_task *task = &landing->tasks[landing->n];

    if (!lc->sources.land || !hex || sha256_parse(hex, &task->manifest) < 0)
        return;
    task->task = *attempt_task_id(job->w->attempt, rank);
    task->rank = (unsigned) rank;
    landing->n++;
}

void landing_begin(struct lifecycle *lc, struct job *job, json_t *data, struct manifest *artifacts,
                   const json_t *const *storage)
{
    size_t n = attempt_n_tasks(job->w->attempt);
    _cleanup_free_ struct landing_task *tasks = xnew_n(struct landing_task, n);
    struct landing landing = { .workload = job->w->id,
                               .project = job->w->project,
                               .epoch = job->w->attempt->epoch,
                               .uid_base = job_uid_base(lc, job),
                               .is_gang = job->gang != NULL,
                               .tasks = tasks };

    for (size_t rank = 0; rank < n; rank++) {
        const char *error = json_get_str(storage[rank], "error", NULL);
        if (error)
            add_reason(data, "its changes of /storage are lost", error);
        add_task(lc, job, rank, storage[rank], &landing);
    }
    if (landing.n == 0) {
        act_finish(lc, job, data, artifacts);
        manifest_free(artifacts);
        return;
    }
    job->ashore = xnew(struct ashore);
    *job->ashore = (struct ashore){ data, artifacts };
    lc->sources.land(lc->sources.userdata, &landing);
}

void lifecycle_landed(struct lifecycle *lc, const struct id *workload, unsigned epoch,
                      const char *failed)
{
    struct job *job = live_get(lc, workload);

    if (!job || !job->ashore || !workload_has_live_attempt(job->w) ||
        job->w->attempt->epoch != epoch)
        return;
    const struct ashore ashore = *job->ashore;
    free(take_ptr(job->ashore));
    if (failed)
        add_reason(ashore.data, "not all that it changed in /storage could be kept", failed);
    act_finish(lc, job, ashore.data, ashore.artifacts);
    manifest_free(ashore.artifacts);
}
