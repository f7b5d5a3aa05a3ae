/* Jobs make room for others and go on: no retry is used up, their place in line is kept. */
#include "lifecycle/test/world.h"

#define LONG(more)  "{\"command\":[\"x\"],\"cpus\":1,\"env\":{\"NULL_SECONDS\":\"100\"}" more "}"
#define PREEMPTIBLE LONG(",\"preemptible\":true")

static struct id begin(const char *spec, const char *name)
{
    struct error err = { 0 };
    struct id id = id_none;

    ok(submit_json(spec, name, 0, &id, &err) == 0);
    is_str(err.text, "");
    pass_time(0);
    return id;
}

static int order(const struct id *id, bool force, struct error *err)
{
    const struct preempt_request request = { "key:test", -1, force };

    return lifecycle_preempt(world.lc, id, &request, NULL, NULL, err);
}

static void is_life(const struct id *id, const char *want)
{
    const struct workload *w = lifecycle_get(world.lc, id);
    _cleanup_(workload_freep) struct workload *row = w ? NULL : stored(id);

    w = w ? w : row;
    _cleanup_free_ char *is =
        w ? xasprintf("%s attempt %u preempted %u", workload_state_name(w->state), w->attempts,
                      w->preemptions)
          : NULL;
    is_str(is, want);
}

static void is_why(const struct id *id, const char *rule, const char *text)
{
    _cleanup_json_ json_t *why = why_of(id);

    is_str(json_get_str(why, "rule", ""), rule);
    is_str(json_get_str(why, "text", ""), text);
}

TEST(who_makes_room_goes_on_without_a_retry_and_in_its_place)
{
    struct error err = { 0 };

    world_open(1);
    struct id first = begin(PREEMPTIBLE, "first");
    pass_time(10 * US_PER_S);
    struct id second = begin(PREEMPTIBLE, "second");
    is_life(&second, "queued attempt 0 preempted 0");
    ok(order(&first, false, &err) == 0);
    is_why(
        &first, "preempted",
        "it makes room, and goes on from its old place in the queue: it has 30 s from SIGTERM to "
        "end by itself");
    ok(order(&first, false, &err) == -EBUSY);
    is_str(err.text, "the job ends already: it is being preempted");
    pass_time(5 * US_PER_S);
    /* It came before the other. */
    is_life(&first, "running attempt 2 preempted 1");
    is_life(&second, "queued attempt 0 preempted 0");
    const struct workload *w = lifecycle_get(world.lc, &first);
    ok(w->ran_us == 10 * US_PER_S && w->cause == END_PREEMPTED && w->queued_us > w->eligible_us);
    pass_time(100 * US_PER_S);
    is_life(&first, "succeeded attempt 2 preempted 1");
    verify();
    world_close();
}

TEST(who_has_less_right_waits_and_says_for_what)
{
    struct error err = { 0 };
    struct id high;

    world_open(1);
    struct id low = begin(PREEMPTIBLE, "low");
    pass_time(US_PER_S);
    ok(submit_json(LONG(), "high", 5, &high, &err) == 0);
    lifecycle_tick(world.lc);
    is_life(&high, "queued attempt 0 preempted 0");
    is_why(&low, "preempted",
           "it makes room for job high, and goes on from its old place in the queue: it has 30 s "
           "from SIGTERM to end by itself");
    pass_time(US_PER_S);
    is_life(&high, "running attempt 1 preempted 0");
    is_life(&low, "queued attempt 1 preempted 1");
    is_why(
        &low, "no_cores",
        "it was preempted for job high and goes on when it can: needs 1 core; 0 of 1 are free on "
        "node n1, 1 held by 1 job");
    ok(order(&low, false, &err) == -EBUSY);
    is_str(err.text, "the job is queued: it has nothing that it could give up");
    crash();
    is_life(&low, "queued attempt 1 preempted 1");
    pass_time(300 * US_PER_S);
    is_life(&low, "succeeded attempt 2 preempted 1");
    verify();
    world_close();
}

