#include "lifecycle/test/world.h"

static void is_stored(const struct id *id, enum workload_state state, enum end_cause cause,
                      int exit_code, unsigned attempts)
{
    _cleanup_(workload_freep) struct workload *w = stored(id);

    ok(w != NULL);
    if (!w)
        return;
    is_str(workload_state_name(w->state), workload_state_name(state));
    is_str(end_cause_name(w->cause), end_cause_name(cause));
    ok(w->exit_code == exit_code && w->attempts == attempts);
}

static const char sleeps[] = "{\"command\":[\"x\"],\"cpus\":1,\"env\":{\"NULL_SECONDS\":\"10\"}}";

TEST(a_job_runs_and_leaves_memory)
{
    struct error err = { 0 };
    struct id id;

    world_open(2);
    ok(submit_json(sleeps, "first", 0, &id, &err) == 0);
    pass_time(0);
    struct workload *w = lifecycle_find(world.lc, &world.project, "first");
    ok(w && w->state == WORKLOAD_RUNNING);
    is_str(json_get_str(w->attempt->record, "image_digest", ""), "null");
    is_str(json_get_str(w->attempt->record, "node", ""), "n1");
    is_str(json_get_str(w->attempt->record, "berth", ""), "test");
    pass_time(10 * US_PER_S);
    ok(lifecycle_get(world.lc, &id) == NULL &&
       lifecycle_find(world.lc, &world.project, "first") == NULL);
    is_stored(&id, WORKLOAD_SUCCEEDED, END_EXITED, 0, 1);
    ok(world.lc->nodes.items[0].grants.len == 0);
    verify();
    world_close();
}

TEST(failures_are_retried_with_growing_waits)
{
    struct error err = { 0 };
    struct id id;

    world_open(2);
    ok(submit_json(
           "{\"command\":[\"x\"],\"env\":{\"NULL_EXIT\":\"3\"},\"retries\":{\"max\":2,\"backoff\":10}}",
           NULL, 0, &id, &err) == 0);
    pass_time(0);
    struct workload *w = lifecycle_get(world.lc, &id);
    ok(w->state == WORKLOAD_QUEUED && w->attempts == 1);
    _cleanup_json_ json_t *why = why_of(&w->id);
    is_str(json_get_str(why, "rule", ""), "backoff");
    is_str(json_get_str(why, "text", ""), "attempt 1 failed; the next one begins in 10s");
    pass_time(9 * US_PER_S);
    ok(w->attempts == 1);
    pass_time(1 * US_PER_S);
    ok(w->attempts == 2 && w->attempt->epoch == 2);
    pass_time(19 * US_PER_S);
    ok(w->attempts == 2);
    pass_time(2 * US_PER_S);
    is_stored(&id, WORKLOAD_FAILED, END_EXITED, 3, 3);
    verify();
    world_close();
}

TEST(a_clock_that_is_set_back_stops_no_timer)
{
    struct error err = { 0 };
    struct id retried, limited;

    world_open(2);
    ok(submit_json(
           "{\"command\":[\"x\"],\"cpus\":1,\"env\":{\"NULL_EXIT\":\"3\"},\"retries\":{\"max\":1}}",
           NULL, 0, &retried, &err) == 0);
    ok(submit_json(
           "{\"command\":[\"x\"],\"cpus\":1,\"env\":{\"NULL_SECONDS\":\"99\"},\"max_time\":30}",
           NULL, 0, &limited, &err) == 0);
    pass_time(0);
    world.wall_stands = true;
    world.wall_us = world.now_us - 3600 * US_PER_S;
    pass_time(11 * US_PER_S);
    is_stored(&retried, WORKLOAD_FAILED, END_EXITED, 3, 2);
    pass_time(20 * US_PER_S);
    is_stored(&limited, WORKLOAD_FAILED, END_MAX_TIME, 143, 1);
    world_close();
}

