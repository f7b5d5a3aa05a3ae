/* entry.c - jobs, and the lines in which they wait */
#include "placement/column.h"

#include "base/alloc.h"

#include <stdlib.h>

enum { STEPS_MAX = 64 };

/* ---- demands and lines --------------------------------------------------------------------------------- */

static struct demand *demand_of(struct schedule *s, const struct schedule_job *job)
{
    uint64_t hash = hash_mix(ask_hash(&job->ask), job->tasks);

    for (struct link *l = table_first(&s->demands, hash); l; l = link_next(l)) {
        struct demand *demand = link_owner(l, struct demand, link);
        if (demand->tasks == job->tasks && ask_equal(&demand->ask, &job->ask) &&
            wish_equal(demand->wish, job->wish))
            return demand;
    }
    struct demand *demand = xnew(struct demand);
    demand->ask = job->ask;
    demand->tasks = job->tasks;
    demand->wish = job->wish;
    table_add(&s->demands, &demand->link, hash);
    return demand;
}

/* Declared times that are alike by a factor of two share a line. */
static unsigned limits_of(int64_t limit_us)
{
    return limit_us > 0 ? 64 - (unsigned) __builtin_clzll((unsigned long long) limit_us) : 0;
}

static struct line *line_of(struct schedule *s, const struct schedule_job *job)
{
    struct demand *demand = demand_of(s, job);
    unsigned limits = limits_of(job->limit_us);
    uint64_t hash = hash_mix(demand->link.hash, (uint64_t) (int64_t) job->priority * 64 + limits);

    hash = hash_mix(hash, (uint64_t) job->group * 2 + job->preemptible);

    for (struct link *l = table_first(&s->lines, hash); l; l = link_next(l)) {
        struct line *line = link_owner(l, struct line, link);
        if (line->demand == demand && line->priority == job->priority && line->limits == limits &&
            line->group == job->group && line->preemptible == job->preemptible)
            return line;
    }
    struct line *line = xnew(struct line);
    line->demand = demand;
    line->priority = job->priority;
    line->group = job->group;
    line->preemptible = job->preemptible;
    line->limits = limits;
    demand->n_lines++;
    table_add(&s->lines, &line->link, hash);
    line->column = column_of(s, line);
    return line;
}

static void line_release(struct schedule *s, struct line *line)
{
    struct demand *demand = line->demand;

    if (--line->n_entries > 0)
        return;
    table_remove(&s->lines, &line->link);
    column_release(s, line);
    free(line);
    if (--demand->n_lines > 0)
        return;
    table_remove(&s->demands, &demand->link);
    free(demand);
}

bool entry_is_before(const struct entry *a, const struct entry *b)
{
    return a->since_us != b->since_us ? a->since_us < b->since_us : a->number < b->number;
}

/* Nearly always it is the last. False: its place is too far ahead to be looked for. */
static bool line_insert(struct schedule *s, struct line *line, struct entry *entry)
{
    struct entry *ahead = line->last;

    for (unsigned steps = 0; ahead && entry_is_before(entry, ahead); ahead = ahead->ahead)
        if (++steps == STEPS_MAX)
            return false;
    struct entry *behind = ahead ? ahead->behind : line->first;
    if (!ahead && line->first)
        column_remove(s, line);
    entry->ahead = ahead;
    entry->behind = behind;
    *(ahead ? &ahead->behind : &line->first) = entry;
    *(behind ? &behind->ahead : &line->last) = entry;
    if (!ahead)
        column_add(s, line);
    return true;
}

static void line_remove(struct schedule *s, struct line *line, struct entry *entry)
{
    bool is_first = line->first == entry;

    if (is_first)
        column_remove(s, line);
    *(entry->ahead ? &entry->ahead->behind : &line->first) = entry->behind;
    *(entry->behind ? &entry->behind->ahead : &line->last) = entry->ahead;
    if (is_first && line->first)
        column_add(s, line);
}

/* ---- whose patience runs out --------------------------------------------------------------------------- */

int64_t entry_waits_since(const struct entry *entry)
{
    return entry->past ? entry->past->waits_since_us : entry->since_us;
}

bool entry_is_due(const struct schedule *s, const struct entry *entry, int64_t now_us)
{
    return s->options.patience_us > 0 &&
           now_us - entry_waits_since(entry) >= s->options.patience_us;
}

bool entry_is_overdue(const struct schedule *s, const struct entry *entry, int64_t now_us)
{
    return s->options.policy->shares && entry->line->group != SHARE_ROOT &&
           entry_is_due(s, entry, now_us - s->options.patience_us);
}

/* Nearly always the newest. */
static void patience_add(struct schedule *s, struct entry *entry)
{
    struct entry *older = s->newest;

    if (s->options.patience_us == 0)
        return;
    while (older && entry_waits_since(older) > entry_waits_since(entry))
        older = older->older;
    struct entry *newer = older ? older->newer : s->oldest;
    entry->older = older;
    entry->newer = newer;
    *(older ? &older->newer : &s->oldest) = entry;
    *(newer ? &newer->older : &s->newest) = entry;
    entry->is_patient = true;
    s->n_patient++;
}

