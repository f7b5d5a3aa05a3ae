/* The schedule by property: jobs come, run and end at random, on machines of several sizes, under every policy. What is
 * started fits what is free (counted a second time from the decisions alone), gangs start whole, only those are stopped who
 * may be, for somebody of more right, and all jobs end. */
#include "placement/placement.h"

#include "base/alloc.h"
#include "tests/random.h"
#include "tests/tap.h"

#include <string.h>

#define SECOND INT64_C(1000000)

enum { NODES = 6, JOBS = 400 };

struct model {
    struct schedule_job job;
    int64_t came_us, left_us, started_us;
    bool came, runs, ended;
    unsigned stops;
    /* It fails so often, after so long each time; how many were stopped for it before it failed, and later. */
    unsigned fails, failed, stopped_first, stopped_later;
    int64_t fails_after_us, failed_us;
    struct choice places[4];
};

struct world {
    const struct policy *policy;
    struct schedule *schedule;
    struct room sizes[NODES];
    struct model jobs[JOBS];
    int64_t now_us;
    size_t n_ended;
};

static const int64_t guaranteed_us = 120 * SECOND, restart_us = 30 * SECOND,
                     patience_us = 3600 * SECOND, backoff_us = 10 * SECOND;

static void make(struct world *w, const struct policy *policy)
{
    const struct schedule_options options = { policy, guaranteed_us, restart_us, patience_us,
                                              .backoff_us = backoff_us };
    struct capacity *capacity = capacity_new(&score_best_fit);

    w->policy = policy;
    for (size_t i = 0; i < NODES; i++) {
        struct room *size = &w->sizes[i];
        *size = (struct room){
            .cpu_milli = 64000, .memory_mib = 65536, .n_gpus = i < 4 ? 8 : 4, .model = 1
        };
        for (unsigned g = 0; g < size->n_gpus; g++)
            size->gpu[g] = CAPACITY_GPU;
        (void) capacity_add(capacity, size);
    }
    w->schedule = schedule_new(&options, capacity);
    int64_t at_us = 0;
    for (size_t i = 0; i < JOBS; i++) {
        static const uint16_t gpus[] = { 1, 1, 1, 2, 4, 8, 0 };
        struct model *m = &w->jobs[i];
        m->came_us = at_us += random_below(200) * SECOND;
        m->left_us = (1 + random_below(1 + random_below(8000))) * SECOND;
        m->job = (struct schedule_job){ .id = i * 7 + 1,
                                        .ask = { 1000, 1024, gpus[random_below(7)], 0, 0 },
                                        .tasks = 1 + random_below(20) / 18 * random_below(4),
                                        .priority = random_below(20) == 0,
                                        .preemptible = random_below(4) > 0,
                                        .limit_us = m->left_us };
        m->job.ask.gpu_milli = m->job.ask.gpus ? CAPACITY_GPU : 0;
        if (random_below(16) == 0) {
            m->fails = 1 + random_below(12);
            m->fails_after_us = (1 + random_below(3599)) * SECOND;
        }
        if (m->job.ask.gpus == 8 && m->job.tasks > 4)
            m->job.tasks = 4;
    }
}

static struct model *find(struct world *w, uint64_t id) { return &w->jobs[(id - 1) / 7]; }

static void check_room(const struct world *w)
{
    struct room rooms[NODES];

    memcpy(rooms, w->sizes, sizeof rooms);
    for (size_t i = 0; i < JOBS; i++) {
        const struct model *m = &w->jobs[i];
        for (unsigned t = 0; m->runs && t < m->job.tasks; t++) {
            struct room *room = &rooms[m->places[t].node];
            ok(room_holds(room, &m->job.ask));
            for (uint32_t gpus = m->places[t].gpus; gpus; gpus &= gpus - 1) {
                uint16_t *gpu = &room->gpu[__builtin_ctz(gpus)];
                ok(*gpu == CAPACITY_GPU);
                *gpu = 0;
            }
            room->cpu_milli -= m->job.ask.cpu_milli;
            room->memory_mib -= m->job.ask.memory_mib;
        }
    }
}

