/* Records and snapshots by property: whatever a planner was told, the record of it decides the same again, line by line; and a
 * planner made of a snapshot, at whatever moment, decides from then on as the one that it was taken of. */
#include "placement/placement.h"

#include "base/alloc.h"
#include "base/text.h"
#include "placement/mirror.h"
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
        cpu_siblings_add(&core.cpus, i);
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
    /* Made of a snapshot of PLANNER at some moment, and told the same since; the snapshot. NULL: there is none. */
    struct planner *twin;
    struct snapshot *twin_of;
    /* Follows PLANNER; what it is still to take in; how often it did. */
    struct mirror *mirror;
    struct mirror_news news;
    unsigned n_taken;
    unsigned came;
    bool is_leaving[JOBS + 1];
    bool is_gone[NODES];
};

/* Call with PLANNER_ as each of both. */
#define tell(w, call)                                                                              \
    do {                                                                                           \
        struct planner *planner_ = (w)->planner;                                                   \
        call;                                                                                      \
        if ((planner_ = (w)->twin))                                                                \
            call;                                                                                  \
    } while (0)

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
    if (random_below(8) == 0)
        json_put_str(json, "within", random_below(2) ? "leaf" : "site");
    if (random_below(12) == 0)
        json_put(json, "exclusive", json_true());
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
        .user = number % 3 ? id_of(3000 + number % 10) : id_none,
        .spec = random_spec(),
        .priority = (int) random_below(3),
        .since_us = s->now_us,
        .eligible_us = random_below(5) == 0 ? s->now_us + random_below(100) * SECOND : 0,
        .returns = random_below(2),
        .stopped = 2 * random_below(2),
        .held = random_below(8) == 0 ? xstrdup("its image") : NULL,
    };

    vec_push(&s->jobs, job);
    tell(w, planner_add(planner_, &s->jobs.items[s->jobs.len - 1], s->now_us));
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

    tell(w, planner_end(planner_, &job.id, s->now_us));
    vec_remove(&s->jobs, i);
    if (!w->is_leaving[number_of(&job.id)]) {
        snapshot_job_done(&job);
        return;
    }
    w->is_leaving[number_of(&job.id)] = false;
    forget_allocations(&job);
    job.ran_us += s->now_us - job.started_us;
    job.waits_since_us = s->now_us;
    job.returns += random_below(4) == 0;
    job.stopped += random_below(4) == 0;
    job.started_us = job.eligible_us = 0;
    vec_push(&s->jobs, job);
    tell(w, planner_add(planner_, &job, s->now_us));
}

/* What a planner does not keep. */
static void describe(void *userdata, struct snapshot_job *ret)
{
    const struct snapshot *s = ((struct world *) userdata)->snapshot;
    const struct snapshot_job *job = &s->jobs.items[find(s, &ret->id)];

    ret->org = job->org;
    ret->project = job->project;
    ret->user = job->user;
    ret->priority = job->priority;
    ret->spec = workload_wishes_copy(job->spec);
    ret->held = xstrdup(job->held);
    ret->started_us = job->started_us;
    vec_foreach(&job->allocations, allocation)
        vec_push(&ret->allocations, allocation_copy(*allocation));
}

static void forget_twin(struct world *w)
{
    planner_free(take_ptr(w->twin));
    snapshot_free(take_ptr(w->twin_of));
}

/* What a planner does not say. */
static void tell_more(const struct world *w, struct snapshot *s)
{
    s->now_us = w->snapshot->now_us;
    s->options = w->snapshot->options;
    s->score = w->snapshot->score;
    vec_foreach(&w->snapshot->bookings, booking)
        snapshot_add_booking(s, booking);
}

/* A few steps of it; when they were all, it is what a snapshot is. */
static void follow(struct world *w)
{
    const struct snapshot_source source = { describe, w };
    _cleanup_(snapshot_freep) struct snapshot *s = snapshot_new();

    if (!planner_tell_news(w->planner, &source, 1 + random_below(12), &w->news))
        return;
    tell_more(w, w->news.rest);
    mirror_take(w->mirror, &w->news);
    ok(w->news.jobs.len == 0 && w->news.machines.len == 0 && !w->news.rest);
    tell_more(w, s);
    planner_tell(w->planner, &source, s);
    _cleanup_json_ json_t *fresh = snapshot_to_json(s);
    _cleanup_json_ json_t *kept = snapshot_to_json(mirror_snapshot(w->mirror));
    ok(json_equal(fresh, kept));
    w->n_taken++;
}

/* By way of its text. */
static void make_twin(struct world *w)
{
    _cleanup_(snapshot_freep) struct snapshot *s = snapshot_new();
    _cleanup_json_ json_t *again = NULL;
    struct error err = { 0 };

    forget_twin(w);
    tell_more(w, s);
    planner_tell(w->planner, &(const struct snapshot_source){ describe, w }, s);
    _cleanup_json_ json_t *json = snapshot_to_json(s);
    _cleanup_free_ char *text = json_text(json);
    ok(json_parse(text, strlen(text), &again, NULL) == 0);
    ok(snapshot_from_json(again, &w->twin_of, &err) == 0);
    is_str(err.text, "");
    w->twin = planner_from_snapshot(w->twin_of);
    int64_t next_us = planner_next_us(w->planner, s->now_us);
    ok(next_us <= s->now_us || planner_next_us(w->twin, s->now_us) == next_us);
}

