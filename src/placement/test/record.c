/* Records and snapshots by property: whatever a planner was told, the record of it decides the same again, line by line; and a
 * planner made of a snapshot decides next what the one decides that it shows. */
#include "placement/placement.h"

#include "base/alloc.h"
#include "base/text.h"
#include "placement/planner-snapshot.h"
#include "tests/random.h"
#include "tests/tap.h"

#include <string.h>

#define GIB    (INT64_C(1) << 30)
#define SECOND INT64_C(1000000)
#define START  (INT64_C(1700000000) * SECOND)

enum { NODES = 4, JOBS = 120, STEPS = 300 };

static struct node *machine(unsigned number)
{
    struct node *node = xnew(struct node);

    node->name = xasprintf("n%u", number);
    node->memory_bytes = 64 * GIB;
    node->disk_bytes = node->disk_free_bytes = 100 * GIB;
    vec_push(&node->numas, ((struct numa_node){ .id = 0, .memory_bytes = 64 * GIB }));
    for (unsigned i = 0; i < 16; i++) {
        struct core core = { .id = i };
        cpu_set_add(&core.cpus, i);
        vec_push(&node->cores, core);
    }
    for (unsigned i = 0; i < 4 + 4 * (number % 2); i++)
        vec_push(&node->gpus, ((struct gpu){ .uuid = xasprintf("n%u-GPU-%u", number, i),
                                             .index = i,
                                             .model = xstrdup(number < 2 ? "H100" : "A100") }));
    return node;
}

static struct id id_of(unsigned n)
{
    return (struct id){ { [0] = 1, [14] = (uint8_t) (n >> 8), [15] = (uint8_t) n } };
}

/* What the test knows itself of who waits and runs; SNAPSHOT's jobs are those. */
struct world {
    struct planner *planner;
    struct snapshot *snapshot;
    struct text lines;
    unsigned came;
    bool is_leaving[JOBS + 1];
    bool has_booked;
};

static void keep_line(void *userdata, const char *line, size_t len)
{
    text_add_bytes(userdata, line, len);
}

static struct workload_spec *random_spec(void)
{
    struct workload_spec *spec = NULL;
    _cleanup_json_ json_t *json = json_pack("{s:i, s:i, s:i}", "cpus", 1 + (int) random_below(4),
                                            "memory", 1 << 20, "gpus", (int) random_below(5));

    if (random_below(3) == 0)
        json_put_milli(json, "gpus", 1 + random_below(999));
    if (random_below(6) == 0)
        json_put_int(json, "nodes", 2);
    if (random_below(4) == 0)
        json_put_str(json, "gpu_model", "H100");
    if (random_below(2))
        json_put_int(json, "max_time", 60 + random_below(600));
    if (random_below(2))
        json_put(json, "preemptible", json_true());
    ok(workload_wishes_from_json(json, &spec, NULL) == 0);
    return spec;
}

static void come(struct world *w)
{
    struct snapshot *s = w->snapshot;
    unsigned number = ++w->came;
    struct snapshot_job job = {
        .id = id_of(number),
        .org = id_of(1000 + number % 3),
        .project = id_of(2000 + number % 5),
        .spec = random_spec(),
        .priority = (int) random_below(3),
        .since_us = s->now_us,
        .eligible_us = random_below(5) == 0 ? s->now_us + random_below(100) * SECOND : 0,
        .held = random_below(8) == 0 ? xstrdup("its image") : NULL,
    };

    vec_push(&s->jobs, job);
    planner_add(w->planner, &s->jobs.items[s->jobs.len - 1], s->now_us);
}

static size_t find(const struct snapshot *s, const struct id *id)
{
    size_t i = 0;

    while (!id_equal(&s->jobs.items[i].id, id))
        i++;
    return i;
}

static unsigned number_of(const struct id *id) { return id->bytes[14] * 256u + id->bytes[15]; }

static void forget_allocations(struct snapshot_job *job)
{
    vec_foreach(&job->allocations, allocation)
        allocation_free(*allocation);
    job->allocations.len = 0;
}