TEST(nobody_of_the_same_right_or_not_preemptible_is_stopped)
{
    struct error err = { 0 };
    struct id firm, peer, high;

    world_open(2);
    ok(submit_json(LONG(), "firm", 0, &firm, &err) == 0);
    ok(submit_json(PREEMPTIBLE, "peer", 5, &peer, &err) == 0);
    pass_time(US_PER_S);
    ok(submit_json(LONG(), "high", 5, &high, &err) == 0);
    pass_time(50 * US_PER_S);
    is_life(&firm, "running attempt 1 preempted 0");
    is_life(&peer, "running attempt 1 preempted 0");
    is_life(&high, "queued attempt 0 preempted 0");
    pass_time(300 * US_PER_S);
    is_life(&high, "succeeded attempt 1 preempted 0");
    verify();
    world_close();
}

/* "give it priority 6: …"; NULL: no priority is offered. */
static const char *offered_priority(const json_t *why)
{
    const json_t *change;
    size_t i;

    json_array_foreach(json_object_get(why, "changes"), i, change)
        if (str_equal(json_get_str(change, "change", ""), "priority"))
            return json_get_str(change, "text", "");
    return NULL;
}

TEST(a_priority_is_offered_that_lets_it_begin_now)
{
    struct error err = { 0 };
    struct id firm, peer, high, last;
    int priority = 6;
    const struct job_change raise = { NULL, &priority, "k" };

    world_open(2);
    ok(submit_json(LONG(), "firm", 0, &firm, &err) == 0);
    ok(submit_json(PREEMPTIBLE, "peer", 5, &peer, &err) == 0);
    pass_time(US_PER_S);
    ok(submit_json(LONG(), "high", 5, &high, &err) == 0);
    pass_time(20 * US_PER_S);
    _cleanup_json_ json_t *why = why_of(&high);
    is_str(offered_priority(why), "give it priority 6: then 1 job makes way for it");
    ok(lifecycle_update(world.lc, lifecycle_get(world.lc, &high), &raise, NULL, NULL, &err) == 0);
    pass_time(US_PER_S);
    is_life(&high, "running attempt 1 preempted 0");
    is_life(&peer, "queued attempt 1 preempted 1");
    /* Nobody who runs may be stopped any more. */
    ok(submit_json(LONG(), "last", 5, &last, &err) == 0);
    pass_time(US_PER_S);
    _cleanup_json_ json_t *other = why_of(&last);
    ok(offered_priority(other) == NULL);
    verify();
    world_close();
}

TEST(a_gang_gets_its_machines_from_those_of_less_right_alone)
{
    struct error err = { 0 };
    struct id small[4], gang;

    world_open(4);
    for (int i = 0; i < 4; i++)
        small[i] = begin(PREEMPTIBLE, NULL);
    ok(submit_json("{\"command\":[\"x\"],\"cpus\":1,\"tasks_per_node\":3,\"env\":{\"NULL_SECONDS\":"
                   "\"100\"}}",
                   "gang", 1, &gang, &err) == 0);
    pass_time(US_PER_S);
    is_life(&gang, "running attempt 1 preempted 0");
    unsigned preempted = 0;
    for (int i = 0; i < 4; i++)
        preempted += lifecycle_get(world.lc, &small[i])->preemptions;
    ok(preempted == 3);
    crash();
    pass_time(500 * US_PER_S);
    for (int i = 0; i < 4; i++) {
        _cleanup_(workload_freep) struct workload *w = stored(&small[i]);
        ok(w->state == WORKLOAD_SUCCEEDED && w->attempts == w->preemptions + 1);
    }
    verify();
    world_close();
}

