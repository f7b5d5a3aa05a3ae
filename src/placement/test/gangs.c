/* Gangs in the schedule, by property: jobs of every wish (within a leaf, block or site, apart, parts of GPUs) on machines of
 * several sizes at random spots, which are cordoned, lost and come back while jobs fail, are held and are given another priority.
 *
 * All of a gang starts or none, where it wished; nobody is stopped but for a job that starts where he was; no gang waits that
 * would fit in one domain if those were stopped who may be; who waits longest starts within the bound of docs/design/0015; and under
 * conservative nobody starts later than he was first promised. */
#include "placement/schedule.h"

#include "base/alloc.h"
#include "placement/score.h"
#include "tests/random.h"
#include "tests/tap.h"

#include <string.h>

#define SECOND INT64_C(1000000)

enum { NODES_MAX = 20, JOBS = 120, TASKS_MAX = 6, LONGEST_S = 3000 };

static const int64_t guaranteed_us = 60 * SECOND, patience_us = 1800 * SECOND;

enum state { COMES, WAITS, RUNS, ENDED };

struct model {
    struct schedule_job job;
    enum state state;
    int64_t came_us, started_us, length_us, bound_us, promised_us;
    bool is_held, ever_failed;
    struct choice places[TASKS_MAX];
};

/* What may happen beside jobs that come and end. */
struct trouble {
    bool cordons, losses, failures, holds, priorities;
};

struct world {
    const struct policy *policy;
    struct trouble trouble;
    struct schedule *schedule;
    struct capacity *capacity; /* the schedule's */
    size_t n;
    struct room sizes[NODES_MAX];
    struct spot spots[NODES_MAX];
    bool is_lost[NODES_MAX];
    uint32_t groups[3];
    struct model jobs[JOBS];
    size_t n_came, n_ended;
    int64_t now_us;
    unsigned n_stopped, n_late, n_within;
};

/* ---- a world ------------------------------------------------------------------------------------------- */

static struct room machine(void)
{
    static const uint16_t gpus[] = { 0, 4, 8, 8 };
    struct room room = {
        .cpu_milli = 32000, .memory_mib = 65536, .n_gpus = gpus[random_below(4)], .model = 1
    };

    for (unsigned g = 0; g < room.n_gpus; g++)
        room.gpu[g] = CAPACITY_GPU;
    return room;
}

static void make(struct world *w, const struct policy *policy, const struct trouble *trouble,
                 int64_t patience)
{
    const struct schedule_options options = { .policy = policy,
                                              .guaranteed_us = guaranteed_us,
                                              .patience_us = patience,
                                              .backoff_us = 5 * SECOND };

    *w = (struct world){ .policy = policy, .trouble = *trouble };
    w->capacity = capacity_new(&score_best_fit);
    w->n = 1 + random_below(NODES_MAX);
    for (size_t i = 0; i < w->n; i++) {
        w->sizes[i] = machine();
        w->spots[i] = (struct spot){ random_below(2), random_below(2), random_below(2) };
        (void) capacity_add(w->capacity, &w->sizes[i]);
        capacity_stand(w->capacity, i, &w->spots[i]);
    }
    w->schedule = schedule_new(&options, w->capacity);
    uint32_t org = share_add(schedule_shares(w->schedule), SHARE_ROOT, 1);
    w->groups[0] = share_add(schedule_shares(w->schedule), org, 1);
    w->groups[1] = share_add(schedule_shares(w->schedule), org, 2);
    w->groups[2] = share_add(schedule_shares(w->schedule), SHARE_ROOT, 1);
}

static bool same(const struct world *w, unsigned level, size_t a, size_t b)
{
    const struct spot *x = &w->spots[a], *y = &w->spots[b];

    return (level < LEVEL_SITE || x->site == y->site) &&
           (level < LEVEL_BLOCK || x->block == y->block) &&
           (level < LEVEL_LEAF || x->leaf == y->leaf);
}

