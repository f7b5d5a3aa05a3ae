/* Arrays and dependencies: by example, and by property: never more of an array than its limit, nobody before
 * what he waits for, every job comes to its end over crashes. */
#include "lifecycle/test/world.h"
#include "tests/random.h"

/* SPEC without its last brace, which waits for what AFTER (NULL: nothing) names as WHEN. As the API does,
 * what has ended is looked up. */
static int submit_after(const char *spec, const char *when, const struct id *after, bool hold,
                        struct id *ret)
{
    char id[ID_TEXT_LEN + 1] = "";
    struct error err = { 0 };
    _cleanup_json_ json_t *json = NULL;
    _cleanup_(workload_freep) struct workload *w = after ? stored(after) : NULL;
    bool is_array = w && workload_heads_array(w);
    _cleanup_free_ char *text =
        after ? xasprintf("%s,\"after\":[{\"when\":\"%s\",\"job\":\"%s\",\"name\":\"x\"%s}]%s}",
                          spec, when, id_format(after, id), is_array ? ",\"is_array\":true" : "",
                          hold ? ",\"when_never\":\"hold\"" : "")
              : xasprintf("%s%s}", spec, when ? when : "");
    struct submit submit = { .project = world.project, .actor = "key:test" };

    ok(json_parse(text, strlen(text), &json, &err) == 0);
    ok(workload_spec_from_json(json, &submit.spec, &err) == 0);
    if (w && is_array && !lifecycle_array_lives(world.lc, after)) {
        submit.spec->after[0].has_ended = true;
        submit.spec->after[0].has_failed =
            w->array_states[WORKLOAD_FAILED] + w->array_states[WORKLOAD_STOPPED] > 0;
    } else if (w && !is_array && workload_state_is_final(w->state)) {
        submit.spec->after[0].has_ended = true;
        submit.spec->after[0].has_failed = w->state != WORKLOAD_SUCCEEDED;
    }
    int r = lifecycle_submit(world.lc, &submit, remember, ret, &err);
    settle();
    return r;
}

static const char *state_of(const struct id *id)
{
    _cleanup_(workload_freep) struct workload *w = stored(id);

    return w ? workload_state_name(w->state) : "gone";
}

static char *why(const struct id *id)
{
    struct workload *w = lifecycle_get(world.lc, id);
    _cleanup_json_ json_t *json = w ? why_of(&w->id) : NULL;

    return xasprintf("%s: %s", json_get_str(json, "rule", "none"), json_get_str(json, "text", ""));
}

#define TEN_SECONDS "{\"command\":[\"x\"],\"cpus\":1,\"env\":{\"NULL_SECONDS\":\"10\"}"
#define FAILS                                                                                      \
    "{\"command\":[\"x\"],\"cpus\":1,\"env\":{\"NULL_SECONDS\":\"10\",\"NULL_EXIT\":\"3\"}"

static unsigned n_running(const struct id *array)
{
    struct job *job;
    unsigned n = 0;

    map_foreach(world.lc->jobs, pos, job)
        n += workload_in_array(job->w) && id_equal(&job->w->spec->array->id, array) &&
             workload_has_live_attempt(job->w);
    return n;
}

TEST(an_array_is_one_commit_and_runs_by_index)
{
    struct id array;

    world_open(8);
    ok(submit_after(TEN_SECONDS, ",\"array\":\"0-8:2%2\"", NULL, false, &array) == 0);
    pass_time(0);
    ok(n_running(&array) == 2);
    struct workload *head = lifecycle_get(world.lc, &array);
    ok(head && head->spec->array->count == 5 && head->spec->array->last == 8);
    is_str(head->spec->array->indexes, "0-8:2%2");
    _cleanup_free_ char *name = xasprintf("%.*s_4", (int) strlen(head->name) - 2, head->name);
    const struct workload *third = lifecycle_find(world.lc, &world.project, name);
    ok(third && third->state == WORKLOAD_QUEUED && third->spec->array->index == 4);
    if (!third)
        return;
    _cleanup_free_ char *text = why(&third->id);
    ok(strstr(text, "array_limit: ") && strstr(text, "runs at most 2 at a time: 2 of its 5"));
    verify();
    pass_time(10 * US_PER_S);
    ok(n_running(&array) == 2 && !lifecycle_get(world.lc, &array));
    crash();
    pass_time(0);
    ok(n_running(&array) == 2);
    pass_time(30 * US_PER_S);
    ok(map_len(world.lc->jobs) == 0 && map_len(world.lc->arrays) == 0);
    _cleanup_(workload_freep) struct workload *w = stored(&array);
    ok(w && w->array_states && w->array_states[WORKLOAD_SUCCEEDED] == 5);
    verify();
    world_close();
}

