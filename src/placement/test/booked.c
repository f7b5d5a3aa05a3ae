/* Bookings by property: jobs and bookings come at random, under every policy. While a booking lasts others have no more of its
 * machines than it leaves; nobody is stopped who may not be, or before the guaranteed time; and all jobs that can, end. */
#include "placement/placement.h"

#include "base/alloc.h"
#include "tests/random.h"
#include "tests/tap.h"

#include <string.h>

#define SECOND INT64_C(1000000)
#define HOUR   (3600 * SECOND)

enum { NODES = 4, JOBS = 250, BOOKINGS = 12, GROUPS = 3 };

struct model {
    struct schedule_job job;
    int64_t came_us, left_us, started_us;
    bool came, runs, ended;
    struct choice places[4];
};

struct kept {
    struct booking booking;
    struct booking_part *parts; /* owned */
};

struct world {
    const struct policy *policy;
    struct schedule *schedule;
    struct model jobs[JOBS];
    struct kept kept[BOOKINGS];
    size_t n_kept, n_ended, n_inside, n_parts, n_looked_at;
    int64_t now_us, next_booking_us;
};

static const int64_t guaranteed_us = 300 * SECOND, notice_us = 120 * SECOND;

static struct room size_of(size_t node)
{
    struct room size = {
        .cpu_milli = 64000, .memory_mib = 65536, .n_gpus = node < 3 ? 8 : 4, .model = 1
    };

    for (unsigned i = 0; i < size.n_gpus; i++)
        size.gpu[i] = CAPACITY_GPU;
    return size;
}

static void make(struct world *w, const struct policy *policy)
{
    const struct schedule_options options = { .policy = policy,
                                              .guaranteed_us = guaranteed_us,
                                              .restart_us = 30 * SECOND,
                                              .patience_us = 6 * HOUR,
                                              .notice_us = notice_us };
    struct capacity *capacity = capacity_new(&score_best_fit);
    int64_t at_us = 0;

    for (size_t i = 0; i < NODES; i++) {
        const struct room size = size_of(i);
        (void) capacity_add(capacity, &size);
    }
    w->policy = policy;
    w->schedule = schedule_new(&options, capacity);
    for (uint32_t g = 1; g <= GROUPS; g++)
        (void) share_add(schedule_shares(w->schedule), g == 3 ? 2 : SHARE_ROOT, 1); /* 3 is of 2 */
    for (size_t i = 0; i < JOBS; i++) {
        static const uint16_t gpus[] = { 1, 1, 2, 4, 8, 0 };
        struct model *m = &w->jobs[i];
        m->came_us = at_us += random_below(500) * SECOND;
        m->left_us = (60 + random_below(1 + random_below(9000))) * SECOND;
        m->job = (struct schedule_job){ .id = i + 1,
                                        .ask = { .cpu_milli = 4000, .gpus = gpus[random_below(6)] },
                                        .tasks = 1 + random_below(20) / 18 * random_below(3),
                                        .group = 1 + random_below(GROUPS),
                                        .priority = random_below(3) ? 0 : (int) random_below(3),
                                        .preemptible = random_below(3) == 0,
                                        .limit_us = random_below(4) ? m->left_us * 3 / 2 : 0 };
        m->job.ask.gpu_milli = m->job.ask.gpus ? CAPACITY_GPU : 0;
        if (m->job.ask.gpus == 1 && random_below(2)) {
            m->job.ask.gpu_milli = (uint16_t) (250 * (1 + random_below(3)));
            m->job.ask.cpu_milli = 1000;
        }
    }
}

static bool is_in(uint32_t group, uint32_t ancestor)
{
    return group == ancestor || (group == 3 && ancestor == 2);
}

/* ---- bookings ---------------------------------------------------------------------------------------- */

struct there {
    struct stay stays[64];
    size_t n;
};

static struct booking_node look(const struct world *w, size_t node, struct there *there)
{
    const struct room size = size_of(node);

    there->n = 0;
    for (size_t i = 0; i < JOBS; i++) {
        const struct model *m = &w->jobs[i];
        for (unsigned t = 0; m->runs && t < m->job.tasks; t++)
            if (m->places[t].node == node)
                there->stays[there->n++] = (struct stay){
                    .group = m->job.group,
                    .from_us = m->started_us,
                    .until_us = m->job.limit_us ? m->started_us + m->job.limit_us : INT64_MAX,
                    .preemptible = m->job.preemptible,
                    .milli = booking_share(&size, &m->job.ask, 1),
                    .gpus = m->job.ask.gpu_milli % CAPACITY_GPU ? m->places[t].gpus : 0
                };
    }
    return (struct booking_node){ booking_size(&size), true, there->stays, there->n };
}