/* Do ROOMS hold all of JOB in one domain? */
static bool holds(const struct world *w, const struct room *rooms, const struct schedule_job *job)
{
    unsigned level = job->tasks > 1 ? job->wish.within : LEVEL_ALL;

    for (size_t i = 0; i < w->n; i++) {
        unsigned sum = 0;
        for (size_t k = 0; k < w->n; k++)
            if (same(w, level, i, k))
                sum +=
                    room_times(&rooms[k], &job->ask, job->wish.apart && w->n > 1 ? 1 : job->tasks);
        if (sum >= job->tasks)
            return true;
    }
    return false;
}

static void draw(const struct world *w, struct schedule_job *job)
{
    static const uint16_t parts[] = { 1000, 1000, 500, 300 };
    struct ask *ask = &job->ask;

    do {
        ask->cpu_milli = (int32_t) (1 + random_below(random_below(6) ? 4 : 32)) * 1000;
        ask->memory_mib = 1024;
        ask->gpus = (uint16_t) (random_below(4) == 0 ? 0 : 1u << random_below(4));
        ask->gpu_milli = ask->gpus == 0   ? 0
                         : ask->gpus == 1 ? parts[random_below(4)]
                                          : CAPACITY_GPU;
        job->tasks = random_below(2) ? 1 : 1 + random_below(TASKS_MAX);
        job->wish = (struct wish){ (uint8_t) random_below(LEVEL_NODE), random_below(2) };
    } while (!holds(w, w->sizes, job));
    job->preemptible = random_below(3) > 0;
    job->group = w->groups[random_below(3)];
}

/* ---- what was decided ------------------------------------------------------------------------------------ */

static bool is_somewhere(const struct model *m, const struct model *other)
{
    for (unsigned i = 0; i < m->job.tasks; i++)
        for (unsigned k = 0; k < other->job.tasks; k++)
            if (m->places[i].node == other->places[k].node)
                return true;
    return false;
}

static void check_wishes(const struct world *w, const struct model *m)
{
    const struct schedule_job *job = &m->job;

    for (unsigned i = 0; i < job->tasks; i++) {
        ok(!capacity_is_closed(w->capacity, m->places[i].node) && !w->is_lost[m->places[i].node]);
        ok(same(w, job->tasks > 1 ? job->wish.within : LEVEL_ALL, m->places[0].node,
                m->places[i].node));
        for (unsigned k = 0; job->wish.apart && w->n > 1 && k < i; k++)
            ok(m->places[k].node != m->places[i].node);
    }
}

/* What is free if those were gone who may be stopped for JOB by priority; NULL: as it is. */
static void count_room(const struct world *w, const struct schedule_job *job, struct room *ret)
{
    for (size_t i = 0; i < w->n; i++)
        ret[i] = capacity_is_closed(w->capacity, i) ? (struct room){ 0 }
                                                    : *capacity_size(w->capacity, i);
    for (size_t i = 0; i < w->n_came; i++) {
        const struct model *m = &w->jobs[i];
        if (m->state != RUNS || (job && m->job.preemptible && m->job.priority < job->priority &&
                                 w->now_us - m->started_us >= guaranteed_us))
            continue;
        for (unsigned t = 0; t < m->job.tasks; t++) {
            struct room *room = &ret[m->places[t].node];
            bool closed = capacity_is_closed(w->capacity, m->places[t].node);
            room->cpu_milli -= m->job.ask.cpu_milli;
            room->memory_mib -= m->job.ask.memory_mib;
            ok(closed || (room->cpu_milli >= 0 && room->memory_mib >= 0));
            for (uint32_t gpus = m->places[t].gpus; gpus && !closed; gpus &= gpus - 1) {
                uint16_t *gpu = &room->gpu[__builtin_ctz(gpus)];
                ok(*gpu >= m->job.ask.gpu_milli);
                *gpu = (uint16_t) (*gpu - m->job.ask.gpu_milli);
            }
        }
    }
}

static struct model *find(struct world *w, uint64_t id) { return &w->jobs[id - 1]; }

