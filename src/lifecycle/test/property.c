/* Lifecycle by property: random submits, stops, preemptions, updates, ends, crashes and reboots; rows are the fold
 * of events, no core has two owners, nothing runs twice at once (world.h watches), and every job comes
 * to the end it must come to. */
#include "lifecycle/test/world.h"
#include "tests/random.h"

struct expected {
    struct id id;
    unsigned seconds, exit_code, retries, max_time;
    bool start_fails, stopped;
};

static VEC(struct expected) jobs;
static unsigned reboots, n_preempted;

static void report_difference(void *userdata, const char *text) { printf("# %s\n", text); }

static void submit_random(void)
{
    struct expected job = {
        .seconds = random_below(20),
        .exit_code = random_below(3)   ? 0
                     : random_below(4) ? 3
                                       : 137,
        .retries = random_below(3),
        .max_time = random_below(4) ? 0 : 1 + random_below(15),
        .start_fails = random_below(12) == 0,
    };
    struct text spec = { 0 };
    struct error err = { 0 };

    text_addf(&spec,
              "{\"command\":[\"x\"],\"env\":{\"NULL_SECONDS\":\"%u\",\"NULL_EXIT\":\"%u\"%s},",
              job.seconds, job.exit_code, job.start_fails ? ",\"NULL_START\":\"fail\"" : "");
    unsigned cores = 1 + random_below(3);
    if (random_below(3) == 0)
        text_add(&spec, "\"flavor\":\"cpu.shared\",");
    else
        text_addf(&spec, "\"cpus\":%u,", cores);
    if (cores == 1)
        text_addf(&spec, "\"nodes\":%u,\"tasks_per_node\":2,", 1 + random_below(world.cores / 2));
    if (job.max_time)
        text_addf(&spec, "\"max_time\":%u,", job.max_time);
    text_addf(&spec, "\"retries\":{\"max\":%u,\"backoff\":%u}}", job.retries, random_below(8));
    ok(submit_json(text_str(&spec), random_below(2) ? NULL : "same-name", (int) random_below(3),
                   &job.id, &err) == 0);
    vec_push(&jobs, job);
    text_done(&spec);
}

static void stop_random(void)
{
    struct error err = { 0 };

    if (jobs.len == 0)
        return;
    struct expected *job = &jobs.items[random_below((unsigned) jobs.len)];
    if (lifecycle_stop(world.lc, &job->id, "key:test", random_below(2) ? -1 : 0, NULL, NULL,
                       &err) == 0)
        job->stopped = true;
}

static void preempt_random(void)
{
    const struct preempt_request request = { "key:test", random_below(2) ? -1 : 0, true };
    struct error err = { 0 };

    if (jobs.len == 0)
        return;
    const struct id *id = &jobs.items[random_below((unsigned) jobs.len)].id;
    const struct workload *w = lifecycle_get(world.lc, id);
    bool lives = w && workload_has_live_attempt(w) && !w->stop_requested;
    n_preempted += lives;
    ok((lifecycle_preempt(world.lc, id, &request, NULL, NULL, &err) == 0) == lives);
}

/* The machine takes no work, or does again. */
static void cordon_random(bool cordoned)
{
    const struct cordon order = { .node = "n1", .cordoned = cordoned, .actor = "key:op" };
    struct error err = { 0 };

    ok(lifecycle_cordon(world.lc, &order, NULL, NULL, &err) == 0);
    settle();
}

/* For whoever is there, who goes in; nobody else begins meanwhile. It may be refused. */
static void book_random(void)
{
    int64_t from_us = world.now_us + random_below(100) * US_PER_S;
    struct error err = { 0 };
    struct id id;

    (void) lifecycle_book(world.lc,
                          &(struct new_booking){ .project = world.project,
                                                 .name = "b",
                                                 .nodes = 1,
                                                 .from_us = from_us,
                                                 .until_us =
                                                     from_us + (1 + random_below(100)) * US_PER_S,
                                                 .actor = "key:test" },
                          NULL, NULL, &id, &err);
    settle();
}

static void update_random(void)
{
    struct error err = { 0 };
    int priority = (int) random_below(9);

    if (jobs.len == 0)
        return;
    struct workload *w = lifecycle_get(world.lc, &jobs.items[random_below((unsigned) jobs.len)].id);
    if (w)
        ok(lifecycle_update(world.lc, w, &(struct job_change){ NULL, &priority, "key:test" }, NULL,
                            NULL, &err) == 0);
}