TEST(stopping_works_in_every_state)
{
    struct error err = { 0 };
    struct id running, queued, starting;

    world_open(1);
    ok(submit_json(sleeps, "a", 0, &running, &err) == 0);
    pass_time(0);
    ok(submit_json(sleeps, "b", 0, &queued, &err) == 0);
    pass_time(0);
    ok(lifecycle_stop(world.lc, &queued, "key:test", -1, NULL, NULL, &err) == 0);
    ok(lifecycle_stop(world.lc, &queued, "key:test", -1, NULL, NULL, &err) == -EBUSY);
    settle();
    is_stored(&queued, WORKLOAD_STOPPED, END_STOPPED, -1, 0);
    ok(lifecycle_stop(world.lc, &queued, "key:test", -1, NULL, NULL, &err) == -ENOENT);
    ok(lifecycle_stop(world.lc, &running, "key:test", -1, NULL, NULL, &err) == 0);
    pass_time(0);
    is_stored(&running, WORKLOAD_STOPPED, END_STOPPED, 143, 1);

    /* Between the commit of `starting` and the launch: it is never launched. */
    ok(submit_json(sleeps, "c", 0, &starting, &err) == 0);
    unsigned starts = world.proxy.n_starts;
    lifecycle_tick(world.lc);
    ok(lifecycle_get(world.lc, &starting)->state == WORKLOAD_STARTING);
    ok(lifecycle_stop(world.lc, &starting, "key:test", -1, NULL, NULL, &err) == 0);
    settle();
    ok(world.proxy.n_starts == starts);
    is_stored(&starting, WORKLOAD_STOPPED, END_STOPPED, -1, 1);
    verify();
    world_close();
}

TEST(admission_refuses_with_words)
{
    static const struct {
        const char *spec, *says;
        int code;
    } wrong[] = {
        { "{\"command\":[\"x\"],\"cpus\":9}", "needs 9 cores; node n1 has 2", -EDOM },
        { "{\"command\":[\"x\"],\"flavor\":\"gpu.8\"}",
          "flavor: there is no 'gpu.8'; there are cpu.1", -EINVAL },
        { "{\"command\":[\"x\"],\"env\":{\"A\":\"secret:NONE\"}}",
          "env.A: the project has no secret 'NONE'", -EINVAL },
        { "{\"command\":[\"x\"],\"memory\":\"1Ti\"}", "needs 1 TiB of memory", -EDOM },
    };
    struct error err = { 0 };
    struct id id;

    world_open(2);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        err = (struct error){ 0 };
        ok(submit_json(wrong[i].spec, NULL, 0, &id, &err) == wrong[i].code);
        if (!strstr(err.text, wrong[i].says))
            is_str(err.text, wrong[i].says);
    }
    ok(submit_json(sleeps, "Not A Name", 0, &id, &err) == -EINVAL);
    ok(submit_json(sleeps, NULL, 5000, &id, &err) == -EINVAL);
    ok(submit_json(sleeps, NULL, 0, &id, &err) == 0);
    struct workload *w = lifecycle_get(world.lc, &id);
    ok(str_starts(w->name, "x-") && w->spec->grace_s == 30 && w->spec->memory_bytes == 64 * MIB);
    is_str(w->spec->network, "egress");
    world_close();
}