static void book(struct world *w)
{
    static struct there there[NODES];
    struct booking_node nodes[NODES];
    struct kept *kept = &w->kept[w->n_kept];
    struct booking *b = &kept->booking;
    struct error err = { 0 };

    w->next_booking_us = w->now_us + (600 + random_below(14000)) * SECOND;
    if (w->n_kept == BOOKINGS)
        return;
    for (size_t i = 0; i < NODES; i++)
        nodes[i] = look(w, i, &there[i]);
    *b = (struct booking){ .id = w->n_kept + 1,
                           .group = 1 + random_below(GROUPS),
                           .from_us = w->now_us + random_below(4) * HOUR };
    b->until_us = b->from_us + (1 + random_below(4)) * HOUR;
    const size_t n_nodes = random_below(2) * (1 + random_below(2));
    const struct booking_wish wish = { .group = b->group,
                                       .now_us = w->now_us,
                                       .from_us = b->from_us,
                                       .until_us = b->until_us,
                                       .nodes = n_nodes,
                                       .gpus = n_nodes ? 0 : 1 + random_below(10) };
    const struct calendar *calendar = schedule_calendar(w->schedule);
    _cleanup_(calendar_freep) struct calendar *empty = calendar_new(
        &(const struct calendar_options){ .notice_us = notice_us, .guaranteed_us = guaranteed_us });
    if (booking_choose(calendar ? calendar : empty, nodes, NODES, &wish, &kept->parts, &b->n_parts,
                       &err) < 0)
        return;
    b->parts = kept->parts;
    schedule_book(w->schedule, b);
    w->n_kept++;
}

/* Others have no more of a machine than what is kept there now leaves: of its cores, and of GPUs those of which they have nothing. */
static void check_kept_on(struct world *w, const struct booking *b, const struct booking_part *part)
{
    struct there there;
    const struct booking_node node = look(w, part->node, &there);
    int64_t cores = 0, whole = 0;
    uint32_t gpus = 0;
    bool any_inside = false;

    for (size_t k = 0; k < there.n; k++) {
        const struct stay *stay = &there.stays[k];
        if (is_in(stay->group, b->group)) {
            any_inside = true;
            continue;
        }
        cores += stay->milli;
        whole += stay->gpus ? 0 : stay->milli;
        gpus |= stay->gpus;
        w->n_parts += stay->gpus != 0;
    }
    ok(cores + part->milli <= node.milli);
    ok(whole + __builtin_popcount(gpus) * CAPACITY_GPU + part->milli <= node.milli);
    w->n_inside += any_inside;
}

static void check_kept(struct world *w)
{
    for (size_t i = 0; i < w->n_kept; i++) {
        const struct booking *b = &w->kept[i].booking;
        for (size_t p = 0; w->now_us >= b->from_us && w->now_us < b->until_us && p < b->n_parts;
             p++)
            check_kept_on(w, b, &b->parts[p]);
    }
}

/* ---- who might stop others -------------------------------------------------------------------------------- */

/* Has NODE room for JOB when those of SET are gone, and may it begin then, on GPU if it has a part of one? */
static bool may_begin(const struct world *w, const struct schedule_job *job, size_t node,
                      const struct model *const *there, size_t n, uint32_t set, unsigned gpu)
{
    const struct room size = size_of(node);
    struct room room = size;
    struct stay stays[32];
    struct booking_node at = { booking_size(&size), true, stays, 0 };
    bool is_part = job->ask.gpu_milli % CAPACITY_GPU;

    for (size_t i = 0; i < n; i++) {
        const struct model *m = there[i];
        if (set & 1u << i)
            continue;
        room.cpu_milli -= m->job.ask.cpu_milli;
        for (unsigned g = 0; g < size.n_gpus; g++)
            if (m->places[0].gpus & 1u << g)
                room.gpu[g] = (uint16_t) (room.gpu[g] - m->job.ask.gpu_milli);
        stays[at.n_stays++] =
            (struct stay){ m->job.group,
                           m->started_us,
                           m->job.limit_us ? m->started_us + m->job.limit_us : INT64_MAX,
                           m->job.preemptible,
                           booking_share(&size, &m->job.ask, 1),
                           m->job.ask.gpu_milli % CAPACITY_GPU ? m->places[0].gpus : 0 };
    }
    const struct stay stay = { job->group,
                               w->now_us,
                               job->limit_us ? w->now_us + job->limit_us : INT64_MAX,
                               job->preemptible,
                               booking_share(&size, &job->ask, 1),
                               is_part ? 1u << gpu : 0 };
    return room_holds(&room, &job->ask) && (!is_part || room.gpu[gpu] >= job->ask.gpu_milli) &&
           !calendar_obstacle(schedule_calendar(w->schedule), node, &at, &stay);
}

