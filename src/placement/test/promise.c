/* Conservative backfill by property: jobs come at random, tell how long they run at most, and often end sooner. Nobody starts
 * later than was promised, a promise never moves back, and jobs that fit between are let in. */
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
    size_t n_ended, n_promised, n_overtaken;
    int64_t now_us;
};

static struct schedule *make_schedule(unsigned depth)
{
    const struct schedule_options options = { .policy = &policy_conservative, .depth = depth };
    struct capacity *capacity = capacity_new(&score_best_fit);

    for (size_t i = 0; i < NODES; i++) {
        struct room size = { .cpu_milli = 64000, .n_gpus = i < 4 ? 8 : 4, .model = 1 };
        for (unsigned g = 0; g < size.n_gpus; g++)
            size.gpu[g] = CAPACITY_GPU;
        (void) capacity_add(capacity, &size);
    }
    return schedule_new(&options, capacity);
}

static void make(struct world *w, unsigned depth)
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
    }
}

static void look(struct world *w)
{
    for (size_t i = 0; i < JOBS; i++) {
        struct model *m = &w->jobs[i];
        if (!m->came || m->runs || m->ended)
            continue;
        int64_t at_us = schedule_promised_us(w->schedule, m->job.id);
        ok(at_us <= m->promised_us && at_us > w->now_us);
        w->n_promised += at_us != INT64_MAX;
        m->promised_us = at_us;
    }
}

static void pass(struct world *w)
{
    struct schedule_acts acts = { 0 };

    schedule_pass(w->schedule, w->now_us, &acts);
    vec_foreach(&acts, act) {
        struct model *m = &w->jobs[act->id - 1];
        ok(act->verb == SCHEDULE_START && !m->runs && !m->ended);
        ok(w->now_us <= m->promised_us);
        m->runs = true;
        m->started_us = w->now_us;
        for (const struct model *other = w->jobs; other < m; other++)
            w->n_overtaken += other->came && !other->runs && !other->ended;
    }
    vec_done(&acts);
    look(w);
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
            schedule_submit(w->schedule, &m->job, w->now_us);
        } else if (m->runs && m->started_us + m->length_us <= w->now_us) {
            m->runs = false;
            m->ended = true;
            w->n_ended++;
            schedule_end(w->schedule, m->job.id, w->now_us);
        }
    }
}

TEST(no_promise_is_ever_delayed)
{
    for (uint64_t from = 1; from <= 8; from++) {
        struct world *w = xnew(struct world);
        seed = from * 88172645463325252U;
        make(w, from % 2 ? JOBS : 5);
        for (unsigned i = 0; w->n_ended < JOBS && i < 20000; i++) {
            step(w);
            pass(w);
        }
        ok(w->n_ended == JOBS && w->n_promised > 100 && w->n_overtaken > 10);
        schedule_free(w->schedule);
        free(w);
    }
}

TAP_MAIN
