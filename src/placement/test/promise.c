/* Conservative backfill by property: jobs come at random, tell how long they run at most, and often end sooner. Nobody starts
 * later than was promised, a promise never moves back, and jobs that fit between are let in. With priorities it moves back for jobs
 * of higher priority alone; those stop preemptible ones of lower priority, nobody else, and none within its guaranteed time. */
#include "placement/placement.h"

#include "base/alloc.h"
#include "tests/random.h"
#include "tests/tap.h"

#define SECOND INT64_C(1000000)

enum { NODES = 5, JOBS = 300 };

struct model {
    struct schedule_job job;
    int64_t came_us, length_us, started_us, promised_us;
    bool came, runs, ended;
};

struct world {
    struct schedule *schedule;
    struct model jobs[JOBS];
    size_t n_ended, n_promised, n_overtaken, n_stopped;
    int64_t now_us;
    int highest; /* priority of who came to wait, or started, since promises were looked at */
};

static const int64_t guaranteed_us = 300 * SECOND;

static struct schedule *make_schedule(unsigned depth)
{
    const struct schedule_options options = { .policy = &policy_conservative,
                                              .depth = depth,
                                              .guaranteed_us = guaranteed_us };
    struct capacity *capacity = capacity_new(&score_best_fit);

    for (size_t i = 0; i < NODES; i++) {
        struct room size = { .cpu_milli = 64000, .n_gpus = i < 4 ? 8 : 4, .model = 1 };
        for (unsigned g = 0; g < size.n_gpus; g++)
            size.gpu[g] = CAPACITY_GPU;
        (void) capacity_add(capacity, &size);
    }
    return schedule_new(&options, capacity);
}

static void make(struct world *w, unsigned depth, bool with_priorities)
{
    int64_t at_us = 0;

    w->schedule = make_schedule(depth);
    for (size_t i = 0; i < JOBS; i++) {
        static const uint16_t gpus[] = { 1, 1, 2, 4, 8, 8 };
        struct model *m = &w->jobs[i];
        m->came_us = at_us += random_below(400) * SECOND;
        m->length_us = (60 + random_below(1 + random_below(9000))) * SECOND;
        m->promised_us = INT64_MAX;
        m->job = (struct schedule_job){
            .id = i + 1,
            .ask = { .cpu_milli = 1000, .gpus = gpus[random_below(6)], .gpu_milli = CAPACITY_GPU },
            .tasks = 1 + random_below(10) / 8 * random_below(4),
            .limit_us = m->length_us * (4 + random_below(8)) / 4
        };
        if (with_priorities) {
            m->job.priority = (int) (random_below(12) / 9);
            m->job.preemptible = random_below(3) > 0;
        }
    }
}

static void look(struct world *w)
{
    for (size_t i = 0; i < JOBS; i++) {
        struct model *m = &w->jobs[i];
        if (!m->came || m->runs || m->ended)
            continue;
        int64_t at_us = schedule_promised_us(w->schedule, m->job.id);
        ok((at_us <= m->promised_us || m->job.priority < w->highest) && at_us > w->now_us);
        w->n_promised += at_us != INT64_MAX;
        m->promised_us = at_us;
    }
}

/* For whoever starts next. */
static void stop(struct world *w, struct model *m, const struct schedule_act *act)
{
    while (act->verb == SCHEDULE_STOP)
        act++;
    ok(m->runs && m->job.preemptible && w->now_us - m->started_us >= guaranteed_us);
    ok(m->job.priority < w->jobs[act->id - 1].job.priority);
    m->runs = false;
    m->promised_us = INT64_MAX;
    w->n_stopped++;
}

static void pass(struct world *w)
{
    struct schedule_acts acts = { 0 };

    schedule_pass(w->schedule, w->now_us, &acts);
    vec_foreach(&acts, act) {
        struct model *m = &w->jobs[act->id - 1];
        if (act->verb == SCHEDULE_STOP) {
            stop(w, m, act);
            continue;
        }
        ok(!m->runs && !m->ended && (w->now_us <= m->promised_us || m->job.priority < w->highest));
        if (m->job.priority > w->highest)
            w->highest = m->job.priority;
        m->runs = true;
        m->started_us = w->now_us;
        for (const struct model *other = w->jobs; other < m; other++)
            w->n_overtaken += other->came && !other->runs && !other->ended;
    }
    vec_done(&acts);
    look(w);
    w->highest = 0;
}

static void step(struct world *w)
{
    int64_t next_us = schedule_next_us(w->schedule, w->now_us);

    for (size_t i = 0; i < JOBS; i++) {
        const struct model *m = &w->jobs[i];
        int64_t at_us = !m->came ? m->came_us : m->runs ? m->started_us + m->length_us : INT64_MAX;
        next_us = at_us < next_us ? at_us : next_us;
    }
    w->now_us = next_us;
    for (size_t i = 0; i < JOBS; i++) {
        struct model *m = &w->jobs[i];
        if (!m->came && m->came_us <= w->now_us) {
            m->came = true;
            if (m->job.priority > w->highest)
                w->highest = m->job.priority;
            schedule_submit(w->schedule, &m->job, w->now_us);
        } else if (m->runs && m->started_us + m->length_us <= w->now_us) {
            m->runs = false;
            m->ended = true;
            w->n_ended++;
            schedule_end(w->schedule, m->job.id, w->now_us);
        }
    }
}