/* Who is on NODE, all of them single tasks; those that JOB may stop come first. */
static size_t find_there(const struct world *w, const struct schedule_job *job, size_t node,
                         const struct model **ret, size_t *ret_prey)
{
    size_t n = 0;

    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < JOBS; i++) {
            const struct model *m = &w->jobs[i];
            bool is_prey = m->job.preemptible && m->job.priority < job->priority &&
                           w->now_us - m->started_us >= guaranteed_us;
            for (unsigned t = 0; m->runs && t < m->job.tasks; t++)
                if (m->places[t].node == node && is_prey == (round == 0)) {
                    if (m->job.tasks > 1 || n == 32)
                        return SIZE_MAX;
                    ret[n++] = m;
                }
        }
        if (round == 0)
            *ret_prey = n;
    }
    return n;
}

/* After a pass that decided nothing nobody waits who could begin where others of less priority are stopped, booked or not. */
static void check_force(struct world *w)
{
    const struct model *there[32];
    uint64_t kept_for;

    if (w->policy != &policy_skip || !schedule_calendar(w->schedule) ||
        schedule_keeps(w->schedule, &kept_for))
        return;
    for (size_t i = 0; i < JOBS; i++) {
        const struct model *m = &w->jobs[i];
        if (!m->came || m->runs || m->ended || m->job.priority == 0 || m->job.tasks > 1)
            continue;
        for (size_t node = 0; node < NODES; node++) {
            size_t prey, n = find_there(w, &m->job, node, there, &prey);
            if (n == SIZE_MAX || prey == 0 || prey > 8)
                continue;
            w->n_looked_at++;
            for (uint32_t set = 0; set < 1u << prey; set++)
                for (unsigned gpu = 0; gpu < 8; gpu++)
                    ok(!may_begin(w, &m->job, node, there, n, set, gpu));
        }
    }
}

/* ---- time -------------------------------------------------------------------------------------------- */

static void pass(struct world *w)
{
    struct schedule_acts acts = { 0 };

    schedule_pass(w->schedule, w->now_us, &acts);
    vec_foreach(&acts, act) {
        struct model *m = &w->jobs[act->id - 1];
        if (act->verb == SCHEDULE_STOP) {
            ok(m->runs && m->job.preemptible && w->now_us - m->started_us >= guaranteed_us);
            m->left_us -= w->now_us - m->started_us;
            m->left_us = m->left_us < SECOND ? SECOND : m->left_us;
            m->runs = false;
            continue;
        }
        ok(!m->runs && !m->ended);
        m->runs = true;
        m->started_us = w->now_us;
        memcpy(m->places, act->places, m->job.tasks * sizeof *m->places);
    }
    if (acts.len == 0)
        check_force(w);
    vec_done(&acts);
    check_kept(w);
}

static int64_t next_moment(const struct world *w)
{
    int64_t next_us = schedule_next_us(w->schedule, w->now_us + 1);

    for (size_t i = 0; i < JOBS; i++) {
        const struct model *m = &w->jobs[i];
        int64_t at_us = !m->came ? m->came_us : m->runs ? m->started_us + m->left_us : INT64_MAX;
        next_us = at_us < next_us ? at_us : next_us;
    }
    return w->next_booking_us < next_us ? w->next_booking_us : next_us;
}

static void happen(struct world *w)
{
    for (size_t i = 0; i < JOBS; i++) {
        struct model *m = &w->jobs[i];
        if (!m->came && m->came_us <= w->now_us) {
            m->came = true;
            schedule_submit(w->schedule, &m->job, w->now_us);
        } else if (m->runs && m->started_us + m->left_us <= w->now_us) {
            m->runs = false;
            m->ended = true;
            w->n_ended++;
            schedule_end(w->schedule, m->job.id, w->now_us);
        }
    }
    if (w->next_booking_us <= w->now_us)
        book(w);
}