/* OTHER: for whose sake. */
static void stop(struct world *w, struct model *m, const struct model *other)
{
    ok(m->runs && m->job.preemptible && w->policy->preempts);
    ok(m->job.priority < other->job.priority ||
       (w->policy->level && m->job.priority == other->job.priority));
    ok(w->now_us - m->started_us >= guaranteed_us);
    m->left_us += restart_us - (w->now_us - m->started_us);
    if (m->left_us < SECOND)
        m->left_us = SECOND;
    m->runs = false;
    m->stops++;
}

static const struct model *started_after(struct world *w, const struct schedule_act *act)
{
    while (act->verb != SCHEDULE_START)
        act++;
    return find(w, act->id);
}

/* Crash loops: however often it comes back, no more than two are stopped for it if there were not more at once. */
static void check_start(const struct world *w, struct model *m, unsigned n_stopped)
{
    int64_t wait_us = backoff_us << (m->failed ? m->failed - 1 : 0);

    *(m->failed ? &m->stopped_later : &m->stopped_first) += n_stopped;
    if (m->failed == 0)
        return;
    ok(m->stopped_later == 0 || m->stopped_first + m->stopped_later <= SCHEDULE_DAMPED_STOPS);
    ok(w->now_us - m->failed_us >= (wait_us < SCHEDULE_STEADY_US ? wait_us : SCHEDULE_STEADY_US));
}

static void pass(struct world *w)
{
    struct schedule_acts acts = { 0 };
    bool was_held_back = false;
    unsigned n_stopped = 0;

    schedule_pass(w->schedule, w->now_us, &acts);
    vec_foreach(&acts, act) {
        struct model *m = find(w, act->id);
        if (act->verb == SCHEDULE_STOP) {
            stop(w, m, started_after(w, act));
            n_stopped++;
            continue;
        }
        check_start(w, m, n_stopped);
        n_stopped = 0;
        ok(m->came && !m->runs && !m->ended);
        m->runs = true;
        m->started_us = w->now_us;
        memcpy(m->places, act->places, m->job.tasks * sizeof *m->places);
    }
    vec_done(&acts);
    check_room(w);
    /* fifo: nobody runs whom an earlier one of at least its priority waits before. */
    for (size_t i = 0; w->policy == &policy_fifo && i < JOBS; i++) {
        const struct model *m = &w->jobs[i];
        if (m->came && !m->ended && !m->runs && !m->failed && m->job.priority == 1)
            was_held_back = true;
        ok(!(was_held_back && m->job.priority == 1 && m->runs && m->started_us == w->now_us));
    }
}

static int64_t next_end(const struct model *m)
{
    int64_t run_us = m->left_us;

    if (m->failed < m->fails && m->fails_after_us < run_us)
        run_us = m->fails_after_us;
    return m->started_us + run_us;
}

static int64_t next_moment(const struct world *w)
{
    int64_t next_us = schedule_next_us(w->schedule, w->now_us);

    for (size_t i = 0; i < JOBS; i++) {
        const struct model *m = &w->jobs[i];
        int64_t at_us = !m->came ? m->came_us : m->runs ? next_end(m) : INT64_MAX;
        next_us = at_us < next_us ? at_us : next_us;
    }
    return next_us;
}

static void happen(struct world *w)
{
    for (size_t i = 0; i < JOBS; i++) {
        struct model *m = &w->jobs[i];
        if (!m->came && m->came_us <= w->now_us) {
            m->came = true;
            schedule_submit(w->schedule, &m->job, w->now_us);
        } else if (m->runs && next_end(m) <= w->now_us) {
            m->runs = false;
            if (m->failed < m->fails && m->fails_after_us < m->left_us) {
                m->failed++;
                m->failed_us = w->now_us;
                schedule_requeue(w->schedule, m->job.id, w->now_us);
                continue;
            }
            m->ended = true;
            w->n_ended++;
            schedule_end(w->schedule, m->job.id, w->now_us);
        }
    }
}