/* Whether by the flavor's name or by numbers, alone or with what the job says of memory. */
TEST(a_job_keeps_what_flavors_say_of_cores_and_memory_beside_gpus)
{
    static const struct {
        const char *spec, *says; /* NULL: no GPU is there, but nothing is wrong with it */
    } asks[] = {
        { "{\"command\":[\"x\"],\"gpus\":2,\"cpus\":9}",
          "cpus: is 9 with 2 GPUs; flavor g.1 has max_cores_per_gpu 4: ask for 8 or fewer" },
        { "{\"command\":[\"x\"],\"gpus\":2,\"cpus\":3}",
          "cpus: is 3 with 2 GPUs; flavor g.1 has min_cores_per_gpu 2: ask for 4 or more" },
        { "{\"command\":[\"x\"],\"gpus\":2,\"cpus\":8,\"memory\":\"3Gi\"}",
          "memory: is 3 GiB with 2 GPUs; flavor g.1 has max_memory_per_gpu 1 GiB: ask for 2 GiB or less" },
        { "{\"command\":[\"x\"],\"flavor\":\"g.1\",\"memory\":\"2Gi\"}",
          "memory: is 2 GiB with 1 GPU; flavor g.1 has max_memory_per_gpu 1 GiB: ask for 1 GiB or less" },
        { "{\"command\":[\"x\"],\"flavor\":\"g.1\"}", NULL },
        { "{\"command\":[\"x\"],\"gpus\":3}", NULL },
        { "{\"command\":[\"x\"],\"gpus\":2,\"cpus\":4,\"memory\":\"1Gi\"}", NULL },
    };
    _cleanup_json_ json_t *json = json_pack("{s:s,s:i,s:i,s:s,s:i,s:i,s:s}", "name", "g.1", "gpus",
                                            1, "cores", 3, "memory", "1Gi", "min_cores_per_gpu", 2,
                                            "max_cores_per_gpu", 4, "max_memory_per_gpu", "1Gi");
    struct flavor *flavor = NULL;
    struct id id;

    world_open(2);
    ok(flavor_from_json(json, &flavor, NULL) == 0);
    lifecycle_add_flavor(world.lc, flavor);
    for (size_t i = 0; i < sizeof asks / sizeof *asks; i++) {
        struct error err = { 0 };
        ok(submit_json(asks[i].spec, NULL, 0, &id, &err) == (asks[i].says ? -EINVAL : -EDOM));
        if (asks[i].says)
            is_str(err.text, asks[i].says);
    }
    world_close();
}

TEST(a_reboot_loses_attempts_and_retries_them)
{
    struct error err = { 0 };
    struct id retried, lost;

    world_open(2);
    ok(submit_json(
           "{\"command\":[\"x\"],\"cpus\":1,\"env\":{\"NULL_SECONDS\":\"10\"},\"retries\":{\"max\":1}}",
           NULL, 0, &retried, &err) == 0);
    ok(submit_json(sleeps, NULL, 0, &lost, &err) == 0);
    pass_time(5 * US_PER_S);
    reboot();
    pass_time(30 * US_PER_S);
    is_stored(&lost, WORKLOAD_FAILED, END_NODE_LOST, -1, 1);
    is_stored(&retried, WORKLOAD_SUCCEEDED, END_EXITED, 0, 2);
    verify();
    world_close();
}

/* {"placement"} of what is planned. */
static json_t *plan_of(struct submit *submit)
{
    struct error err = { 0 };
    struct snapshot_job job;
    _cleanup_json_ json_t *spec = NULL;

    ok(lifecycle_plan(world.lc, submit, &job, &spec, &err) == 0);
    look_for(NULL);
    struct snapshot *s = mirror_snapshot(world.mirror);
    const struct expectation_question question = { .is_planned = true };
    vec_push(&s->jobs, job);
    struct expectation *expectation = expectation_new(s, &question);
    s->jobs.len--;
    json_t *placement = lifecycle_planned(world.lc, &job, expectation);
    expectation_free(expectation);
    snapshot_job_done(&job);
    return json_pack("{s:o}", "placement", placement);
}