/* Ends, or has left and waits again. */
static void go(struct world *w, size_t i)
{
    struct snapshot *s = w->snapshot;
    struct snapshot_job job = s->jobs.items[i];

    planner_end(w->planner, &job.id, s->now_us);
    vec_remove(&s->jobs, i);
    if (!w->is_leaving[number_of(&job.id)]) {
        snapshot_job_done(&job);
        return;
    }
    w->is_leaving[number_of(&job.id)] = false;
    forget_allocations(&job);
    job.ran_us += s->now_us - job.started_us;
    job.started_us = job.eligible_us = 0;
    vec_push(&s->jobs, job);
    planner_add(w->planner, &job, s->now_us);
}

/* As a snapshot's planner would decide. */
static char *foretell(const struct world *w)
{
    _cleanup_(planner_freep) struct planner *planner = planner_from_snapshot(w->snapshot);
    struct planner_plan plan;

    planner_pass(planner, w->snapshot->now_us, 0, &plan);
    _cleanup_json_ json_t *json = record_plan(w->snapshot->now_us, 0, &plan);
    planner_plan_done(&plan);
    return json_text(json);
}

/* A snapshot does not tell of jobs that are leaving, nor all that counts for one that was stopped before, which for a booking may be
 * before it began; and easy and conservative decide by
 * what they reserved before, too. */
static bool is_told(const struct world *w)
{
    for (unsigned i = 0; i <= w->came; i++)
        if (w->is_leaving[i])
            return false;
    vec_foreach(&w->snapshot->jobs, job)
        if (job->ran_us > 0 || (w->has_booked && job->spec->preemptible))
            return false;
    return w->snapshot->options.policy->wait != WAIT_RESERVE &&
           w->snapshot->options.policy->wait != WAIT_PROMISE;
}

static void decide(struct world *w)
{
    struct snapshot *s = w->snapshot;
    _cleanup_free_ char *foretold = is_told(w) ? foretell(w) : NULL;
    struct planner_plan plan;

    planner_pass(w->planner, s->now_us, 0, &plan);
    _cleanup_json_ json_t *json = record_plan(s->now_us, 0, &plan);
    _cleanup_free_ char *decided = json_text(json);
    if (foretold)
        is_str(foretold, decided);
    vec_foreach(&plan.stops, stop)
        w->is_leaving[number_of(&stop->id)] = true;
    vec_foreach(&plan.starts, start) {
        struct snapshot_job *job = &s->jobs.items[find(s, &start->id)];
        job->started_us = s->now_us;
        for (unsigned i = 0; i < start->n_allocations; i++)
            vec_push(&job->allocations, allocation_copy(start->allocations[i]));
    }
    planner_plan_done(&plan);
}

/* Something of one or two machines, or it is given up, or it is over. */
static void book(struct world *w)
{
    struct snapshot *s = w->snapshot;
    char one[] = "n0", two[] = "n1";
    struct booking_place places[] = { { one, 1000 * (1 + random_below(4)) },
                                      { two, 1000 * (1 + random_below(8)) } };
    const struct snapshot_booking booking = {
        .id = id_of(3000 + random_below(3)),
        .org = id_of(1000 + random_below(3)),
        .project = id_of(2000 + random_below(5)),
        .from_us = s->now_us + random_below(300) * SECOND,
        .until_us = s->now_us + (301 + random_below(500)) * SECOND,
        .places = places,
        .n_places = 1 + random_below(2),
    };
    const struct planner_booking told = planner_booking_of(&booking);

    w->has_booked = true;
    for (size_t i = 0; i < s->bookings.len; i++)
        if (id_equal(&s->bookings.items[i].id, &booking.id)) {
            snapshot_booking_done(&s->bookings.items[i]);
            vec_remove(&s->bookings, i);
            planner_unbook(w->planner, &booking.id);
            return;
        }
    snapshot_add_booking(s, &booking);
    planner_book(w->planner, &told);
}