/* A pass, as text; RET is the plan, the caller's. */
static char *plan_of(struct planner *planner, int64_t now_us, unsigned limit,
                     struct planner_plan *ret)
{
    struct planner_ids order = { 0 };

    planner_pass(planner, now_us, limit, ret);
    _cleanup_json_ json_t *json = record_plan(now_us, limit, ret);
    json_put_int(json, "next_us", planner_next_us(planner, now_us));
    planner_order(planner, now_us, 20, &order);
    json_put_int(json, "waiting", (int64_t) order.len);
    vec_foreach(&order, id)
        json_put_id(json, "first", id);
    vec_done(&order);
    return json_text(json);
}

static void decide(struct world *w)
{
    struct snapshot *s = w->snapshot;
    struct planner_plan plan;
    unsigned limit = random_below(3);
    _cleanup_free_ char *decided = plan_of(w->planner, s->now_us, limit, &plan);

    if (w->twin) {
        struct planner_plan other;
        _cleanup_free_ char *too = plan_of(w->twin, s->now_us, limit, &other);
        is_str(too, decided);
        planner_plan_done(&other);
    }
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

    for (size_t i = 0; i < s->bookings.len; i++)
        if (id_equal(&s->bookings.items[i].id, &booking.id)) {
            snapshot_booking_done(&s->bookings.items[i]);
            vec_remove(&s->bookings, i);
            tell(w, planner_unbook(planner_, &booking.id));
            return;
        }
    snapshot_add_booking(s, &booking);
    tell(w, planner_book(planner_, &told));
}

static bool is_in_use(const struct world *w, const char *node)
{
    vec_foreach(&w->snapshot->jobs, job)
        vec_foreach(&job->allocations, allocation)
            if (str_equal((*allocation)->node, node))
                return true;
    return false;
}

/* It is cordoned, is smaller or larger, stands elsewhere, is gone or is there again. */
static void change_node(struct world *w, size_t i)
{
    static const char *const leaves[] = { "a", "b", "c" };
    struct node *node = w->snapshot->nodes.items[i].node;

    node->cordoned = random_below(4) == 0;
    node->disk_free_bytes = (50 + random_below(50)) * GIB;
    if (random_below(4) == 0)
        node->reserved_memory_bytes = random_below(8) * GIB;
    if (random_below(4) == 0)
        xstr_set(&node->leaf, leaves[random_below(3)]);
    if (random_below(4) == 0)
        xstr_set(&node->site, leaves[random_below(3)]);
    bool was_gone = w->is_gone[i];
    w->is_gone[i] = random_below(8) == 0 && !is_in_use(w, node->name);
    if (!w->is_gone[i])
        tell(w, planner_set_node(planner_, node, 0));
    else if (!was_gone)
        tell(w, planner_drop_node(planner_, node->name));
}

static void weigh(struct world *w)
{
    const struct id org = id_of(1000 + random_below(3)), project = id_of(2000 + random_below(5));
    const struct id *which = random_below(2) ? &project : NULL;
    unsigned weight = 1 + random_below(3);

    tell(w, planner_weigh(planner_, &org, which, weight));
}

static void change(struct world *w)
{
    struct snapshot *s = w->snapshot;
    size_t i = s->jobs.len ? random_below((unsigned) s->jobs.len) : 0;

    switch (random_below(9)) {
    case 0:
        change_node(w, random_below((unsigned) s->nodes.len));
        break;
    case 1:
        if (s->jobs.len && s->jobs.items[i].held) {
            free(s->jobs.items[i].held);
            s->jobs.items[i].held = NULL;
            tell(w, planner_hold(planner_, &s->jobs.items[i].id, false));
        }
        break;
    case 2:
        if (random_below(4) == 0)
            weigh(w);
        break;
    case 3:
    case 4:
        if (s->jobs.len)
            go(w, i);
        break;
    case 5:
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
    ok(is_same ? r == 0 && replay_counts(replay)->starts > 10 : r == 1);
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
    struct world w = { .snapshot = snapshot_new(), .mirror = mirror_new() };
    const struct planner_options options = {
        .score = score,
        .schedule = { .policy = policy,
                      .guaranteed_us = 20 * SECOND,
                      .restart_us = 5 * SECOND,
                      .notice_us = 30 * SECOND,
                      .half_life_us = 600 * SECOND,
                      .patience_us = 1000 * SECOND },
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
    for (unsigned i = 0; i < 3; i++)
        planner_set_used(w.planner,
                         &(const struct planner_share){ .org = id_of(1000 + i),
                                                        .project =
                                                            i > 0 ? id_of(2000 + i) : id_none,
                                                        .user = i > 1 ? id_of(3002) : id_none,
                                                        .used = (1 + i) * 1000 * SECOND },
                         START);
    for (unsigned i = 0; i < STEPS; i++) {
        w.snapshot->now_us += random_below(40) * SECOND;
        change(&w);
        if (random_below(12) == 0)
            make_twin(&w);
        decide(&w);
        if (random_below(3) == 0)
            follow(&w);
    }
    ok(w.n_taken > 20);
    forget_twin(&w);
    mirror_news_done(&w.news);
    mirror_free(w.mirror);
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
            live(*policy, i % 2 ? &score_yield : &score_best_fit);
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