static void play(uint64_t from, bool with_priorities)
{
    struct world *w = xnew(struct world);

    seed = from * 88172645463325252U;
    make(w, from % 2 ? JOBS : 5, with_priorities);
    for (unsigned i = 0; w->n_ended < JOBS && i < 20000; i++) {
        step(w);
        pass(w);
    }
    ok(w->n_ended == JOBS && w->n_promised > 100 && w->n_overtaken > 10);
    ok(with_priorities ? w->n_stopped > 10 : w->n_stopped == 0);
    schedule_free(w->schedule);
    free(w);
}

TEST(no_promise_is_ever_delayed)
{
    for (uint64_t from = 1; from <= 8; from++)
        play(from, false);
}

TEST(but_for_a_job_of_higher_priority)
{
    for (uint64_t from = 1; from <= 8; from++)
        play(from, true);
}

/* ---- parts of GPUs, exactly ------------------------------------------------------------------------------- */

#define HOUR (3600 * SECOND)

/* One machine with a few GPUs, of which some are in use, wholly or in parts, each until some time. */
struct small {
    struct schedule *schedule;
    unsigned n_gpus, left[3];
    int64_t until_us[3]; /* when the last who has anything of it is gone */
    struct schedule_acts acts;
};

static const struct schedule_act *submit(struct small *w, uint64_t id, unsigned gpus,
                                         unsigned milli, int64_t limit_us)
{
    const struct schedule_job job = {
        .id = id,
        .ask = { .cpu_milli = 1000, .gpus = (uint16_t) gpus, .gpu_milli = (uint16_t) milli },
        .tasks = 1,
        .limit_us = limit_us
    };

    w->acts.len = 0;
    schedule_submit(w->schedule, &job, HOUR);
    schedule_pass(w->schedule, HOUR, &w->acts);
    ok(w->acts.len <= 1);
    return w->acts.len ? w->acts.items : NULL;
}

static void fill_some(struct small *w)
{
    for (uint64_t id = 1; id <= 2 * w->n_gpus; id++) {
        unsigned milli = 250 * (1 + random_below(4));
        int64_t limit_us = (1 + random_below(6)) * HOUR;
        const struct schedule_act *act = submit(w, id, 1, milli, limit_us);
        if (!act) {
            schedule_end(w->schedule, id, HOUR);
            continue;
        }
        unsigned gpu = (unsigned) __builtin_ctz(act->places[0].gpus);
        ok(w->left[gpu] >= milli);
        w->left[gpu] -= milli;
        if (w->until_us[gpu] < HOUR + limit_us)
            w->until_us[gpu] = HOUR + limit_us;
    }
}

static unsigned in_use(const struct small *w, int64_t at_us)
{
    unsigned n = 0;

    for (unsigned i = 0; i < w->n_gpus; i++)
        n += w->until_us[i] > at_us;
    return n;
}

/* Has a part that ends then a GPU on which it leaves, at the time promised, so many whole ones? */
static bool may_begin(const struct small *w, unsigned milli, int64_t until_us, unsigned gpus,
                      int64_t promised_us)
{
    for (unsigned i = 0; i < w->n_gpus; i++) {
        bool is_alone = w->until_us[i] <= promised_us && until_us > promised_us;
        if (w->left[i] >= milli && in_use(w, promised_us) + is_alone + gpus <= w->n_gpus)
            return true;
    }
    return false;
}

TEST(a_part_begins_wherever_it_delays_nobody)
{
    unsigned n_beside = 0, n_waits = 0;

    for (unsigned run = 0; run < 600; run++) {
        struct small w = { .n_gpus = 1 + random_below(3) };
        struct capacity *capacity = capacity_new(run % 2 ? &score_best_fit : &score_yield);
        struct room size = { .cpu_milli = 64000, .n_gpus = (uint16_t) w.n_gpus, .model = 1 };
        for (unsigned g = 0; g < w.n_gpus; g++)
            size.gpu[g] = (uint16_t) (w.left[g] = CAPACITY_GPU);
        (void) capacity_add(capacity, &size);
        w.schedule =
            schedule_new(&(const struct schedule_options){ .policy = &policy_conservative },
                         capacity);
        fill_some(&w);
        unsigned gpus = 1 + random_below(w.n_gpus), milli = 250 * (1 + random_below(3));
        if (!submit(&w, 100, gpus, CAPACITY_GPU, 5 * HOUR)) {
            int64_t promised_us = schedule_promised_us(w.schedule, 100), at_us = HOUR;
            while (in_use(&w, at_us) + gpus > w.n_gpus)
                at_us += HOUR;
            ok(promised_us == at_us);
            int64_t limit_us = (1 + random_below(8)) * HOUR;
            bool may = may_begin(&w, milli, HOUR + limit_us, gpus, promised_us);
            bool begins = submit(&w, 101, 1, milli, limit_us);
            ok(begins == may);
            ok(schedule_promised_us(w.schedule, 100) == promised_us);
            n_beside += begins;
            n_waits += !begins;
        }
        vec_done(&w.acts);
        schedule_free(w.schedule);
    }
    ok(n_beside > 50 && n_waits > 50);
}

TAP_MAIN