static void change(struct world *w)
{
    struct snapshot *s = w->snapshot;
    size_t i = s->jobs.len ? random_below((unsigned) s->jobs.len) : 0;
    struct snapshot_node *node = &s->nodes.items[random_below((unsigned) s->nodes.len)];

    switch (random_below(7)) {
    case 0:
        node->node->cordoned = random_below(4) == 0;
        node->node->disk_free_bytes = (50 + random_below(50)) * GIB;
        planner_set_node(w->planner, node->node, node->disk_used_bytes);
        break;
    case 1:
        if (s->jobs.len && s->jobs.items[i].held) {
            free(s->jobs.items[i].held);
            s->jobs.items[i].held = NULL;
            planner_hold(w->planner, &s->jobs.items[i].id, false);
        }
        break;
    case 2:
    case 3:
        if (s->jobs.len)
            go(w, i);
        break;
    case 4:
        book(w);
        break;
    default:
        if (w->came < JOBS)
            come(w);
    }
}

static void replay_all(const char *lines, bool is_same)
{
    _cleanup_(replay_freep) struct replay *replay = replay_new();
    struct error err = { 0 };
    int r = 0;

    for (const char *at = lines, *end; r == 0 && (end = strchr(at, '\n')); at = end + 1)
        r = replay_line(replay, at, (size_t) (end - at), &err);
    if (is_same && r)
        printf("# %s\n", err.text);
    ok(strstr(lines, "{\"do\":\"unbook\"") != NULL);
    ok(is_same ? r == 0 && replay_counts(replay)->starts > 20 : r == 1);
    if (!is_same)
        ok(strstr(err.text, "starts: was") != NULL);
}

/* One decision of the record says another machine than it did. */
static void falsify(struct text *lines)
{
    char *start = strstr(lines->data, "\"starts\":[{"), *node = strstr(start, "\"node\":\"n");

    node[strlen("\"node\":\"n")] ^= 4;
}

static void live(const struct policy *policy, const struct score *score)
{
    struct world w = { .snapshot = snapshot_new() };
    const struct planner_options options = {
        .score = score,
        .schedule = { .policy = policy,
                      .guaranteed_us = 20 * SECOND,
                      .restart_us = 5 * SECOND,
                      .notice_us = 30 * SECOND,
                      .patience_us = 3600 * SECOND },
    };

    w.snapshot->options = options.schedule;
    w.snapshot->score = score;
    w.snapshot->now_us = START;
    w.planner = planner_new(&options);
    planner_record(w.planner,
                   record_new(&(const struct record_sink){ keep_line, &w.lines }, &options));
    for (unsigned i = 0; i < NODES; i++) {
        vec_push(&w.snapshot->nodes, ((struct snapshot_node){ .node = machine(i) }));
        planner_set_node(w.planner, w.snapshot->nodes.items[i].node, 0);
    }
    for (unsigned i = 0; i < STEPS; i++) {
        w.snapshot->now_us += random_below(40) * SECOND;
        change(&w);
        decide(&w);
    }
    planner_free(w.planner);
    replay_all(text_str(&w.lines), true);
    falsify(&w.lines);
    replay_all(text_str(&w.lines), false);
    text_done(&w.lines);
    snapshot_free(w.snapshot);
}

TEST(decides_the_same_again)
{
    for (const struct policy *const *policy = policies; *policy; policy++)
        for (unsigned i = 0; i < 5; i++) {
            seed = 88172645463325252U + i;
            live(*policy, &score_best_fit);
        }
}

TEST(says_what_is_no_record)
{
    static const struct {
        const char *line, *says;
    } wrong[] = {
        { "x", "is no line of a record" },
        { "{}", "do: '' is no call" },
        { "{\"do\":\"pass\",\"now_us\":1}", "begins with \"new\"" },
        { "{\"do\":\"new\",\"format\":2}", "new: format: must be 1" },
        { "{\"do\":\"new\",\"format\":1,\"options\":{\"policy\":\"no\"}}",
          "new: options: policy: there is no policy 'no'" },
    };

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        _cleanup_(replay_freep) struct replay *replay = replay_new();
        struct error err = { 0 };
        ok(replay_line(replay, wrong[i].line, strlen(wrong[i].line), &err) < 0);
        ok(strstr(err.text, wrong[i].says) != NULL);
    }
}

TAP_MAIN