/* A sum of all that was decided. */
static uint64_t play(const struct policy *policy, uint64_t from)
{
    struct world *w = xnew(struct world);
    uint64_t sum = 0;

    seed = from;
    make(w, policy);
    while (w->n_ended < JOBS) {
        int64_t next_us = next_moment(w);
        ok(next_us != INT64_MAX && next_us >= w->now_us);
        if (next_us == INT64_MAX)
            break;
        w->now_us = next_us;
        happen(w);
        pass(w);
    }
    ok(w->n_ended == JOBS && schedule_waiting(w->schedule) == 0);
    for (size_t i = 0; i < JOBS; i++)
        sum = sum * 31 + (uint64_t) w->jobs[i].started_us + w->jobs[i].stops;
    schedule_free(w->schedule);
    free(w);
    return sum;
}

TEST(all_jobs_end_and_nothing_is_given_twice)
{
    for (const struct policy *const *policy = policies; *policy; policy++)
        for (uint64_t from = 1; from <= 4; from++)
            ok(play(*policy, from * 88172645463325252U) ==
               play(*policy, from * 88172645463325252U));
}

static struct schedule *small(const struct policy *policy, unsigned machines)
{
    const struct schedule_options options = { policy, guaranteed_us, restart_us, patience_us };
    struct capacity *capacity = capacity_new(&score_best_fit);
    const struct room size = { 0, 0, 4, { 1000, 1000, 1000, 1000 }, 1 };

    for (unsigned i = 0; i < machines; i++)
        (void) capacity_add(capacity, &size);
    return schedule_new(&options, capacity);
}

/* Submit a preemptible job of GPUS and make a pass; what was decided, as "+1 -2". */
static const char *come(struct schedule *s, uint64_t id, uint16_t gpus, int64_t limit_s,
                        int64_t at_s)
{
    static char text[256];
    struct schedule_acts acts = { 0 };
    const struct schedule_job job = { .id = id,
                                      .ask = { 0, 0, gpus, CAPACITY_GPU, 0 },
                                      .tasks = 1,
                                      .preemptible = true,
                                      .limit_us = limit_s * SECOND };

    if (gpus)
        schedule_submit(s, &job, at_s * SECOND);
    schedule_pass(s, at_s * SECOND, &acts);
    text[0] = '\0';
    vec_foreach(&acts, act)
        (void) snprintf(text + strlen(text), sizeof text - strlen(text), "%s%c%llu",
                        text[0] ? " " : "", act->verb == SCHEDULE_START ? '+' : '-',
                        (unsigned long long) act->id);
    vec_done(&acts);
    return text;
}

TEST(who_does_not_fit_waits_as_the_policy_says)
{
    static const struct {
        const struct policy *policy;
        const char *small_one, *short_one;
    } cases[] = { { &policy_fifo, "", "" },
                  { &policy_skip, "+3", "+4" },
                  { &policy_easy, "", "+4" } };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct schedule *s = small(cases[i].policy, 1);
        is_str(come(s, 1, 2, 1000, 0), "+1");
        is_str(come(s, 2, 4, 1000, 0), "");
        is_str(come(s, 3, 1, 5000, 0), cases[i].small_one); /* it would run when 2 could begin */
        is_str(come(s, 4, 1, 900, 0), cases[i].short_one);
        schedule_free(s);
    }
}

