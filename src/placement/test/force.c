/* Others are stopped on a machine of which a part is booked, by property: on one machine, of whatever is there, a job of more
 * priority begins if and only if some of those whom it may stop could go so that it has room and all that is kept is there in time;
 * and nobody is stopped who could have stayed. Every set of them is tried. */
#include "placement/placement.h"

#include "tests/random.h"
#include "tests/tap.h"

#include <string.h>

#define SECOND INT64_C(1000000)
#define HOUR   (3600 * SECOND)

enum { JOBS = 9, RUNS = 400 };

static const int64_t guaranteed_us = 300 * SECOND, notice_us = 120 * SECOND, now_us = 10 * HOUR;

struct world {
    struct schedule *schedule;
    struct room size;
    struct schedule_job jobs[JOBS];
    struct choice places[JOBS];
    bool runs[JOBS];
    struct schedule_job job; /* that comes */
};

static bool is_part(const struct schedule_job *job) { return job->ask.gpu_milli % CAPACITY_GPU; }

static struct stay stay_of(const struct world *w, const struct schedule_job *job, int64_t from_us,
                           uint32_t gpus)
{
    return (struct stay){ job->group,
                          from_us,
                          job->limit_us ? from_us + job->limit_us : INT64_MAX,
                          job->preemptible,
                          booking_share(&w->size, &job->ask, 1),
                          is_part(job) ? gpus : 0 };
}

static struct schedule_job draw(uint64_t id)
{
    static const uint16_t gpus[] = { 0, 1, 1, 1, 2, 4 };
    struct schedule_job job = { .id = id,
                                .tasks = 1,
                                .group = 1 + random_below(3),
                                .priority = (int) random_below(3),
                                .preemptible = random_below(3) > 0,
                                .limit_us = random_below(3) * (2 + random_below(16)) * HOUR };

    job.ask.gpus = gpus[random_below(6)];
    job.ask.gpu_milli = job.ask.gpus ? CAPACITY_GPU : 0;
    job.ask.cpu_milli = (int32_t) (1 + random_below(8)) * 1000;
    if (job.ask.gpus == 1 && random_below(2))
        job.ask.gpu_milli = (uint16_t) (250 * (1 + random_below(3)));
    return job;
}

static void make(struct world *w, const struct policy *policy)
{
    const struct schedule_options options = { .policy = policy,
                                              .guaranteed_us = guaranteed_us,
                                              .notice_us = notice_us,
                                              .hold_stopped = true };
    struct capacity *capacity = capacity_new(&score_best_fit);
    struct schedule_acts acts = { 0 };

    *w = (struct world){ .size = { .cpu_milli = 64000, .n_gpus = 8, .model = 1 } };
    for (unsigned i = 0; i < 8; i++)
        w->size.gpu[i] = CAPACITY_GPU;
    (void) capacity_add(capacity, &w->size);
    w->schedule = schedule_new(&options, capacity);
    for (unsigned i = 0; i < 3; i++)
        (void) share_add(schedule_shares(w->schedule), SHARE_ROOT, 1);
    for (size_t i = 0; i < JOBS; i++) {
        w->jobs[i] = draw(i + 1);
        schedule_submit(w->schedule, &w->jobs[i], 9 * HOUR);
        schedule_pass(w->schedule, 9 * HOUR, &acts);
        if (acts.len == 1) {
            w->runs[i] = true;
            w->places[i] = acts.items[0].places[0];
        } else {
            schedule_end(w->schedule, i + 1, 9 * HOUR);
        }
        /* Nobody is stopped yet: all are guaranteed their time. */
        ok(acts.len <= 1);
        acts.len = 0;
    }
    vec_done(&acts);
}