/* When all is quiet, nobody waits who could run. */
static void check_queue(void)
{
    look_for(NULL);
    for (size_t i = 0; i < world.lc->queue.len; i++) {
        const struct workload *w = world.lc->queue.items[world.lc->queue.head + i].workload;
        _cleanup_json_ json_t *why = lifecycle_why(world.lc, w);
        ok(!str_equal(json_get_str(why, "rule", "none"), "placed"));
    }
}

static void step(void)
{
    switch (random_below(15)) {
    case 0:
    case 1:
    case 2:
        submit_random();
        break;
    case 3:
        stop_random();
        break;
    case 4:
        update_random();
        break;
    case 5:
        lifecycle_tick(world.lc);
        break;
    case 6:
        loop_once(world.loop, 0);
        break;
    case 7:
        engine_null_advance(world.proxy.null, world.now_us);
        break;
    case 8:
        crash();
        break;
    case 9:
        if (random_below(8) == 0) {
            reboot();
            reboots++;
        }
        break;
    case 10:
        preempt_random();
        break;
    case 11:
        cordon_random(random_below(2));
        break;
    case 12:
        book_random();
        break;
    default:
        pass_time(random_below(10) * US_PER_S + random_below(1000000));
        check_queue();
    }
}

/* What must have become of JOB. A reboot may take attempts away from anybody, and those that had not begun
 * are given again. */
static void check(const struct expected *job)
{
    _cleanup_(workload_freep) struct workload *w = stored(&job->id);

    ok(w && workload_state_is_final(w->state));
    if (!w)
        return;
    unsigned tries = w->attempts - w->preemptions;
    bool lost = w->cause == END_NODE_LOST && w->state == WORKLOAD_FAILED && tries > job->retries;
    if (job->stopped && w->state == WORKLOAD_STOPPED)
        return;
    ok(w->state != WORKLOAD_STOPPED && w->attempts <= job->retries + 1 + reboots + w->preemptions &&
       w->preemptions <= n_preempted);
    if (lost)
        return;
    /* A stop that came when it had ended by itself changes nothing. */
    if (job->start_fails)
        ok(w->state == WORKLOAD_FAILED && w->cause == END_START_FAILED && tries > job->retries);
    else if (job->max_time && job->max_time < job->seconds)
        ok(w->state == WORKLOAD_FAILED && w->cause == END_MAX_TIME);
    else if (job->max_time == 0 && job->exit_code == 0)
        ok(w->state == WORKLOAD_SUCCEEDED && w->exit_code == 0);
    else if (job->max_time == 0)
        ok(w->state == WORKLOAD_FAILED && w->exit_code == (int) job->exit_code &&
           tries > job->retries);
}

static void live_and_check(void)
{
    jobs.len = 0;
    for (int i = 0; i < 250; i++)
        step();
    cordon_random(false);
    for (int i = 0; i < 400 && map_len(world.lc->jobs) > 0; i++)
        pass_time(60 * US_PER_S);
    ok(map_len(world.lc->jobs) == 0 && world.lc->queue.len == 0);
    const struct node_use *use = &world.lc->nodes.items[0];
    ok(use->grants.len == 0 && use->disk_used_bytes == 0);
    vec_foreach(&jobs, job)
        check(job);
    verify();
}

TEST(every_job_comes_to_its_end_whatever_happens)
{
    for (int life = 0; life < 12; life++) {
        world_open(3 + random_below(6));
        live_and_check();
        world_close();
    }
    vec_done(&jobs);
}

/* The same over a store that forgets nothing and shares no memory with us. */
TEST(every_job_comes_to_its_end_over_a_database)
{
    char directory[] = "/tmp/berth-lifecycle-XXXXXX";
    ok(mkdtemp(directory) != NULL);
    _cleanup_free_ char *url = xasprintf("sqlite:%s/berth.db", directory);
    _cleanup_free_ char *remove = xasprintf("rm -rf %s", directory);

    world_open_at(url, 4);
    live_and_check();
    struct error err = { 0 };
    ok(store_verify(world.store, report_difference, NULL, &err) == 0);
    world_close();
    vec_done(&jobs);
    ok(system(remove) == 0);
}

TAP_MAIN