TEST(an_array_is_stopped_as_one)
{
    struct id array;

    world_open(4);
    ok(submit_after(TEN_SECONDS, ",\"array\":\"0-99%3\"", NULL, false, &array) == 0);
    pass_time(0);
    ok(n_running(&array) == 3);
    size_t left = SIZE_MAX;
    ok(lifecycle_stop_array(world.lc, &array, "key:test", 0, &left) == 100 && left == 0);
    pass_time(US_PER_S);
    ok(map_len(world.lc->jobs) == 0 && world.proxy.n_starts == 3);
    verify();
    world_close();
}

TEST(who_waits_begins_when_the_other_has_ended_well)
{
    struct id first, second, third, fourth;

    world_open(4);
    ok(submit_after(TEN_SECONDS, NULL, NULL, false, &first) == 0);
    ok(submit_after(TEN_SECONDS, "ok", &first, false, &second) == 0);
    ok(submit_after(TEN_SECONDS, "start", &first, false, &third) == 0);
    pass_time(0);
    is_str(state_of(&second), "queued");
    is_str(state_of(&third), "running");
    _cleanup_free_ char *text = why(&second);
    is_str(text, "dependency: waits for job x to succeed: it is running");
    pass_time(5 * US_PER_S);
    crash();
    pass_time(5 * US_PER_S);
    is_str(state_of(&first), "succeeded");
    is_str(state_of(&second), "running");
    /* What has ended already is no wait. */
    ok(submit_after(TEN_SECONDS, "any", &first, false, &fourth) == 0);
    pass_time(0);
    is_str(state_of(&fourth), "running");
    verify();
    world_close();
}

TEST(what_can_never_be_ends_the_chain)
{
    struct id first, second, third, fourth, held;

    world_open(4);
    ok(submit_after(FAILS, NULL, NULL, false, &first) == 0);
    ok(submit_after(TEN_SECONDS, "ok", &first, false, &second) == 0);
    ok(submit_after(TEN_SECONDS, "ok", &second, false, &third) == 0);
    ok(submit_after(TEN_SECONDS, "notok", &second, false, &fourth) == 0);
    ok(submit_after(TEN_SECONDS, "ok", &first, true, &held) == 0);
    pass_time(11 * US_PER_S);
    is_str(state_of(&second), "failed");
    is_str(state_of(&third), "failed");
    is_str(state_of(&fourth), "running");
    is_str(state_of(&held), "queued");
    _cleanup_free_ char *text = why(&held);
    is_str(text, "dependency: it can never begin: job x did not succeed, and was to");
    _cleanup_(workload_freep) struct workload *w = stored(&third);
    ok(w->cause == END_DEPENDENCY && w->attempts == 0);
    is_str(w->reason, "it can never begin: job x did not succeed, and was to");
    crash();
    is_str(state_of(&held), "queued");
    struct error err = { 0 };
    _cleanup_(workload_freep) struct workload *ended = stored(&first);
    ok(lifecycle_delete(world.lc, ended, "key:test", NULL, NULL, &err) == -EBUSY);
    verify();
    world_close();
}

TEST(an_array_is_waited_for_as_a_whole)
{
    struct id array, after, failed, never;

    world_open(4);
    ok(submit_after(TEN_SECONDS, ",\"array\":\"1-3%1\"", NULL, false, &array) == 0);
    pass_time(0);
    ok(submit_after(TEN_SECONDS, "ok", &array, false, &after) == 0);
    pass_time(10 * US_PER_S);
    crash();
    pass_time(10 * US_PER_S);
    is_str(state_of(&after), "queued");
    pass_time(10 * US_PER_S);
    is_str(state_of(&after), "running");
    ok(submit_after(FAILS, ",\"array\":\"0-1%1\"", NULL, false, &failed) == 0);
    pass_time(10 * US_PER_S);
    ok(submit_after(TEN_SECONDS, "ok", &failed, false, &never) == 0);
    pass_time(0);
    is_str(state_of(&never), "failed");
    verify();
    world_close();
}