TEST(why_and_plan_have_numbers)
{
    struct error err = { 0 };
    struct id id;

    world_open(2);
    ok(submit_json("{\"command\":[\"x\"],\"cpus\":2,\"env\":{\"NULL_SECONDS\":\"99\"}}", NULL, 0,
                   &id, &err) == 0);
    pass_time(0);
    ok(submit_json(sleeps, "waits", 0, &id, &err) == 0);
    pass_time(0);
    _cleanup_json_ json_t *why = why_of(&id);
    is_str(json_get_str(why, "text", ""),
           "needs 1 core; 0 of 2 are free on node n1, 2 held by 1 job");
    ok(json_get_int(why, "position", -1) == 0);

    _cleanup_json_ json_t *json = NULL, *plan = NULL;
    ok(json_parse(sleeps, strlen(sleeps), &json, &err) == 0);
    struct submit submit = { .project = world.project, .actor = "key:test", .priority = 1 };
    ok(workload_spec_from_json(json, &submit.spec, &err) == 0);
    ok((plan = plan_of(&submit)) != NULL);
    is_str(json_get_str(json_object_get(plan, "placement"), "rule", ""), "no_cores");
    ok(json_get_int(json_object_get(plan, "placement"), "position", -1) == 0);
    world_close();
}

/* The text of a list's item, by its "change". */
static const char *change_of(const json_t *why, const char *kind)
{
    const json_t *change;
    size_t i;

    json_array_foreach(json_object_get(why, "changes"), i, change)
        if (str_equal(json_get_str(change, "change", ""), kind))
            return json_get_str(change, "text", "");
    return "";
}

TEST(who_waits_hears_who_is_before_it_and_what_would_help)
{
    static const char two_cores[] = "{\"command\":[\"x\"],\"cpus\":2}";
    struct error err = { 0 };
    struct id id, last;

    world_open(4);
    ok(submit_json("{\"command\":[\"x\"],\"cpus\":3,\"env\":{\"NULL_SECONDS\":\"99\"}}", NULL, 0,
                   &id, &err) == 0);
    pass_time(0);
    ok(submit_json("{\"command\":[\"x\"],\"cpus\":4}", "before", 0, &id, &err) == 0 &&
       submit_json(two_cores, "last", 0, &last, &err) == 0);
    pass_time(0);
    _cleanup_json_ json_t *why = why_of(&last);
    const json_t *before = json_object_get(why, "before"), *jobs = json_object_get(before, "jobs");
    ok(json_get_int(before, "count", 0) == 1 && json_get_int(before, "others", -1) == 0);
    is_str(json_get_str(json_array_get(jobs, 0), "name", ""), "before");
    is_str(change_of(why, "size"), "ask for less of all: 1 core, 64 MiB of memory, 1 GiB of disk");
    is_str(change_of(why, "add"), "add a machine like n1");

    _cleanup_json_ json_t *json = NULL, *plan = NULL;
    ok(json_parse(two_cores, strlen(two_cores), &json, &err) == 0);
    struct submit submit = { .project = world.project, .actor = "key:test" };
    ok(workload_spec_from_json(json, &submit.spec, &err) == 0);
    ok((plan = plan_of(&submit)) != NULL);
    const json_t *placement = json_object_get(plan, "placement");
    ok(json_get_int(json_object_get(placement, "before"), "count", 0) == 2);
    is_str(change_of(placement, "size"), change_of(why, "size"));
    world_close();
}

static int64_t usual_us(void)
{
    look_for(NULL);
    return history_left_us(mirror_snapshot(world.mirror)->history, &world.project, 0, 0);
}

TEST(how_long_jobs_ran_is_known_also_after_a_restart)
{
    struct error err = { 0 };
    struct id id;

    world_open(4);
    for (unsigned i = 0; i < HISTORY_ENOUGH; i++)
        ok(submit_json(sleeps, NULL, 0, &id, &err) == 0);
    pass_time(5 * US_PER_S);
    ok(usual_us() == -1);
    pass_time(30 * US_PER_S);
    ok(usual_us() == 10 * US_PER_S);
    crash();
    while (world.lc->recalling)
        loop_once(world.loop, 100);
    ok(usual_us() == 10 * US_PER_S);
    world_close();
}