TEST(victims_are_the_fewest_and_have_had_more)
{
    struct schedule *s = small(&policy_las, 2);

    is_str(come(s, 1, 2, 0, 0), "+1");
    is_str(come(s, 2, 2, 0, 0), "+2");
    is_str(come(s, 3, 4, 0, 1500), "+3");
    is_str(come(s, 4, 2, 0, 1560), "");      /* all are of its level */
    is_str(come(s, 5, 0, 0, 3000), "-1 +4"); /* 3 is of the same level as 1, and costs four GPUs */
    schedule_free(s);
}

TEST(a_higher_priority_has_others_stopped_whatever_the_policy)
{
    for (const struct policy *const *policy = policies; *policy; policy++) {
        if (!(*policy)->preempts)
            continue;
        struct schedule *s = small(*policy, 1);
        const struct schedule_job urgent = {
            .id = 9, .ask = { 0, 0, 1, CAPACITY_GPU, 0 }, .tasks = 1, .priority = 1
        };
        is_str(come(s, 1, 4, 0, 0), "+1");
        schedule_submit(s, &urgent, 10 * SECOND);
        is_str(come(s, 0, 0, 0, 10), ""); /* it has not had what it is guaranteed */
        is_str(come(s, 0, 0, 0, guaranteed_us / SECOND), "-1 +9");
        schedule_end(s, 9, 2 * guaranteed_us);
        is_str(come(s, 0, 0, 0, 3 * guaranteed_us / SECOND), "+1");
        schedule_free(s);
    }
}

/* All of a machine is asked for, where new jobs of one GPU come for ever and each ends before the next one does. */
TEST(a_large_job_is_not_passed_over_for_ever)
{
    static const struct policy *const passing[] = { &policy_skip, &policy_las };

    for (size_t i = 0; i < sizeof passing / sizeof *passing; i++) {
        struct schedule *s = small(passing[i], 1);
        int64_t at_s = 0, began_s = 0;
        (void) come(s, 1, 1, 0, at_s);
        is_str(come(s, 1000000, 4, 0, at_s), "");
        for (uint64_t id = 2; id < 100 && !began_s; id++) {
            at_s += 300;
            if (strstr(come(s, id, 1, 0, at_s), "+1000000"))
                began_s = at_s;
            schedule_end(s, id - 1, (at_s + 1) * SECOND);
            if (strstr(come(s, 0, 0, 0, at_s + 1), "+1000000"))
                began_s = at_s;
        }
        ok(began_s >= patience_us / SECOND && began_s <= patience_us / SECOND + 600);
        schedule_free(s);
    }
}

TEST(who_is_held_is_passed_over_and_keeps_its_place)
{
    struct schedule *s = small(&policy_skip, 1);

    is_str(come(s, 1, 4, 0, 0), "+1");
    is_str(come(s, 2, 4, 0, 1), "");
    is_str(come(s, 3, 4, 0, 2), "");
    schedule_hold(s, 2, true);
    schedule_end(s, 1, 3 * SECOND);
    is_str(come(s, 0, 0, 0, 3), "+3");
    ok(schedule_waiting(s) == 1);
    is_str(come(s, 4, 4, 0, 4), "");
    schedule_hold(s, 2, false);
    schedule_end(s, 3, 5 * SECOND);
    is_str(come(s, 0, 0, 0, 5), "+2");
    schedule_requeue(s, 2, 6 * SECOND);
    is_str(come(s, 0, 0, 0, 6), "+2");
    schedule_free(s);
}

/* What a server knows when it starts again: who came when, who runs where. */
TEST(who_runs_already_is_told_of)
{
    struct schedule *s = small(&policy_las, 2);
    struct choice place = { .node = 1, .gpus = 3 };
    const struct schedule_job old = { .id = 1,
                                      .ask = { .gpus = 2, .gpu_milli = CAPACITY_GPU },
                                      .tasks = 1,
                                      .preemptible = true,
                                      .ran_us = 7200 * SECOND,
                                      .since_us = SECOND };

    schedule_submit(s, &old, 10000 * SECOND);
    schedule_run(s, 1, &place, 9000 * SECOND);
    is_str(come(s, 2, 4, 0, 10000), "+2");
    is_str(come(s, 3, 4, 0, 10000), "-1 +3");
    schedule_free(s);
}