TEST(namesakes_run_one_after_the_other)
{
    struct error err = { 0 };
    struct id ids[3];

    world_open(4);
    for (size_t i = 0; i < 3; i++)
        ok(submit_json(TEN_SECONDS ",\"after\":[\"singleton\"]}", "only", 0, &ids[i], &err) == 0);
    pass_time(0);
    is_str(state_of(&ids[0]), "running");
    is_str(state_of(&ids[1]), "queued");
    crash();
    pass_time(10 * US_PER_S);
    is_str(state_of(&ids[1]), "running");
    is_str(state_of(&ids[2]), "queued");
    pass_time(20 * US_PER_S);
    is_str(state_of(&ids[2]), "succeeded");
    verify();
    world_close();
}

/* SPEC without its last brace, with what follows it in text. */
static int submit_text(const char *spec, const char *more, struct id *ret)
{
    _cleanup_free_ char *text = xasprintf("%s%s}", spec, more);
    struct submit submit = { .project = world.project, .actor = "key:test" };
    _cleanup_json_ json_t *json = NULL;
    struct error err = { 0 };

    ok(json_parse(text, strlen(text), &json, &err) == 0);
    ok(workload_spec_from_json(json, &submit.spec, &err) == 0);
    submit.priority = (int) json_get_int(json, "priority", 0);
    int r = lifecycle_submit(world.lc, &submit, remember, ret, &err);
    settle();
    return r;
}

TEST(the_first_of_an_array_is_a_job_of_its_own)
{
    struct id array, after;
    char id[ID_TEXT_LEN + 1];

    world_open(1);
    ok(submit_after(TEN_SECONDS, ",\"array\":\"0-9%1\"", NULL, false, &array) == 0);
    _cleanup_free_ char *more =
        xasprintf(",\"priority\":5,\"after\":[{\"when\":\"ok\",\"job\":\"%s\",\"name\":\"x_0\"}]",
                  id_format(&array, id));
    ok(submit_text(TEN_SECONDS, more, &after) == 0);
    pass_time(0);
    is_str(state_of(&after), "queued");
    crash();
    pass_time(25 * US_PER_S);
    ok(strcmp(state_of(&after), "queued") != 0);
    verify();
    world_close();
}

TEST(one_of_several_is_enough)
{
    struct id first, failed, third, never;
    char a[ID_TEXT_LEN + 1], b[ID_TEXT_LEN + 1];
#define BOTH                                                                                       \
    ",\"after\":[{\"when\":\"ok\",\"job\":\"%s\",\"name\":\"a\"},"                                 \
    "{\"when\":\"%s\",\"job\":\"%s\",\"name\":\"b\"}],\"after_mode\":\"any\""

    world_open(4);
    ok(submit_after(TEN_SECONDS, NULL, NULL, false, &first) == 0);
    ok(submit_after(FAILS, NULL, NULL, false, &failed) == 0);
    _cleanup_free_ char *either =
        xasprintf(BOTH, id_format(&first, a), "ok", id_format(&failed, b));
    _cleanup_free_ char *none =
        xasprintf(BOTH, id_format(&failed, b), "notok", id_format(&first, a));
    ok(submit_text(TEN_SECONDS, either, &third) == 0 &&
       submit_text(TEN_SECONDS, none, &never) == 0);
    pass_time(0);
    _cleanup_free_ char *text = why(&third);
    is_str(text, "dependency: waits for job a to succeed: it is running; one of 2 dependencies is "
                 "enough");
    pass_time(10 * US_PER_S);
    is_str(state_of(&third), "running");
    is_str(state_of(&never), "failed");
    verify();
    world_close();
}