/* Under a fair share the project that has had nothing goes first, although it came last. */
TEST(ranks_are_those_of_the_policy)
{
    struct error err = { 0 };
    struct id first, mine, second, others, id;
    size_t n = 0;

    world_open(2);
    const struct id p1 = world.project;
    ok(lifecycle_create_project(world.lc, &(struct new_tenant){ .name = "p2", .actor = "test" },
                                NULL, NULL, &others, &err) == 0);
    settle();
    ok(submit_json("{\"command\":[\"x\"],\"cpus\":2,\"env\":{\"NULL_SECONDS\":\"99\"}}", NULL, 0,
                   &id, &err) == 0);
    pass_time(50 * US_PER_S);
    ok(submit_json("{\"command\":[\"x\"],\"cpus\":2}", "first", 0, &first, &err) == 0);
    ok(submit_json("{\"command\":[\"x\"],\"cpus\":1}", "mine", 0, &mine, &err) == 0);
    pass_time(0);
    world.project = others;
    ok(submit_json("{\"command\":[\"x\"],\"cpus\":2}", "second", 0, &second, &err) == 0);
    world.project = p1;
    pass_time(0);

    look_for(NULL);
    _cleanup_free_ struct workload **queue = lifecycle_queue(world.lc, NULL, &n);
    ok(n == 4 && id_equal(&queue[1]->id, &second) && id_equal(&queue[2]->id, &first));
    _cleanup_json_ json_t *why = why_of(&mine);
    const json_t *before = json_object_get(why, "before");
    ok(json_get_int(why, "position", 0) == 2 && json_get_int(before, "others", 0) == 1);
    ok(json_array_size(json_object_get(before, "jobs")) == 1);
    world_close();
}

TEST(tags_and_priority_change_also_after_the_end)
{
    struct error err = { 0 };
    struct id first, second;
    int priority = 7;
    _cleanup_json_ json_t *patch = json_pack("{s:s,s:n}", "team", "a", "gone");
    struct job_change both = { patch, &priority, "k" }, only = { NULL, &priority, "k" };

    world_open(1);
    ok(submit_json(sleeps, NULL, 0, &first, &err) == 0);
    pass_time(0);
    ok(submit_json(sleeps, "late", 0, &first, &err) == 0 &&
       submit_json(sleeps, "urgent", 0, &second, &err) == 0);
    size_t n = 0;
    ok(lifecycle_update(world.lc, lifecycle_get(world.lc, &second), &both, NULL, NULL, &err) == 0);
    _cleanup_free_ struct workload **queue = lifecycle_queue(world.lc, NULL, &n);
    ok(n == 3 && id_equal(&queue[1]->id, &second));
    pass_time(40 * US_PER_S);

    _cleanup_(workload_freep) struct workload *w = stored(&second), *stale = stored(&second);
    priority = 1;
    ok(lifecycle_update(world.lc, w, &only, NULL, NULL, &err) == 0);
    ok(lifecycle_update(world.lc, stale, &only, NULL, NULL, &err) == -EBUSY);
    settle();
    verify();
    _cleanup_(workload_freep) struct workload *again = stored(&second);
    ok(again->priority == 1 && again->version == w->version + 1);
    is_str(json_get_str(again->tags, "team", ""), "a");
    ok(lifecycle_delete(world.lc, again, "k", NULL, NULL, &err) == 0);
    settle();
    ok(stored(&second) == NULL);
    verify();
    world_close();
}

static void forget_all(void)
{
    settle();
    while (world.lc->forgetting)
        loop_once(world.loop, 100);
}