/* It fails soon after every start. */
TEST(who_fails_over_and_over_has_no_more_than_two_stopped)
{
    struct error err = { 0 };
    struct id looper;

    world_open(1);
    struct id low = begin("{\"command\":[\"x\"],\"cpus\":1,\"env\":{\"NULL_SECONDS\":\"1000\"},"
                          "\"preemptible\":true}",
                          "low");
    pass_time(US_PER_S);
    ok(submit_json(
           "{\"command\":[\"x\"],\"cpus\":1,\"retries\":{\"max\":20,\"backoff\":10},\"env\":"
           "{\"NULL_SECONDS\":\"1\",\"NULL_EXIT\":\"3\"}}",
           "looper", 9, &looper, &err) == 0);
    for (int i = 0; i < 9; i++) {
        pass_time(100 * US_PER_S);
        if (i % 2)
            crash();
    }
    is_life(&low, "running attempt 3 preempted 2");
    is_life(&looper, "queued attempt 2 preempted 0");
    is_why(
        &looper, "no_cores",
        "needs 1 core; 0 of 1 are free on node n1, 1 held by 1 job; no more jobs are stopped for it: 2 were, and it came "
        "back 2 times before it ran for an hour");
    pass_time(2000 * US_PER_S);
    is_life(&low, "succeeded attempt 3 preempted 2");
    pass_time(40 * 3600 * US_PER_S);
    is_life(&looper, "failed attempt 21 preempted 0");
    verify();
    world_close();
}

TEST(only_who_is_preemptible_is_asked)
{
    struct error err = { 0 };

    world_open(1);
    struct id id = begin(LONG(), "firm");
    ok(order(&id, false, &err) == -EBUSY && strstr(err.text, "not preemptible") != NULL);
    is_life(&id, "running attempt 1 preempted 0");
    ok(order(&id, true, &err) == 0);
    pass_time(US_PER_S);
    is_life(&id, "running attempt 2 preempted 1");
    pass_time(200 * US_PER_S);
    ok(order(&id, true, &err) == -ENOENT);
    verify();
    world_close();
}

TEST(retries_are_counted_without_preemptions)
{
    struct error err = { 0 };

    world_open(1);
    struct id id =
        begin("{\"command\":[\"x\"],\"cpus\":1,\"preemptible\":true,\"retries\":{\"max\":1,"
              "\"backoff\":10},\"env\":{\"NULL_SECONDS\":\"50\",\"NULL_EXIT\":\"3\"}}",
              "fails");
    for (int i = 0; i < 3; i++) {
        pass_time(10 * US_PER_S);
        ok(order(&id, false, &err) == 0);
        pass_time(0);
    }
    is_life(&id, "running attempt 4 preempted 3");
    pass_time(51 * US_PER_S);
    is_life(&id,
            "queued attempt 4 preempted 3"); /* the first failure: its back-off is the first, too */
    pass_time(11 * US_PER_S);
    is_life(&id, "running attempt 5 preempted 3");
    pass_time(60 * US_PER_S);
    is_life(&id, "failed attempt 5 preempted 3");
    verify();
    world_close();
}

TEST(a_stop_holds_over_a_preemption)
{
    struct error err = { 0 };

    world_open(1);
    struct id id = begin(PREEMPTIBLE, "both");
    ok(order(&id, false, &err) == 0);
    ok(lifecycle_stop(world.lc, &id, "key:test", -1, NULL, NULL, &err) == 0);
    ok(order(&id, false, &err) == -EBUSY);
    is_str(err.text, "the job ends already: it is being stopped");
    pass_time(US_PER_S);
    is_life(&id, "stopped attempt 1 preempted 0");
    _cleanup_(workload_freep) struct workload *w = stored(&id);
    ok(w->cause == END_STOPPED);
    verify();
    world_close();
}

TEST(a_restart_in_the_middle_changes_nothing)
{
    struct error err = { 0 };

    world_open(1);
    struct id id = begin(PREEMPTIBLE, "a");
    ok(order(&id, false, &err) == 0);
    crash(); /* perhaps before the engine heard of it */
    pass_time(US_PER_S);
    is_life(&id, "running attempt 2 preempted 1");

    /* The machine goes while it is asked to end: that is no failure of its. */
    ok(order(&id, false, &err) == 0);
    while (world.lc->commits)
        loop_once(world.loop, 1000);
    reboot();
    pass_time(US_PER_S);
    is_life(&id, "running attempt 3 preempted 2");
    verify();
    world_close();
}

