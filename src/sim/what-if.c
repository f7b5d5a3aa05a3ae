/* what-if.c - two forecasts side by side */
#include "sim/what-if.h"

#include "base/alloc.h"
#include "base/map.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

/* ---- changes ---------------------------------------------------------------------------------------- */

static bool is_alike(const struct node *a, const struct node *b)
{
    return a->cores.len == b->cores.len && a->gpus.len == b->gpus.len &&
           a->memory_bytes == b->memory_bytes &&
           (a->gpus.len == 0 || str_equal(a->gpus.items[0].model, b->gpus.items[0].model));
}

static const struct node *most_usual(const struct snapshot *s)
{
    const struct node *best = NULL;
    size_t most = 0;

    vec_foreach(&s->nodes, one) {
        size_t n = 0;
        vec_foreach(&s->nodes, other)
            n += is_alike(one->node, other->node);
        if (n > most) {
            most = n;
            best = one->node;
        }
    }
    return best;
}

static char *new_name(const struct snapshot *s, const char *like, unsigned *number)
{
    for (;;) {
        char *name = xasprintf("%.50s-new%u", like, ++*number);
        if (!snapshot_node(s, name))
            return name;
        free(name);
    }
}

/* What it is called, and the GPUs' names that no two may share. */
static void rename_node(struct node *node, char *name)
{
    free(node->name);
    node->name = name;
    node->id = id_none;
    vec_foreach(&node->gpus, gpu) {
        char *uuid = xasprintf("%s@%s", gpu->uuid, name);
        free(gpu->uuid);
        gpu->uuid = uuid;
    }
}

static void empty_node(struct node *node)
{
    node->cordoned = false;
    free(node->fault);
    node->fault = NULL;
    node->others_cores = node->others_gpus = 0;
    node->others_memory_bytes = 0;
    node->disk_free_bytes = 0;
}

int what_if_add_nodes(struct snapshot *s, unsigned n, const char *like, struct error *err)
{
    const struct node *kind = like ? snapshot_node(s, like) : most_usual(s);
    unsigned number = 0;

    if (!kind)
        return error_set(err, -ENOENT,
                         like ? "there is no machine %s" : "there is no machine to be like%s",
                         like ? like : "");
    for (unsigned i = 0; i < n; i++) {
        struct snapshot_node one = { .node = node_copy(kind) };
        rename_node(one.node, new_name(s, kind->name, &number));
        empty_node(one.node);
        vec_push(&s->nodes, one);
    }
    return 0;
}

static bool is_on(const struct snapshot_job *job, const char *node)
{
    vec_foreach(&job->allocations, allocation)
        if (str_equal((*allocation)->node, node))
            return true;
    return false;
}

static void wait_again(struct snapshot *s, struct snapshot_job *job)
{
    /* Of one that leaves all that it ran is counted already. */
    if (job->started_us && !job->leaves)
        job->ran_us += s->now_us - job->started_us;
    job->started_us = job->claimed_us = 0;
    job->claim = 0;
    job->leaves = false;
    vec_foreach(&job->allocations, allocation)
        allocation_free(*allocation);
    job->allocations.len = 0;
}

static size_t find_node(const struct snapshot *s, const char *name)
{
    size_t i = 0;

    while (i < s->nodes.len && !str_equal(s->nodes.items[i].node->name, name))
        i++;
    return i;
}

int what_if_remove_node(struct snapshot *s, const char *name, struct error *err)
{
    size_t i = find_node(s, name);

    if (i == s->nodes.len)
        return error_set(err, -ENOENT, "there is no machine %s", name);
    vec_foreach(&s->jobs, job)
        if (is_on(job, name))
            wait_again(s, job);
    unsigned skipped = s->nodes.items[i].skipped + 1;
    node_free(s->nodes.items[i].node);
    vec_remove(&s->nodes, i);
    *(i < s->nodes.len ? &s->nodes.items[i].skipped : &s->skipped) += skipped;
    return 0;
}

int what_if_cordon(struct snapshot *s, const char *name, bool cordoned, struct error *err)
{
    size_t i = find_node(s, name);

    if (i == s->nodes.len)
        return error_set(err, -ENOENT, "there is no machine %s", name);
    s->nodes.items[i].node->cordoned = cordoned;
    return 0;
}

int what_if_remove_job(struct snapshot *s, const char *name, struct error *err)
{
    char id[ID_TEXT_LEN + 1];

    for (size_t i = 0; i < s->jobs.len; i++) {
        struct snapshot_job *job = &s->jobs.items[i];
        if (!str_equal(job->name, name) && !str_equal(id_format(&job->id, id), name))
            continue;
        snapshot_job_done(job);
        vec_remove(&s->jobs, i);
        return 0;
    }
    return error_set(err, -ENOENT, "no job %s waits or runs", name);
}