static void carry_out(struct world *w, const struct schedule_acts *acts)
{
    struct model *stopped[JOBS];
    size_t n_stopped = 0;

    vec_foreach(acts, act) {
        struct model *m = find(w, act->id);
        if (act->verb == SCHEDULE_STOP) {
            ok(m->state == RUNS && m->job.preemptible &&
               w->now_us - m->started_us >= guaranteed_us);
            m->state = WAITS;
            stopped[n_stopped++] = m;
            continue;
        }
        ok(m->state == WAITS && !m->is_held);
        m->state = RUNS;
        m->started_us = w->now_us;
        memcpy(m->places, act->places, m->job.tasks * sizeof *m->places);
        check_wishes(w, m);
        w->n_within += m->job.tasks > 1 && m->job.wish.within && n_stopped > 0;
        for (size_t i = 0; i < n_stopped; i++)
            ok(is_somewhere(stopped[i], m) && stopped[i] != m);
        w->n_stopped += (unsigned) n_stopped;
        n_stopped = 0;
        if (m->bound_us) {
            ok(w->now_us <= m->bound_us);
            w->n_late += w->now_us - m->came_us > patience_us;
            m->bound_us = 0;
        }
        if (m->promised_us)
            ok(w->now_us <= m->promised_us);
    }
    ok(n_stopped == 0);
}

/* Where priority decides alone and nothing is kept for anybody, nobody waits for whom others may be stopped. */
static void check_nobody_waits_needlessly(struct world *w)
{
    struct room rooms[NODES_MAX];

    for (size_t i = 0; i < w->n_came; i++) {
        const struct model *m = &w->jobs[i];
        if (m->state != WAITS || m->is_held || m->ever_failed)
            continue;
        count_room(w, &m->job, rooms);
        ok(!holds(w, rooms, &m->job));
    }
}

static void note_promises(struct world *w)
{
    for (size_t i = 0; i < w->n_came; i++) {
        struct model *m = &w->jobs[i];
        int64_t at_us = m->state == WAITS ? schedule_promised_us(w->schedule, m->job.id) : 0;
        if (m->state == WAITS && at_us != INT64_MAX && m->promised_us == 0)
            m->promised_us = at_us;
    }
}

/* ---- what happens ------------------------------------------------------------------------------------------ */

static void come(struct world *w)
{
    struct model *m = &w->jobs[w->n_came++];

    *m = (struct model){ .state = WAITS, .came_us = w->now_us };
    draw(w, &m->job);
    m->job.id = w->n_came;
    m->length_us = (1 + random_below(LONGEST_S)) * SECOND;
    m->job.limit_us = random_below(4) ? m->length_us + random_below(3) * 100 * SECOND : 0;
    schedule_submit(w->schedule, &m->job, w->now_us);
}

static void end(struct world *w, struct model *m)
{
    m->state = ENDED;
    w->n_ended++;
    schedule_end(w->schedule, m->job.id, w->now_us);
}

static void fail(struct world *w, struct model *m)
{
    m->state = WAITS;
    m->ever_failed = true;
    schedule_requeue(w->schedule, m->job.id, w->now_us);
}

static void cordon(struct world *w)
{
    size_t node = random_below((unsigned) w->n);

    capacity_close(w->capacity, node, !capacity_is_closed(w->capacity, node));
}

/* It is gone with all who were there, or comes back. */
static void lose(struct world *w)
{
    static const struct room none;
    size_t node = random_below((unsigned) w->n);

    if (w->is_lost[node]) {
        w->is_lost[node] = false;
        capacity_set(w->capacity, node, &w->sizes[node], &w->sizes[node]);
        return;
    }
    for (size_t i = 0; i < w->n_came; i++) {
        struct model *m = &w->jobs[i];
        bool is_there = false;
        for (unsigned t = 0; m->state == RUNS && t < m->job.tasks; t++)
            is_there |= m->places[t].node == node;
        if (is_there)
            fail(w, m);
    }
    w->is_lost[node] = true;
    capacity_set(w->capacity, node, &none, &none);
}

