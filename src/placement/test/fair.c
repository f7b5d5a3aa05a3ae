/* The fair policy: over time groups run what is their part by weight, whatever their jobs are like; nobody is stopped whose
 * group runs no more than that; and who comes to full machines has its part at once. */
#include "placement/placement.h"

#include "base/alloc.h"
#include "tests/random.h"
#include "tests/tap.h"

#define SECOND INT64_C(1000000)
#define DAY    (86400 * SECOND)

enum { GROUPS = 6, MACHINES = 4, GPUS = 8, JOBS = 300, WAITING = 6 };

/* Two orgs of weight 1 and 3; in the first projects of 1 and 1, in the second of 1 and 4. */
static const uint32_t parents[GROUPS + 1] = { 0, 0, 0, 1, 1, 2, 2 };
static const unsigned weights[GROUPS + 1] = { 1, 1, 3, 1, 1, 1, 4 };

struct model {
    uint32_t group;
    unsigned gpus;
    bool runs, preemptible;
    int64_t left_us, started_us;
};

struct world {
    struct schedule *schedule;
    struct model jobs[JOBS]; /* id - 1; gpus 0: free */
    int64_t had[GROUPS + 1]; /* GPU-microseconds */
    unsigned n_waiting[GROUPS + 1], n_stopped;
    int64_t now_us;
    bool declares; /* jobs tell how long they run */
};

static struct schedule *make(int64_t guaranteed_us)
{
    const struct schedule_options options = { .policy = &policy_fair,
                                              .guaranteed_us = guaranteed_us,
                                              .restart_us = 30 * SECOND,
                                              .patience_us = 3600 * SECOND,
                                              .half_life_us = DAY };
    struct capacity *capacity = capacity_new(&score_best_fit);
    struct room size = { .n_gpus = GPUS, .model = 1 };

    for (unsigned i = 0; i < GPUS; i++)
        size.gpu[i] = CAPACITY_GPU;
    for (unsigned i = 0; i < MACHINES; i++)
        (void) capacity_add(capacity, &size);
    struct schedule *s = schedule_new(&options, capacity);
    for (uint32_t g = 1; g <= GROUPS; g++)
        ok(share_add(schedule_shares(s), parents[g], weights[g]) == g);
    return s;
}

static void submit(struct world *w, uint32_t group, unsigned gpus, int64_t length_us,
                   bool preemptible)
{
    size_t i = 0;

    while (w->jobs[i].gpus)
        i++;
    w->jobs[i] = (struct model){
        .group = group, .gpus = gpus, .left_us = length_us, .preemptible = preemptible
    };
    const struct schedule_job job = { .id = i + 1,
                                      .ask = { .gpus = (uint16_t) gpus, .gpu_milli = CAPACITY_GPU },
                                      .tasks = 1,
                                      .group = group,
                                      .preemptible = preemptible,
                                      .limit_us = w->declares ? length_us : 0 };
    schedule_submit(w->schedule, &job, w->now_us);
    w->n_waiting[group]++;
}

static bool is_in(uint32_t group, uint32_t ancestor)
{
    return group == ancestor || (group && is_in(parents[group], ancestor));
}

static int64_t running(const struct world *w, uint32_t group)
{
    int64_t sum = 0;

    for (size_t i = 0; i < JOBS; i++)
        if (w->jobs[i].gpus && w->jobs[i].runs && is_in(w->jobs[i].group, group))
            sum += w->jobs[i].gpus;
    return sum;
}

/* By everybody's weight: there are jobs of all. */
static bool has_its_part(const struct world *w, uint32_t group)
{
    int64_t sum = 0;

    for (uint32_t g = 1; g <= GROUPS; g++)
        sum += parents[g] == parents[group] ? weights[g] : 0;
    return running(w, group) * sum <= running(w, parents[group]) * weights[group];
}

static void stop(struct world *w, struct model *m)
{
    bool is_within = true; /* at every height */

    for (uint32_t g = m->group; g; g = parents[g])
        is_within &= has_its_part(w, g);
    ok(m->runs && m->preemptible && !is_within);
    w->had[m->group] += (w->now_us - m->started_us) * m->gpus;
    m->left_us -= w->now_us - m->started_us;
    m->runs = false;
    w->n_stopped++;
    w->n_waiting[m->group]++;
}

static void pass(struct world *w)
{
    struct schedule_acts acts = { 0 };

    schedule_pass(w->schedule, w->now_us, &acts);
    vec_foreach(&acts, act) {
        struct model *m = &w->jobs[act->id - 1];
        if (act->verb == SCHEDULE_STOP) {
            stop(w, m);
            continue;
        }
        m->runs = true;
        m->started_us = w->now_us;
        w->n_waiting[m->group]--;
    }
    vec_done(&acts);
    ok(running(w, SHARE_ROOT) <= MACHINES * GPUS);
}