/* Many wait, of few demands, some with a past; who is taken out of the middle of a line is gone. */
TEST(anybody_may_leave_at_any_time)
{
    enum { MANY = 2000 };
    static uint64_t ids[MANY];

    for (const struct policy *const *policy = policies; *policy; policy++) {
        struct schedule *s = small(*policy, 2);
        seed = 88172645463325252U;
        for (uint64_t i = 0; i < MANY; i++) {
            uint64_t at = random_below((uint32_t) i + 1);
            ids[i] = ids[at];
            ids[at] = i + 1;
            (void) come(s, i + 1, (uint16_t) (1 + i % 3), (int64_t) (i % 7) * 100, (int64_t) i);
        }
        for (size_t i = 0; i < MANY; i++) {
            schedule_hold(s, ids[random_below(MANY)], random_below(2));
            schedule_requeue(s, ids[random_below(MANY)], (int64_t) (MANY + i) * SECOND);
            schedule_end(s, ids[i], (int64_t) (MANY + i) * SECOND);
            ok(schedule_waiting(s) <= MANY - i - 1);
            (void) come(s, 0, 0, 0, (int64_t) (MANY + i));
        }
        ok(schedule_waiting(s) == 0 && schedule_next_us(s, 0) == INT64_MAX);
        is_str(come(s, MANY + 1, 4, 0, 5000), "+2001");
        is_str(come(s, MANY + 2, 4, 0, 5000), "+2002");
        schedule_free(s);
    }
}

/* The bound of docs/design/0015: K jobs wait before it when it comes, none runs longer than LONGEST. More is asked for than
 * there is, so that without patience those for a whole machine would wait until all others have gone. */
TEST(nobody_waits_longer_than_the_bound)
{
    enum { MANY = 1200, LONGEST_S = 4000 };
    static const struct policy *const passing[] = { &policy_skip, &policy_easy };
    static int64_t came_s[MANY + 1], end_s[MANY + 1], bound_s[MANY + 1];

    for (size_t p = 0; p < sizeof passing / sizeof *passing; p++) {
        struct schedule *s = small(passing[p], 2);
        struct schedule_acts acts = { 0 };
        unsigned n_large = 0;
        int64_t at_s = 0;
        seed = 88172645463325252U + p;
        for (uint64_t id = 1; id <= MANY || schedule_waiting(s) > 0;) {
            at_s += 60;
            for (uint64_t i = 1; i < id; i++)
                if (end_s[i] && end_s[i] <= at_s) {
                    schedule_end(s, i, at_s * SECOND);
                    end_s[i] = 0;
                }
            if (id <= MANY && random_below(4) == 0) {
                uint16_t gpus = random_below(12) ? (uint16_t) (1 + random_below(2)) : 4;
                const struct schedule_job job = { .id = id,
                                                  .ask = { 0, 0, gpus, CAPACITY_GPU, 0 },
                                                  .tasks = 1 };
                came_s[id] = at_s;
                bound_s[id] =
                    patience_us / SECOND + (int64_t) (schedule_waiting(s) + 1) * (LONGEST_S + 60);
                schedule_submit(s, &job, at_s * SECOND);
                end_s[id++] = 0;
            }
            acts.len = 0;
            schedule_pass(s, at_s * SECOND, &acts);
            vec_foreach(&acts, act) {
                end_s[act->id] = at_s + 1 + random_below(LONGEST_S);
                ok(at_s - came_s[act->id] <= bound_s[act->id]);
                n_large += at_s - came_s[act->id] > patience_us / SECOND;
            }
        }
        ok(n_large > 20); /* patience was needed */
        vec_done(&acts);
        schedule_free(s);
    }
}

TAP_MAIN