TEST(what_is_booked_is_there_in_time)
{
    size_t n_parts = 0;

    for (const struct policy *const *policy = policies; *policy; policy++)
        for (uint64_t from = 1; from <= 6; from++) {
            struct world *w = xnew(struct world);
            seed = from * 88172645463325252U;
            make(w, *policy);
            for (unsigned i = 0; w->n_ended < JOBS && i < 20000; i++) {
                w->now_us = next_moment(w);
                happen(w);
                pass(w);
                pass(w);
            }
            ok(w->n_ended == JOBS && w->n_kept > 3 && w->n_inside > 0);
            n_parts += w->n_parts;
            ok(w->policy != &policy_skip || w->n_looked_at > 20);
            for (size_t i = 0; i < w->n_kept; i++)
                free(w->kept[i].parts);
            schedule_free(w->schedule);
            free(w);
        }
    ok(n_parts > 20);
}

/* Four GPUs of eight are kept from two hours on: until then who is gone by then has all of them. */
TEST(the_time_before_is_filled)
{
    static const struct {
        int64_t limit_s;
        bool preemptible, starts;
    } cases[] = {
        { 3600, false, true }, { 7300, false, false }, { 0, false, false }, { 0, true, true }
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world *w = xnew(struct world);
        const struct booking_part part = { 0, 4 * CAPACITY_GPU };
        const struct booking booking = { 1, 1, 2 * HOUR, 3 * HOUR, &part, 1 };
        struct schedule_acts acts = { 0 };
        make(w, &policy_skip);
        for (size_t node = 1; node < NODES; node++) {
            const struct room size = size_of(node);
            const struct booking_part whole = { node, booking_size(&size) };
            schedule_book(w->schedule,
                          &(const struct booking){ 1 + node, 1, 0, 9 * HOUR, &whole, 1 });
        }
        schedule_book(w->schedule, &booking);
        struct schedule_job job = { .id = 1,
                                    .ask = { .gpus = 6, .gpu_milli = CAPACITY_GPU },
                                    .tasks = 1,
                                    .group = 2,
                                    .limit_us = cases[i].limit_s * SECOND,
                                    .preemptible = cases[i].preemptible };
        schedule_submit(w->schedule, &job, 0);
        schedule_pass(w->schedule, 0, &acts);
        ok(acts.len == cases[i].starts);
        acts.len = 0;
        schedule_pass(w->schedule, 2 * HOUR - notice_us, &acts);
        ok(acts.len == cases[i].preemptible); /* it makes room */
        job.id = 2;
        job.group = 1;
        schedule_submit(w->schedule, &job, 2 * HOUR);
        acts.len = 0;
        schedule_end(w->schedule, 1, 2 * HOUR);
        schedule_pass(w->schedule, 2 * HOUR, &acts);
        ok(acts.len == 1 && acts.items[0].id == 2);
        ok(schedule_unbook(w->schedule, 1) && !schedule_unbook(w->schedule, 1));
        vec_done(&acts);
        schedule_free(w->schedule);
        free(w);
    }
}

/* Four GPUs of eight are kept: quarters of GPUs fill the other four, and no more, whichever score chooses. */
TEST(parts_of_gpus_fill_what_is_not_booked)
{
    const struct score *const some[] = { &score_best_fit, &score_first_fit, &score_yield };

    for (size_t k = 0; k < sizeof some / sizeof *some; k++) {
        const struct room size = size_of(0);
        const struct booking_part part = { 0, 4 * CAPACITY_GPU };
        struct capacity *capacity = capacity_new(some[k]);
        struct schedule_acts acts = { 0 };
        (void) capacity_add(capacity, &size);
        struct schedule *schedule =
            schedule_new(&(const struct schedule_options){ .policy = &policy_skip }, capacity);
        for (unsigned i = 0; i < 2; i++)
            (void) share_add(schedule_shares(schedule), SHARE_ROOT, 1);
        schedule_book(schedule, &(const struct booking){ 1, 1, 0, HOUR, &part, 1 });
        for (uint64_t id = 1; id <= 18; id++)
            schedule_submit(schedule,
                            &(const struct schedule_job){ .id = id,
                                                          .ask = { .gpus = 1, .gpu_milli = 250 },
                                                          .tasks = 1,
                                                          .group = 2 },
                            0);
        schedule_submit(schedule,
                        &(const struct schedule_job){ .id = 19,
                                                      .ask = { .gpus = 4, .gpu_milli = 1000 },
                                                      .tasks = 1,
                                                      .group = 1 },
                        0);
        schedule_pass(schedule, 0, &acts);
        ok(acts.len == 17 && acts.items[15].id == 16 && acts.items[16].id == 19);
        vec_done(&acts);
        schedule_free(schedule);
    }
}

TAP_MAIN