/* What is on the disk goes after the commit, and is asked for until it is gone. */
TEST(what_a_deleted_job_leaves_is_removed)
{
    struct error err = { 0 };
    struct id ids[300];

    world_open(1);
    for (size_t i = 0; i < 300; i++)
        ok(submit_json(
               "{\"command\": \"x\", \"cpus\": 1, \"memory\": \"64Mi\", "
               "\"env\": {\"NULL_EXIT\": \"1\"}, \"retries\": {\"max\": 1, \"backoff\": 0}}",
               NULL, 0, &ids[i], &err) == 0);
    pass_time(60 * US_PER_S);
    world.proxy.keeps = true;
    for (size_t i = 0; i < 300; i++) {
        _cleanup_(workload_freep) struct workload *w = stored(&ids[i]);
        ok(lifecycle_delete(world.lc, w, "k", NULL, NULL, &err) == 0);
    }
    forget_all();
    ok(world.proxy.deleted.len == 0);
    world.proxy.keeps = false;
    crash();
    forget_all();
    ok(world.proxy.deleted.len == 300 * 3);
    for (size_t i = 0; i < 300; i++) {
        unsigned attempts = 0, results = 0;
        vec_foreach(&world.proxy.deleted, one)
            if (id_equal(&one->workload, &ids[i]))
                *(id_is_none(&one->attempt) ? &results : &attempts) += 1;
        ok(attempts == 2 && results == 1);
    }
    crash();
    forget_all();
    ok(world.proxy.deleted.len == 300 * 3);
    verify();
    world_close();
}

TEST(secrets_open_only_for_the_task_that_names_them)
{
    char token[TASK_TOKEN_LEN + 1];
    struct error err = { 0 };
    struct id id;

    world_open(1);
    ok(lifecycle_set_secret(world.lc, &(struct new_secret){ world.project, "KEY", "s3cret", "k" },
                            NULL, NULL, &err) == 0);
    ok(lifecycle_set_secret(world.lc, &(struct new_secret){ world.project, "OTHER", "no", "k" },
                            NULL, NULL, &err) == 0);
    ok(submit_json("{\"command\":[\"x\"],\"env\":{\"A\":\"secret:KEY\",\"NULL_SECONDS\":\"9\"}}",
                   NULL, 0, &id, &err) == 0);
    pass_time(0);
    struct id attempt = lifecycle_get(world.lc, &id)->attempt->id;
    _cleanup_json_ json_t *values = NULL, *none = NULL;
    source_token(NULL, &attempt, 1, token);
    ok(lifecycle_task_secrets(world.lc, &attempt, token, &values, &err) == 0);
    _cleanup_free_ char *text = json_text(values);
    is_str(text, "{\"KEY\":\"s3cret\"}");
    token[5] ^= 1;
    ok(lifecycle_task_secrets(world.lc, &attempt, token, &none, &err) == -EPERM);
    ok(lifecycle_task_secrets(world.lc, &attempt, "", &none, &err) == -EKEYREJECTED);
    token[5] ^= 1;
    pass_time(10 * US_PER_S);
    ok(lifecycle_task_secrets(world.lc, &attempt, token, &none, &err) == -EKEYREVOKED);
    world_close();
}

/* The answer of the store to a key of idempotency. */
static void on_answer(void *userdata, int r, const struct idempotent_answer *answer,
                      const struct error *err)
{
    *(char **) userdata = xstrdup(answer ? answer->body : "none");
}

static char *format_name(void *userdata, const struct workload *w)
{
    return xasprintf("{\"name\":\"%s\"}", w->name);
}

TEST(the_answer_is_committed_with_the_job)
{
    _cleanup_json_ json_t *json = NULL;
    struct idempotent_answer *answer = xnew(struct idempotent_answer);
    struct submit submit = {
        .actor = "k", .name = "once", .answer = answer, .format = format_name
    };
    _cleanup_free_ char *body = NULL;
    struct error err = { 0 };
    struct id id;

    world_open(1);
    submit.project = world.project;
    answer->scope = xstrdup("p1/jobs/k1");
    answer->status = 201;
    ok(json_parse(sleeps, strlen(sleeps), &json, &err) == 0);
    ok(workload_spec_from_json(json, &submit.spec, &err) == 0);
    ok(lifecycle_submit(world.lc, &submit, remember, &id, &err) == 0);
    settle();
    store_get_answer(world.store, "p1/jobs/k1", on_answer, &body);
    while (!body)
        loop_once(world.loop, 1000);
    is_str(body, "{\"name\":\"once\"}");
    world_close();
}