static struct model *first_to_end(struct world *w)
{
    struct model *first = NULL;

    for (size_t i = 0; i < JOBS; i++) {
        struct model *m = &w->jobs[i];
        if (m->gpus && m->runs &&
            (!first || m->started_us + m->left_us < first->started_us + first->left_us))
            first = m;
    }
    return first;
}

static void end_first(struct world *w)
{
    struct model *m = first_to_end(w);

    if (m->started_us + m->left_us > w->now_us)
        w->now_us = m->started_us + m->left_us;
    w->had[m->group] += (w->now_us - m->started_us) * m->gpus;
    schedule_end(w->schedule, (uint64_t) (m - w->jobs) + 1, w->now_us);
    m->gpus = 0;
}

static void fill(struct world *w, bool preemptible)
{
    for (uint32_t g = 3; g <= GROUPS; g++)
        while (w->n_waiting[g] < WAITING)
            submit(w, g, 1 + random_below(g == 4 ? 4 : 2),
                   (60 + random_below(g == 5 ? 20000 : 6000)) * SECOND, preemptible);
}

static void expect_parts(const struct world *w)
{
    int64_t all = 0;
    /* of 40: 5, 5, 6, 24 */
    static const int64_t parts[GROUPS + 1] = { 0, 0, 0, 5, 5, 6, 24 };

    for (uint32_t g = 3; g <= GROUPS; g++)
        all += w->had[g];
    for (uint32_t g = 3; g <= GROUPS; g++) {
        int64_t want = all / 40 * parts[g],
                off = w->had[g] > want ? w->had[g] - want : want - w->had[g];
        if (off * 100 > want * 8)
            printf("# group %u had %lld, not %lld\n", g, (long long) (w->had[g] / SECOND),
                   (long long) (want / SECOND));
        ok(off * 100 <= want * 8);
    }
}

TEST(groups_run_their_part)
{
    for (unsigned round = 0; round < 8; round++) {
        struct world *w = xnew(struct world);
        seed = (round + 1) * 88172645463325252U;
        w->declares = round / 2 % 2;
        w->schedule = make(round % 4 * 600 * SECOND);
        while (w->now_us < 20 * DAY) {
            fill(w, round % 2);
            pass(w);
            end_first(w);
        }
        expect_parts(w);
        ok(round % 2 ? w->n_stopped > 0 : w->n_stopped == 0);
        schedule_free(w->schedule);
        free(w);
    }
}

/* One has everything; another comes, and has its part of the machines with the next pass, no more. */
TEST(who_comes_late_has_its_part_at_once)
{
    struct world *w = xnew(struct world);

    w->schedule = make(60 * SECOND);
    for (unsigned i = 0; i < 40; i++)
        submit(w, 5, 1, DAY, true);
    pass(w);
    ok(running(w, 5) == 32);
    w->now_us = 3600 * SECOND;
    for (unsigned i = 0; i < 40; i++)
        submit(w, 3, 1, DAY, true);
    pass(w);
    ok(running(w, 3) == 8 && running(w, 5) == 24); /* by weights 1 and 3 */
    w->now_us = 4000 * SECOND;
    pass(w);
    ok(running(w, 3) == 8 && w->n_stopped == 8);
    schedule_free(w->schedule);
    free(w);
}

/* Within a group priority and time decide; between groups they do not. */
TEST(priority_is_within_a_group)
{
    struct world *w = xnew(struct world);
    struct schedule_acts acts = { 0 };
    struct schedule_job job = { .ask = { .gpus = 8, .gpu_milli = CAPACITY_GPU },
                                .tasks = 1,
                                .group = 3 };
    struct schedule *s = w->schedule = make(0);

    for (job.id = 1; job.id <= 3; job.id++)
        schedule_submit(s, &job, 0);
    schedule_pass(s, 0, &acts);
    for (job.id = 4; job.id <= 9; job.id++) {
        static const uint32_t groups[] = { 3, 3, 3, 6, 6, 6 };
        job.group = groups[job.id - 4];
        job.priority = job.group == 3 ? 5 : (int) job.id;
        schedule_submit(s, &job, SECOND);
    }
    schedule_end(s, 1, 3600 * SECOND);
    acts.len = 0;
    schedule_pass(s, 3600 * SECOND, &acts);
    ok(acts.len == 2 && acts.items[0].id == 9 && acts.items[1].id == 8);
    vec_done(&acts);
    schedule_free(s);
    free(w);
}

TAP_MAIN