TEST(some_time_after_another_began)
{
    struct id first, late, ended;
    char id[ID_TEXT_LEN + 1];

    world_open(4);
    ok(submit_after(TEN_SECONDS, NULL, NULL, false, &first) == 0);
    pass_time(0);
    _cleanup_free_ char *more =
        xasprintf(",\"after\":[{\"when\":\"start\",\"delay\":60,\"job\":\"%s\",\"name\":\"x\"}]",
                  id_format(&first, id));
    ok(submit_text(TEN_SECONDS, more, &late) == 0 && submit_text(FAILS, more, &ended) == 0);
    pass_time(30 * US_PER_S);
    is_str(state_of(&late), "queued");
    _cleanup_free_ char *text = why(&late);
    is_str(text, "dependency: waits for some time after job x began: 30s are left");
    crash(); /* what it waits for has ended meanwhile */
    pass_time(29 * US_PER_S);
    is_str(state_of(&late), "queued");
    pass_time(2 * US_PER_S);
    is_str(state_of(&late), "running");
    verify();
    world_close();
}

TEST(a_job_begins_no_earlier_than_it_is_to)
{
    struct id one, many;
    char time[TIME_TEXT_LEN + 1];

    world_open(4);
    _cleanup_free_ char *more =
        xasprintf(",\"begin\":\"%s\"", time_format(world.now_us + 7200 * US_PER_S, time));
    _cleanup_free_ char *array = xasprintf("%s,\"array\":\"1-3\"", more);
    ok(submit_text(TEN_SECONDS, more, &one) == 0 && submit_text(TEN_SECONDS, array, &many) == 0);
    pass_time(3600 * US_PER_S);
    _cleanup_free_ char *text = why(&one);
    is_str(text, "begin: it is to begin in 1h at the earliest");
    crash();
    pass_time(3599 * US_PER_S);
    is_str(state_of(&one), "queued");
    pass_time(2 * US_PER_S);
    is_str(state_of(&one), "running");
    ok(n_running(&many) == 3);
    verify();
    world_close();
}

/* More than one tick looks at. */
TEST(all_of_a_large_array_hear_of_an_end)
{
    struct id first, many;
    char id[ID_TEXT_LEN + 1];

    world_open(1);
    ok(submit_after(FAILS, NULL, NULL, false, &first) == 0);
    pass_time(0);
    _cleanup_free_ char *more = xasprintf(
        ",\"array\":\"0-999\",\"after\":[{\"when\":\"ok\",\"job\":\"%s\",\"name\":\"x\"}]",
        id_format(&first, id));
    ok(submit_text(TEN_SECONDS, more, &many) == 0);
    pass_time(10 * US_PER_S);
    ok(map_len(world.lc->jobs) == 0);
    _cleanup_(workload_freep) struct workload *w = stored(&many);
    ok(w && w->array_states && w->array_states[WORKLOAD_FAILED] == 1000);
    verify();
    world_close();
}

TEST(arrays_follow_each_other_job_by_job)
{
    struct id first, second, elements[3];
    struct counterpart others[3];
    struct job *job;
    char id[ID_TEXT_LEN + 1];

    world_open(1);
    ok(submit_after(TEN_SECONDS, ",\"array\":\"0-2%1\"", NULL, false, &first) == 0);
    map_foreach(world.lc->jobs, pos, job)
        elements[job->w->spec->array->index] = job->w->id;
    for (unsigned i = 0; i < 3; i++)
        others[i] = (struct counterpart){ .index = i, .job = elements[i] };
    _cleanup_free_ char *text = xasprintf(
        "{\"command\":[\"y\"],\"cpus\":1,\"env\":{\"NULL_SECONDS\":\"10\"},\"array\":\"0-2\",\"after\":"
        "[{\"when\":\"each\",\"job\":\"%s\",\"name\":\"x\"}]}",
        id_format(&first, id));
    struct submit submit = { .project = world.project,
                             .actor = "key:test",
                             .priority = 9,
                             .counterparts = others,
                             .n_counterparts = 3 };
    _cleanup_json_ json_t *json = NULL;
    struct error err = { 0 };
    ok(json_parse(text, strlen(text), &json, &err) == 0);
    ok(workload_spec_from_json(json, &submit.spec, &err) == 0);
    ok(lifecycle_submit(world.lc, &submit, remember, &second, &err) == 0);
    settle();
    pass_time(9 * US_PER_S);
    ok(n_running(&first) == 1 && n_running(&second) == 0);
    pass_time(2 * US_PER_S);
    ok(n_running(&first) + n_running(&second) == 1);
    crash();
    pass_time(10 * US_PER_S);
    /* The second array goes first once its job may: never more than one job of the first ahead. */
    ok(n_running(&first) + n_running(&second) == 1);
    pass_time(45 * US_PER_S);
    ok(map_len(world.lc->jobs) == 0 && map_len(world.lc->targets) == 0);
    verify();
    world_close();
}