static void hold(struct world *w, struct model *m)
{
    if (m->state != WAITS)
        return;
    m->is_held = !m->is_held;
    schedule_hold(w->schedule, m->job.id, m->is_held);
}

/* As a server does it: it leaves, and comes with the place in line that it had. */
static void change_priority(struct world *w, struct model *m)
{
    if (m->state != WAITS || m->ever_failed)
        return;
    schedule_end(w->schedule, m->job.id, w->now_us);
    m->job.priority = (int) random_below(5) - 2;
    m->job.since_us = m->came_us > 0 ? m->came_us : 1;
    schedule_submit(w->schedule, &m->job, w->now_us);
    schedule_hold(w->schedule, m->job.id, m->is_held);
}

static void trouble(struct world *w)
{
    struct model *any = w->n_came ? &w->jobs[random_below((unsigned) w->n_came)] : NULL;
    unsigned what = random_below(40);

    if (what == 0 && w->trouble.cordons)
        cordon(w);
    else if (what == 1 && w->trouble.losses)
        lose(w);
    else if (what == 2 && w->trouble.failures && any && any->state == RUNS)
        fail(w, any);
    else if (what == 3 && w->trouble.holds && any)
        hold(w, any);
    else if (what < 8 && w->trouble.priorities && any)
        change_priority(w, any);
}

static void pass(struct world *w)
{
    struct schedule_acts acts = { 0 };
    struct room rooms[NODES_MAX];

    schedule_pass(w->schedule, w->now_us, &acts);
    carry_out(w, &acts);
    vec_done(&acts);
    count_room(w, NULL, rooms);
    for (size_t i = 0; i < w->n; i++)
        ok(capacity_is_closed(w->capacity, i) ||
           memcmp(rooms[i].gpu, capacity_room(w->capacity, i)->gpu, sizeof rooms[i].gpu) == 0);
}

static void leave_in_time(struct world *w)
{
    for (size_t i = 0; i < w->n_came; i++)
        if (w->jobs[i].state == RUNS && w->jobs[i].started_us + w->jobs[i].length_us <= w->now_us)
            end(w, &w->jobs[i]);
}

/* All that went wrong is mended. */
static void mend(struct world *w)
{
    w->trouble = (struct trouble){ 0 };
    for (size_t i = 0; i < w->n; i++) {
        capacity_close(w->capacity, i, false);
        if (w->is_lost[i])
            capacity_set(w->capacity, i, &w->sizes[i], &w->sizes[i]);
        w->is_lost[i] = false;
    }
    for (size_t i = 0; i < w->n_came; i++)
        if (w->jobs[i].is_held)
            hold(w, &w->jobs[i]);
}

static uint64_t done(struct world *w)
{
    uint64_t sum = 0;

    ok(w->n_ended == JOBS && schedule_waiting(w->schedule) == 0);
    for (size_t i = 0; i < JOBS; i++)
        sum = sum * 31 + (uint64_t) w->jobs[i].started_us + w->jobs[i].places[0].node;
    schedule_free(w->schedule);
    return sum;
}

/* When somebody ends or the schedule wants to look, or some time later. */
static int64_t next_moment(const struct world *w)
{
    int64_t next_us = w->now_us + (1 + random_below(120)) * SECOND;
    int64_t look_us = schedule_next_us(w->schedule, w->now_us);

    if (look_us > w->now_us && look_us < next_us)
        next_us = look_us;
    for (size_t i = 0; i < w->n_came; i++) {
        const struct model *m = &w->jobs[i];
        if (m->state == RUNS && m->started_us + m->length_us < next_us)
            next_us = m->started_us + m->length_us;
    }
    return next_us;
}

/* AFTER is called after each pass; a sum of all that was decided. */
static uint64_t play(struct world *w, void (*after)(struct world *w))
{
    for (unsigned step = 0; w->n_ended < JOBS && step < 200 * JOBS; step++) {
        w->now_us = next_moment(w);
        leave_in_time(w);
        if (w->n_came < JOBS && random_below(3))
            come(w);
        else if (w->n_came == JOBS && step > 5 * JOBS)
            mend(w);
        trouble(w);
        pass(w);
        if (after)
            after(w);
    }
    return done(w);
}