/* Some GPUs, from now on or later; false: they are not to be had. */
static bool book(struct world *w)
{
    int64_t from_us = now_us + random_below(3) * 3 * HOUR;
    const struct booking_wish wish = {
        1 + random_below(3), now_us - notice_us, from_us, from_us + 5 * HOUR, 0, 1 + random_below(6)
    };
    struct booking_part *parts = NULL;
    size_t n;

    if (schedule_choose(w->schedule, &wish, NULL, &parts, &n, NULL) < 0)
        return false;
    schedule_book(w->schedule,
                  &(const struct booking){ 1, wish.group, from_us, wish.until_us, parts, n });
    free(parts);
    return true;
}

/* Could the job that comes begin without those of SET, whatever GPU it has a part of? */
static bool may_begin(const struct world *w, uint32_t set)
{
    struct room room = w->size;
    struct stay stays[JOBS];
    struct booking_node at = { 8 * CAPACITY_GPU, true, stays, 0 };
    bool any = false;

    for (size_t i = 0; i < JOBS; i++) {
        const struct ask *ask = &w->jobs[i].ask;
        if (!w->runs[i] || set & 1u << i)
            continue;
        room.cpu_milli -= ask->cpu_milli;
        for (unsigned g = 0; g < 8; g++)
            room.gpu[g] =
                (uint16_t) (room.gpu[g] - (w->places[i].gpus & 1u << g ? ask->gpu_milli : 0));
        stays[at.n_stays++] = stay_of(w, &w->jobs[i], 9 * HOUR, w->places[i].gpus);
    }
    if (!room_holds(&room, &w->job.ask))
        return false;
    for (unsigned g = 0; g < 8 && !any; g++) {
        const struct stay stay = stay_of(w, &w->job, now_us, 1u << g);
        any = (!is_part(&w->job) || room.gpu[g] >= w->job.ask.gpu_milli) &&
              !calendar_obstacle(schedule_calendar(w->schedule), 0, &at, &stay);
    }
    return any;
}

/* Who may be stopped for it. */
static uint32_t prey(const struct world *w)
{
    uint32_t set = 0;

    for (size_t i = 0; i < JOBS; i++)
        if (w->runs[i] && w->jobs[i].preemptible && w->jobs[i].priority < w->job.priority)
            set |= 1u << i;
    return set;
}

static void check(struct world *w, unsigned *n_forced, unsigned *n_refused)
{
    struct schedule_acts acts = { 0 };
    uint32_t stopped = 0;
    bool starts = false;

    w->job = draw(100);
    w->job.priority = 2;
    schedule_pass(w->schedule, now_us, &acts);
    vec_foreach(&acts, act) /* for the booking */
        w->runs[act->id - 1] = false;
    acts.len = 0;
    schedule_submit(w->schedule, &w->job, now_us);
    schedule_pass(w->schedule, now_us, &acts);
    vec_foreach(&acts, act)
        if (act->id == 100)
            starts = true;
        else if (act->verb == SCHEDULE_STOP)
            stopped |= 1u << (act->id - 1);
    vec_done(&acts);
    ok(!(stopped & ~prey(w)) && (starts || !stopped));
    ok(starts == may_begin(w, starts ? stopped : prey(w)));
    for (size_t i = 0; i < JOBS && starts; i++)
        ok(!(stopped & 1u << i) || !may_begin(w, stopped & ~(1u << i)));
    *n_forced += stopped != 0;
    *n_refused += !starts;
}

TEST(whoever_can_be_stopped_for_it_beside_a_booking_is)
{
    static const struct policy *const some[] = { &policy_skip, &policy_fifo, &policy_easy };

    for (size_t p = 0; p < sizeof some / sizeof *some; p++) {
        unsigned n_booked = 0, n_forced = 0, n_refused = 0;
        for (unsigned run = 0; run < RUNS; run++) {
            struct world w;
            seed = 77 + run;
            make(&w, some[p]);
            if (book(&w)) {
                n_booked++;
                check(&w, &n_forced, &n_refused);
            }
            schedule_free(w.schedule);
        }
        ok(n_booked > RUNS / 2 && n_forced > 20 && n_refused > 20);
    }
}

TAP_MAIN