static bool is_stopping(const struct id *id)
{
    const struct workload *w = lifecycle_get(world.lc, id);

    return w && w->stop_requested;
}

/* Two may be stopped for one that waits; the server dies before either is gone. */
static void stopped_once(unsigned seconds_between, unsigned crashes)
{
    struct error err = { 0 };
    struct id high;

    world_open(2);
    struct id a = begin(PREEMPTIBLE, "a");
    pass_time(seconds_between * US_PER_S);
    struct id b = begin(PREEMPTIBLE, "b");
    pass_time(20 * US_PER_S);
    ok(submit_json(LONG(), "high", 5, &high, &err) == 0);
    lifecycle_tick(world.lc);
    ok(is_stopping(&a) != is_stopping(&b));
    bool is_a = is_stopping(&a);
    while (crashes-- > 0) {
        crash();
        lifecycle_tick(world.lc);
        ok(is_stopping(&a) == is_a && is_stopping(&b) == !is_a);
    }
    pass_time(5 * US_PER_S);
    is_life(&high, "running attempt 1 preempted 0");
    is_life(is_a ? &b : &a, "running attempt 1 preempted 0");
    verify();
    world_close();
}

TEST(a_restart_stops_nobody_else_for_who_waits)
{
    stopped_once(0, 1);
    stopped_once(10, 1);
    stopped_once(3, 3);
}

TEST(before_it_began_it_makes_room_as_well)
{
    struct error err = { 0 };
    struct id id;

    world_open(1);
    ok(submit_json(PREEMPTIBLE, "a", 0, &id, &err) == 0);
    unsigned starts = world.proxy.n_starts;
    lifecycle_tick(world.lc);
    is_life(&id, "starting attempt 1 preempted 0");
    ok(order(&id, false, &err) == 0);
    settle();
    ok(world.proxy.n_starts == starts);
    is_life(&id, "queued attempt 1 preempted 1");
    pass_time(200 * US_PER_S);
    is_life(&id, "succeeded attempt 2 preempted 1");
    verify();
    world_close();
}

TEST(a_gang_makes_room_as_one)
{
    struct error err = { 0 };

    world_open(4);
    struct id id =
        begin("{\"command\":[\"x\"],\"cpus\":1,\"tasks_per_node\":4,\"preemptible\":true,"
              "\"env\":{\"NULL_SECONDS\":\"100\",\"NULL_SECONDS_2\":\"5\"}}",
              "gang");
    pass_time(10 * US_PER_S); /* rank 2 is done */
    struct id small = begin(LONG(), "small");
    ok(order(&id, false, &err) == 0);
    pass_time(0);
    is_life(&id, "running attempt 2 preempted 1");
    is_life(&small, "queued attempt 0 preempted 0");
    ok(lifecycle_get(world.lc, &id)->attempt->n_tasks == 4);
    pass_time(300 * US_PER_S);
    is_life(&id, "succeeded attempt 2 preempted 1");
    is_life(&small, "succeeded attempt 1 preempted 0");
    verify();
    world_close();
}

static void no_answer(void *userdata) {}

TEST(who_may_leaves_a_machine_that_is_drained)
{
    const struct cordon drain = {
        .node = "n1", .cordoned = true, .drained = true, .preempt = true, .actor = "key:op"
    };
    struct error err = { 0 };

    world_open(2);
    struct id firm = begin(LONG(), "firm"), soft = begin(PREEMPTIBLE, "soft");
    ok(lifecycle_cordon(world.lc, &drain, no_answer, NULL, &err) == 0);
    pass_time(US_PER_S);
    is_life(&firm, "running attempt 1 preempted 0");
    is_life(&soft, "queued attempt 1 preempted 1");
    ok(lifecycle_cordon(world.lc, &(struct cordon){ .node = "n1", .actor = "key:op" }, no_answer,
                        NULL, &err) == 0);
    pass_time(US_PER_S);
    is_life(&soft, "running attempt 2 preempted 1");
    verify();
    world_close();
}

TAP_MAIN