static int check_fits(const struct snapshot *s, const struct workload_spec *spec, struct error *err)
{
    const struct node **nodes = xnew_n(const struct node *, s->nodes.len + 1);

    for (size_t i = 0; i < s->nodes.len; i++)
        nodes[i] = s->nodes.items[i].node;
    int r = placement_can_ever_fit(nodes, s->nodes.len, spec, err);
    free(nodes);
    return r;
}

int what_if_add_job(struct snapshot *s, const struct workload_spec *spec, int priority,
                    const char *project, struct error *err)
{
    const struct snapshot_project *whose = project ? snapshot_project(s, project) : NULL;
    uint8_t number[10] = { 0 };

    if (project && !whose)
        return error_set(err, -ENOENT, "there is no project %s", project);
    int r = check_fits(s, spec, err);
    if (r < 0)
        return r;
    struct snapshot_job job = { .priority = priority,
                                .since_us = s->now_us,
                                .name = xstrdup("(this job)"),
                                .spec = workload_wishes_copy(spec) };
    if (whose) {
        job.org = whose->org;
        job.project = whose->id;
    }
    number[8] = (uint8_t) (s->jobs.len >> 8);
    number[9] = (uint8_t) s->jobs.len;
    job.id = id_make(s->now_us, number);
    vec_push(&s->jobs, job);
    return 0;
}

/* ---- side by side ----------------------------------------------------------------------------------- */

static void count(const struct snapshot *s, const struct forecast *f, struct what_if_side *ret)
{
    ret->n_nodes = s->nodes.len;
    for (size_t i = 0; i < s->jobs.len; i++) {
        const struct forecast_start *start = &f->starts[i];
        if (s->jobs.items[i].started_us) {
            ret->n_running++;
            continue;
        }
        ret->n_waiting++;
        ret->n_known += start->start_us != INT64_MAX;
        ret->n_now += start->basis == FORECAST_NOW && start->start_us == s->now_us;
    }
}

/* In seconds: those of a million jobs are added up without overflow. */
static int64_t wait_s(const struct forecast_start *start, int64_t now_us)
{
    return start->start_us > now_us ? (start->start_us - now_us) / 1000000 : 0;
}

static void compare(struct what_if *w, int64_t now_us)
{
    int64_t before_s = 0, after_s = 0;

    vec_foreach(&w->jobs, one) {
        if (!one->before || !one->after || one->before->start_us == INT64_MAX ||
            one->after->start_us == INT64_MAX)
            continue;
        before_s += wait_s(one->before, now_us);
        after_s += wait_s(one->after, now_us);
        w->n_both++;
    }
    if (w->n_both > 0) {
        w->mean_before_us = before_s / (int64_t) w->n_both * 1000000;
        w->mean_after_us = after_s / (int64_t) w->n_both * 1000000;
    }
}

/* One that waits on either side is told of. */
static void list_jobs(struct what_if *w, const struct snapshot *before,
                      const struct snapshot *after)
{
    _cleanup_(map_freep) struct map *seen = map_new();

    for (size_t i = 0; i < after->jobs.len; i++)
        (void) map_set(seen, &after->jobs.items[i].id, sizeof(struct id), &after->jobs.items[i]);
    for (size_t i = 0; i < before->jobs.len; i++) {
        const struct snapshot_job *job = &before->jobs.items[i];
        const struct snapshot_job *other = map_remove(seen, &job->id, sizeof job->id);
        const struct what_if_job one = { job, &w->forecasts[0].starts[i],
                                         other ? &w->forecasts[1].starts[other - after->jobs.items]
                                               : NULL };
        if (!job->started_us || (other && !other->started_us))
            vec_push(&w->jobs, one);
    }
    for (size_t i = 0; i < after->jobs.len; i++) {
        const struct snapshot_job *job = &after->jobs.items[i];
        const struct what_if_job one = { job, NULL, &w->forecasts[1].starts[i] };
        if (map_get(seen, &job->id, sizeof job->id) && !job->started_us)
            vec_push(&w->jobs, one);
    }
}

void what_if_run(const struct snapshot *before, const struct snapshot *after,
                 const struct forecast_options *options, struct what_if *ret)
{
    *ret = (struct what_if){ 0 };
    forecast_run(before, options, &ret->forecasts[0]);
    forecast_run(after, options, &ret->forecasts[1]);
    count(before, &ret->forecasts[0], &ret->before);
    count(after, &ret->forecasts[1], &ret->after);
    list_jobs(ret, before, after);
    compare(ret, before->now_us);
}

void what_if_done(struct what_if *w)
{
    forecast_done(&w->forecasts[0]);
    forecast_done(&w->forecasts[1]);
    vec_done(&w->jobs);
}