TEST(a_gang_starts_whole_where_it_wished_or_not_at_all)
{
    static const struct trouble all = { true, true, true, true, true };
    struct world *w = xnew(struct world);

    for (const struct policy *const *policy = policies; *policy; policy++)
        for (uint64_t from = 1; from <= 8; from++) {
            uint64_t sums[2];
            for (unsigned i = 0; i < 2; i++) {
                seed = from * 88172645463325252U;
                make(w, *policy, &all, random_below(2) ? patience_us : 0);
                sums[i] = play(w, NULL);
            }
            ok(sums[0] == sums[1]);
        }
    free(w);
}

TEST(others_are_stopped_in_one_domain_wherever_that_helps)
{
    static const struct trouble some = {
        .cordons = true, .losses = true, .holds = true, .priorities = true
    };
    struct world *w = xnew(struct world);
    unsigned n_stopped = 0, n_within = 0;

    for (uint64_t from = 1; from <= 40; from++) {
        seed = from * 88172645463325252U;
        make(w, &policy_skip, &some, 0);
        (void) play(w, check_nobody_waits_needlessly);
        n_stopped += w->n_stopped;
        n_within += w->n_within;
    }
    ok(n_stopped > 300 && n_within > 20);
    free(w);
}

static void note_bounds(struct world *w)
{
    struct model *m = w->n_came ? &w->jobs[w->n_came - 1] : NULL;

    if (m && m->came_us == w->now_us && m->state == WAITS)
        m->bound_us =
            w->now_us + patience_us + (int64_t) schedule_waiting(w->schedule) * LONGEST_S * SECOND;
}

TEST(no_gang_waits_longer_than_the_bound)
{
    static const struct trouble none;
    static const struct policy *const passing[] = { &policy_skip, &policy_easy };
    struct world *w = xnew(struct world);
    unsigned n_late = 0;

    for (size_t p = 0; p < 2; p++)
        for (uint64_t from = 1; from <= 40; from++) {
            seed = from * 88172645463325252U;
            make(w, passing[p], &none, patience_us);
            (void) play(w, note_bounds);
            n_late += w->n_late;
        }
    ok(n_late > 100); /* patience was needed */
    free(w);
}

TEST(nobody_starts_later_than_he_was_promised)
{
    static const struct trouble none;
    struct world *w = xnew(struct world);

    for (uint64_t from = 1; from <= 40; from++) {
        seed = from * 88172645463325252U;
        make(w, &policy_conservative, &none, 0);
        (void) play(w, note_promises);
    }
    free(w);
}

/* Of more than 32 tasks on a machine no more than 32 were ever stopped. */
TEST(a_whole_machine_is_had_from_many_small_jobs)
{
    enum { SMALL = 50 };
    const struct schedule_options options = { .policy = &policy_skip };
    struct capacity *capacity = capacity_new(&score_best_fit);
    const struct room size = { .cpu_milli = SMALL * 1000, .memory_mib = 1024 };
    struct schedule_acts acts = { 0 };

    (void) capacity_add(capacity, &size);
    struct schedule *s = schedule_new(&options, capacity);
    for (uint64_t id = 1; id <= SMALL + 1; id++) {
        const struct schedule_job job = { .id = id,
                                          .ask.cpu_milli = id <= SMALL ? 1000 : 45 * 1000,
                                          .tasks = 1,
                                          .priority = id > SMALL,
                                          .preemptible = true };
        schedule_submit(s, &job, (int64_t) id * SECOND);
        acts.len = 0;
        schedule_pass(s, (int64_t) id * SECOND, &acts);
        ok(acts.len == (id <= SMALL ? 1 : 46));
    }
    vec_done(&acts);
    schedule_free(s);
}

TAP_MAIN
