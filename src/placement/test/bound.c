/* How long a job may wait, by property: more is asked for than there is, small jobs come without end, and large ones among them.
 * The bounds are those of docs/design/0015; nothing is declared, so nobody knows when somebody will be gone. */
#include "placement/placement.h"

#include "base/alloc.h"
#include "tests/random.h"
#include "tests/tap.h"

#define SECOND INT64_C(1000000)

enum {
    MANY = 900,
    MACHINES = 3,
    STEP_S = 60,
    LONGEST_S = 4000,
    PATIENCE_S = 3600,
    GUARANTEED_S = 600
};

struct model {
    struct schedule_job job;
    int64_t came_s, since_s, started_s, left_s, waited_s, ran_s;
    unsigned before,
        before_ever; /* who waited when it began to; who came before it and had not gone */
    unsigned starts;
    bool runs, ended;
};

struct world {
    const struct policy *policy;
    struct schedule *schedule;
    struct model jobs[MANY];
    unsigned n_came, n_ended, n_long;
    int64_t now_s;
    bool preemptible, gangs;
};

static void make(struct world *w, const struct policy *policy)
{
    const struct schedule_options options = { .policy = policy,
                                              .guaranteed_us = GUARANTEED_S * SECOND,
                                              .patience_us = PATIENCE_S * SECOND,
                                              .half_life_us = 86400 * SECOND };
    struct capacity *capacity = capacity_new(&score_best_fit);
    struct room size = { .n_gpus = 4, .model = 1 };

    for (unsigned g = 0; g < 4; g++)
        size.gpu[g] = CAPACITY_GPU;
    for (size_t i = 0; i < MACHINES; i++)
        (void) capacity_add(capacity, &size);
    w->policy = policy;
    w->schedule = schedule_new(&options, capacity);
    for (unsigned group = 0; policy->shares && group < MANY; group++)
        (void) share_add(schedule_shares(w->schedule), SHARE_ROOT, 1);
}

static void begin_to_wait(struct world *w, struct model *m)
{
    m->since_s = w->now_s;
    m->before = (unsigned) schedule_waiting(w->schedule);
}

/* One in twelve wants a whole machine, or two; under fair every small one is of somebody who had nothing yet. */
static void come(struct world *w)
{
    struct model *m = &w->jobs[w->n_came];
    bool is_large = random_below(12) == 0;

    *m = (struct model){ .came_s = w->now_s,
                         .left_s = 1 + random_below(LONGEST_S),
                         .before_ever = w->n_came - w->n_ended };
    m->job = (struct schedule_job){
        .id = ++w->n_came,
        .ask = { .gpus = (uint16_t) (is_large ? 4 : 1 + random_below(2)),
                 .gpu_milli = CAPACITY_GPU },
        .tasks = is_large && w->gangs ? 1 + random_below(2) : 1,
        .preemptible = w->preemptible,
    };
    if (w->policy->shares)
        m->job.group = is_large ? 1 : w->n_came;
    begin_to_wait(w, m);
    schedule_submit(w->schedule, &m->job, w->now_s * SECOND);
}

/* The bound of one wait; under las of all of them. */
static int64_t bound_s(const struct world *w, const struct model *m)
{
    int64_t longest_s = LONGEST_S + STEP_S;

    if (w->policy->level)
        return 10 * m->ran_s + (m->starts + 1) * (PATIENCE_S + (m->before_ever + 1) * longest_s);
    int64_t all_s = (m->before + 1) * longest_s;
    if (w->policy->wait == WAIT_BLOCK)
        return all_s;
    return all_s + (w->policy->shares ? 2 * PATIENCE_S + longest_s : PATIENCE_S);
}

static void decide(struct world *w, struct schedule_acts *acts)
{
    acts->len = 0;
    schedule_pass(w->schedule, w->now_s * SECOND, acts);
    vec_foreach(acts, act) {
        struct model *m = &w->jobs[act->id - 1];
        int64_t wait_s = w->now_s - m->since_s;
        m->runs = act->verb == SCHEDULE_START;
        if (m->runs) {
            m->waited_s += wait_s;
            ok((w->policy->level ? m->waited_s : wait_s) <= bound_s(w, m));
            w->n_long += wait_s > PATIENCE_S;
            m->started_s = w->now_s;
            m->starts++;
            continue;
        }
        m->left_s -= w->now_s - m->started_s;
        m->ran_s += w->now_s - m->started_s;
        begin_to_wait(w, m);
    }
}

static void end(struct world *w)
{
    for (unsigned i = 0; i < w->n_came; i++) {
        struct model *m = &w->jobs[i];
        if (!m->runs || m->started_s + m->left_s > w->now_s)
            continue;
        m->runs = false;
        m->ended = true;
        w->n_ended++;
        schedule_end(w->schedule, m->job.id, w->now_s * SECOND);
    }
}

/* Nobody may wait beyond the bound, started or not. */
static void look(const struct world *w)
{
    for (unsigned i = 0; i < w->n_came && !w->policy->level; i++) {
        const struct model *m = &w->jobs[i];
        ok(m->runs || m->ended || w->now_s - m->since_s <= bound_s(w, m));
    }
}

static void play(const struct policy *policy, bool preemptible, bool gangs, uint64_t from)
{
    struct world *w = xnew(struct world);
    struct schedule_acts acts = { 0 };

    seed = from * 88172645463325252U;
    w->preemptible = preemptible;
    w->gangs = gangs;
    make(w, policy);
    for (unsigned i = 0; i < 20000 && w->n_ended < MANY; i++) {
        w->now_s += STEP_S;
        end(w);
        if (w->n_came < MANY && random_below(4) == 0)
            come(w);
        decide(w, &acts);
        look(w);
    }
    ok(w->n_ended == MANY && w->n_long > 20);
    vec_done(&acts);
    schedule_free(w->schedule);
    free(w);
}

TEST(nobody_waits_longer_than_the_bound_of_his_policy)
{
    for (const struct policy *const *policy = policies; *policy; policy++)
        for (unsigned kind = 0; kind < 4; kind++)
            play(*policy, kind & 1, kind & 2, kind + 1);
}

TAP_MAIN