static void patience_remove(struct schedule *s, struct entry *entry)
{
    if (!entry->is_patient)
        return;
    *(entry->older ? &entry->older->newer : &s->oldest) = entry->newer;
    *(entry->newer ? &entry->newer->older : &s->newest) = entry->older;
    entry->is_patient = false;
    s->n_patient--;
}

void patience_look(struct schedule *s, int64_t now_us)
{
    while (s->oldest && entry_waits_since(s->oldest) + s->options.patience_us <= now_us)
        patience_remove(s, s->oldest);
}

/* ---- jobs ---------------------------------------------------------------------------------------------- */

struct entry *entry_find(const struct schedule *s, uint64_t id)
{
    for (struct link *l = table_first(&s->by_id, hash_mix(0, id)); l; l = link_next(l)) {
        struct entry *entry = link_owner(l, struct entry, link);
        if (entry->id == id)
            return entry;
    }
    return NULL;
}

static void past_take(struct past *past, const struct schedule_job *job)
{
    past->ran_us = job->ran_us;
    past->returns = job->returns;
    past->stopped = job->stopped;
    if (job->waits_since_us)
        past->waits_since_us = job->waits_since_us;
}

struct entry *entry_new(struct schedule *s, const struct schedule_job *job, int64_t now_us)
{
    struct entry *entry = xnew(struct entry);

    entry->id = job->id;
    entry->number = s->n_came++;
    entry->since_us = job->since_us ? job->since_us : now_us;
    entry->limit_us = job->limit_us;
    entry->line = line_of(s, job);
    entry->line->n_entries++;
    if (job->ran_us > 0 || job->waits_since_us || job->returns || job->stopped)
        past_take(entry_past(entry), job);
    table_add(&s->by_id, &entry->link, hash_mix(0, job->id));
    share_count(s->share, job->group, 1);
    return entry;
}

void entry_free(struct schedule *s, struct entry *entry)
{
    table_remove(&s->by_id, &entry->link);
    share_count(s->share, entry->line->group, -1);
    line_release(s, entry->line);
    if (entry->past)
        free(entry->past->places);
    free(entry->past);
    free(entry);
}

struct past *entry_past(struct entry *entry)
{
    if (!entry->past) {
        entry->past = xnew(struct past);
        entry->past->waits_since_us = entry->since_us;
    }
    return entry->past;
}

void entry_join(struct schedule *s, struct entry *entry)
{
    struct demand *demand = entry->line->demand;

    if (entry->is_held || entry->is_ready || (entry->past && entry->past->wake_at))
        return;
    entry->is_ready = true;
    s->n_ready++;
    s->n_demands_ready += demand->n_ready++ == 0;
    if (entry->past || !line_insert(s, entry->line, entry)) {
        entry_past(entry)->at = s->apart.len;
        vec_push(&s->apart, entry);
    }
    patience_add(s, entry);
}

void entry_leave(struct schedule *s, struct entry *entry)
{
    struct demand *demand = entry->line->demand;

    if (!entry->is_ready)
        return;
    entry->is_ready = false;
    s->n_ready--;
    s->n_demands_ready -= --demand->n_ready == 0;
    if (entry->past) {
        struct entry *moved = s->apart.items[--s->apart.len];
        s->apart.items[entry->past->at] = moved;
        moved->past->at = entry->past->at;
    } else {
        line_remove(s, entry->line, entry);
    }
    patience_remove(s, entry);
}

int64_t entry_weight(const struct entry *entry)
{
    int64_t gpus = (int64_t) entry_ask(entry)->gpus * entry_tasks(entry);

    return gpus > 0 ? gpus : 1;
}

int64_t entry_milli(const struct entry *entry)
{
    enum { CORES_OF_GPU = 8 };
    const struct ask *ask = entry_ask(entry);
    int64_t milli = (int64_t) ask->gpus * ask->gpu_milli;

    if (milli == 0)
        milli = ask->cpu_milli / CORES_OF_GPU;
    return (milli > 0 ? milli : 1) * entry_tasks(entry);
}

struct claim entry_claim(const struct entry *entry, int64_t now_us)
{
    const struct past *past = entry->past;
    int64_t ran_us = 0;

    if (past)
        ran_us = past->ran_us + (entry_runs(entry) ? now_us - past->started_us : 0);
    return (struct claim){ .priority = entry->line->priority,
                           .since_us = entry->since_us,
                           .served_us = ran_us * entry_weight(entry),
                           .credit_us = (now_us - entry->since_us - ran_us) * entry_weight(entry),
                           .preemptible = entry->line->preemptible };
}

unsigned entry_level(const struct schedule *s, const struct entry *entry, int64_t now_us)
{
    const struct claim claim = entry_claim(entry, now_us);

    return s->options.policy->level ? s->options.policy->level(&claim) : 0;
}

unsigned entry_right(const struct schedule *s, const struct entry *entry)
{
    /* Who never ran: a credit for time waited takes it no lower than the first level. */
    const struct claim claim = { .priority = entry->line->priority };

    if (entry->past)
        return entry->past->level;
    return s->options.policy->level ? s->options.policy->level(&claim) : 0;
}