/* Count what lifecycle commits. */
static void count_event(void *userdata, const struct event *event) { ++*(unsigned *) userdata; }

TEST(reports_that_come_twice_or_late_change_nothing)
{
    struct error err = { 0 };
    unsigned events = 0;
    struct id id;

    world_open(1);
    ok(submit_json(
           "{\"command\":[\"x\"],\"env\":{\"NULL_SECONDS\":\"10\",\"NULL_EXIT\":\"1\"},\"retries\":{\"max\":1}}",
           NULL, 0, &id, &err) == 0);
    pass_time(0);
    lifecycle_on_event(world.lc, count_event, &events);
    struct engine_listener *heard = &world.proxy.engine.listener;
    struct id attempt = lifecycle_get(world.lc, &id)->attempt->id, unknown = { { 1 } };
    struct task_started started = { .epoch = 1, .started_us = world.now_us };
    struct task_exit ex = { .epoch = 2, .cause = END_EXITED, .ended_us = world.now_us };
    heard->started(heard->userdata, &attempt, &started);
    heard->ended(heard->userdata, &attempt, &ex);
    heard->ended(heard->userdata, &unknown, &ex);
    settle();
    ok(events == 0 && lifecycle_get(world.lc, &id)->state == WORKLOAD_RUNNING);

    pass_time(21 * US_PER_S);
    struct workload *w = lifecycle_get(world.lc, &id);
    ok(w && w->attempts == 2 && w->state == WORKLOAD_RUNNING);
    events = 0;
    ex.epoch = 1;
    heard->ended(heard->userdata, &attempt, &ex);
    settle();
    ok(events == 0 && w->state == WORKLOAD_RUNNING);
    world_close();
}

TEST(artifacts_that_cannot_be_read_are_said)
{
    static const char digest[] = "00000000000000000000000000000000000000000000000000000000000000ff";
    struct error err = { 0 };
    struct id id;

    world_open(1);
    ok(submit_json(sleeps, NULL, 0, &id, &err) == 0);
    pass_time(0);
    struct engine_listener *heard = &world.proxy.engine.listener;
    struct id attempt = lifecycle_get(world.lc, &id)->attempt->id;
    _cleanup_json_ json_t *artifacts = json_pack("{s:i,s:s}", "count", 1, "manifest", digest);
    struct task_exit ex = {
        .epoch = 1, .cause = END_EXITED, .ended_us = world.now_us, .artifacts = artifacts
    };
    heard->ended(heard->userdata, &attempt, &ex);
    settle();
    _cleanup_(workload_freep) struct workload *w = stored(&id);
    ok(w->state == WORKLOAD_SUCCEEDED);
    is_str(w->reason, "its artifacts are lost: no such blob");
    world_close();
}

TEST(keys_are_found_by_their_hash_until_they_end)
{
    char text[KEY_TEXT_LEN + 1];
    struct error err = { 0 };
    struct sha256 hash;
    struct id id;

    world_open(1);
    ok(lifecycle_create_key(world.lc,
                            &(struct new_key){ world.project, "laptop", KEY_ROLE_MEMBER,
                                               world.now_us + US_PER_S, "k" },
                            text, NULL, NULL, &id, &err) == 0);
    ok(lifecycle_create_key(world.lc,
                            &(struct new_key){ world.project, "laptop", KEY_ROLE_MEMBER, 0, "k" },
                            text, NULL, NULL, &id, &err) == -EEXIST);
    source_hash(NULL, text, KEY_TEXT_LEN, &hash);
    settle();
    crash();
    ok(lifecycle_key(world.lc, &hash) != NULL);
    pass_time(2 * US_PER_S);
    ok(lifecycle_key(world.lc, &hash) == NULL);
    ok(lifecycle_delete_key(world.lc, "laptop", "k", NULL, NULL, &err) == 0);
    ok(lifecycle_delete_key(world.lc, "laptop", "k", NULL, NULL, &err) == -ENOENT);
    settle();
    world_close();
}

TAP_MAIN
