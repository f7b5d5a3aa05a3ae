/* mirror.c - the mirror's side: machines by their places, jobs by their numbers */
#include "placement/mirror.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

struct mirror {
    struct snapshot *snapshot;
    VEC(struct snapshot_node) places; /* those that are there are the snapshot's, too */
    VEC(uint64_t) numbers;            /* of the snapshot's jobs */
};

struct mirror *mirror_new(void)
{
    struct mirror *m = xnew(struct mirror);

    m->snapshot = snapshot_new();
    return m;
}

void mirror_free(struct mirror *m)
{
    if (!m)
        return;
    snapshot_free(m->snapshot);
    vec_done(&m->places);
    vec_done(&m->numbers);
    free(m);
}

struct snapshot *mirror_snapshot(struct mirror *m) { return m->snapshot; }

void mirror_news_done(struct mirror_news *news)
{
    vec_foreach(&news->machines, one)
        node_free(one->node.node);
    vec_done(&news->machines);
    vec_foreach(&news->jobs, one)
        snapshot_job_done(&one->job);
    vec_done(&news->jobs);
    snapshot_free(news->rest);
    news->rest = NULL;
}

static void take_machines(struct mirror *m, struct mirror_news *news)
{
    struct snapshot *s = m->snapshot;

    vec_foreach(&news->machines, one) {
        while (m->places.len <= one->place)
            vec_push(&m->places, ((struct snapshot_node){ 0 }));
        node_free(m->places.items[one->place].node);
        m->places.items[one->place] = one->node;
    }
    news->machines.len = 0;
    s->nodes.len = 0;
    s->skipped = 0;
    vec_foreach(&m->places, place) {
        if (!place->node) {
            s->skipped++;
            continue;
        }
        vec_push(&s->nodes, *place);
        s->nodes.items[s->nodes.len - 1].skipped = s->skipped;
        s->skipped = 0;
    }
}

static int compare_jobs(const void *pa, const void *pb)
{
    const struct mirror_job *a = pa, *b = pb;

    if (a->number != b->number)
        return a->number < b->number ? -1 : 1;
    return a->said < b->said ? -1 : a->said > b->said;
}

/* Of those that were said more than once all but the last are dropped. */
static void keep_last(struct mirror_news *news)
{
    size_t n = 0;

    if (news->jobs.len > 0)
        qsort(news->jobs.items, news->jobs.len, sizeof *news->jobs.items, compare_jobs);
    vec_foreach(&news->jobs, one) {
        if (n > 0 && news->jobs.items[n - 1].number == one->number)
            snapshot_job_done(&news->jobs.items[--n].job);
        news->jobs.items[n++] = *one;
    }
    news->jobs.len = n;
}

static void push(struct mirror *m, uint64_t number, const struct snapshot_job *job)
{
    vec_push(&m->numbers, number);
    vec_push(&m->snapshot->jobs, *job);
}

/* Both are in order. */
static void take_jobs(struct mirror *m, struct mirror_news *news)
{
    struct mirror old = *m;
    struct snapshot before = *m->snapshot;
    size_t i = 0;

    keep_last(news);
    if (news->jobs.len == 0)
        return;
    memset(&m->numbers, 0, sizeof m->numbers);
    memset(&m->snapshot->jobs, 0, sizeof m->snapshot->jobs);
    vec_foreach(&news->jobs, one) {
        for (; i < old.numbers.len && old.numbers.items[i] < one->number; i++)
            push(m, old.numbers.items[i], &before.jobs.items[i]);
        if (i < old.numbers.len && old.numbers.items[i] == one->number)
            snapshot_job_done(&before.jobs.items[i++]);
        if (!one->is_gone)
            push(m, one->number, &one->job);
    }
    for (; i < old.numbers.len; i++)
        push(m, old.numbers.items[i], &before.jobs.items[i]);
    news->jobs.len = 0;
    vec_done(&old.numbers);
    vec_done(&before.jobs);
}

/* Machines and jobs are kept, and all else is REST's. */
static void take_rest(struct mirror *m, struct snapshot *rest)
{
    struct snapshot *s = m->snapshot;
    struct snapshot now = *rest, before = *s;

    memcpy(&now.nodes, &s->nodes, sizeof now.nodes);
    now.skipped = s->skipped;
    memcpy(&now.jobs, &s->jobs, sizeof now.jobs);
    memset(&before.nodes, 0, sizeof before.nodes);
    memset(&before.jobs, 0, sizeof before.jobs);
    *s = now;
    *rest = before;
}

void mirror_take(struct mirror *m, struct mirror_news *news)
{
    take_rest(m, news->rest);
    take_machines(m, news);
    take_jobs(m, news);
    mirror_news_done(news);
}