/* ---- by property ------------------------------------------------------------------------------------- */

struct made {
    struct id id, after;
    enum after_when when;
    unsigned limit; /* of an array */
    bool is_array;
};

static VEC(struct made) made;

static void submit_random(void)
{
    static const char *const whens[] = { "ok", "any", "notok", "start" };
    struct made new = { .is_array = random_below(3) == 0 };
    const struct made *target =
        made.len && random_below(2) ? &made.items[random_below((unsigned) made.len)] : NULL;
    unsigned count = 1 + random_below(6);
    _cleanup_text_ struct text spec = { 0 };

    text_addf(&spec,
              "{\"command\":[\"x\"],\"cpus\":%u,\"retries\":{\"max\":%u,\"backoff\":1},"
              "\"env\":{\"NULL_SECONDS\":\"%u\",\"NULL_EXIT\":\"%u\"}",
              1 + random_below(2), random_below(2), random_below(20), random_below(3) ? 0u : 3u);
    new.limit = new.is_array ? 1 + random_below(3) : 0;
    if (new.is_array)
        text_addf(&spec, ",\"array\":\"0-%u%%%u\"", count - 1, new.limit);
    if (target) {
        unsigned when = random_below(4);
        new.after = target->id;
        new.when = (enum after_when) when;
        ok(submit_after(text_str(&spec), whens[when], &target->id, false, &new.id) == 0);
    } else {
        ok(submit_after(text_str(&spec), NULL, NULL, false, &new.id) == 0);
    }
    vec_push(&made, new);
}

static void stop_random(void)
{
    const struct made *m = made.len ? &made.items[random_below((unsigned) made.len)] : NULL;
    struct error err = { 0 };

    if (m && m->is_array)
        for (size_t left = SIZE_MAX; left > 0;)
            (void) lifecycle_stop_array(world.lc, &m->id, "key:test", 0, &left);
    else if (m)
        (void) lifecycle_stop(world.lc, &m->id, "key:test", 0, NULL, NULL, &err);
}

static void check_limits(void)
{
    vec_foreach(&made, m)
        ok(!m->is_array || n_running(&m->id) <= m->limit);
}

static void step(void)
{
    switch (random_below(8)) {
    case 0:
    case 1:
        submit_random();
        break;
    case 2:
        if (random_below(2))
            stop_random();
        break;
    case 3:
        if (random_below(16))
            crash();
        else
            reboot();
        break;
    case 4:
        lifecycle_tick(world.lc);
        break;
    default:
        pass_time(random_below(10) * US_PER_S);
    }
    check_limits();
}

/* Nobody began before what he waited for was so. */
static void check(const struct made *m)
{
    _cleanup_(workload_freep) struct workload *w = stored(&m->id);
    _cleanup_(workload_freep) struct workload *target =
        id_is_none(&m->after) ? NULL : stored(&m->after);

    ok(w && workload_state_is_final(w->state));
    if (!w || !target || w->attempts == 0)
        return;
    const unsigned *states = target->array_states;
    bool failed = states ? states[WORKLOAD_FAILED] + states[WORKLOAD_STOPPED] > 0
                         : target->state != WORKLOAD_SUCCEEDED;
    ok(m->when != AFTER_OK || !failed);
    ok(m->when != AFTER_NOT_OK || failed);
    ok(m->when == AFTER_START || w->attempt->created_us >= target->ended_us);
}

TEST(limits_and_waits_hold_whatever_happens)
{
    for (int life = 0; life < 12; life++) {
        world_open(3 + random_below(6));
        made.len = 0;
        for (int i = 0; i < 150; i++)
            step();
        for (int i = 0; i < 400 && map_len(world.lc->jobs) > 0; i++)
            pass_time(60 * US_PER_S);
        ok(map_len(world.lc->jobs) == 0 && world.lc->queue.len == 0);
        ok(map_len(world.lc->arrays) == 0 && map_len(world.lc->targets) == 0);
        vec_foreach(&made, m)
            check(m);
        verify();
        world_close();
    }
    vec_done(&made);
}

TAP_MAIN
