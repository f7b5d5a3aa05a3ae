/* Bookings live: made where they can be honoured, others are gone in time, begun, ended, over a restart */
#include "lifecycle/test/world.h"

#define SPEC(seconds, cpus, more)                                                                  \
    "{\"command\":[\"x\"],\"cpus\":" cpus ",\"env\":{\"NULL_SECONDS\":\"" seconds "\"}" more "}"

static struct id other_project(void)
{
    struct error err = { 0 };
    struct id id;

    ok(lifecycle_create_project(world.lc, &(struct new_tenant){ .name = "p2", .actor = "test" },
                                NULL, NULL, &id, &err) == 0);
    settle();
    return id;
}

static int book(const struct id *project, const char *name, int64_t from_s, int64_t until_s,
                struct error *err)
{
    const struct new_booking new = { .project = *project,
                                     .name = name,
                                     .nodes = 1,
                                     .from_us = world.now_us + from_s * US_PER_S,
                                     .until_us = world.now_us + until_s * US_PER_S,
                                     .actor = "key:test" };
    struct id id;
    int r = lifecycle_book(world.lc, &new, NULL, NULL, &id, err);

    settle();
    return r;
}

static struct id begin(const char *spec, const char *name)
{
    struct error err = { 0 };
    struct id id = id_none;

    ok(submit_json(spec, name, 0, &id, &err) == 0);
    is_str(err.text, "");
    pass_time(0);
    return id;
}

static const char *state_of(const struct id *id)
{
    const struct workload *w = lifecycle_get(world.lc, id);

    return w ? workload_state_name(w->state) : "final";
}

/* Names and states of all bookings. */
static const char *booked(void)
{
    static char text[128];
    const struct booking_record *const *all;
    size_t n;

    lifecycle_bookings(world.lc, &id_none, &all, &n);
    text[0] = '\0';
    for (size_t i = 0; i < n; i++)
        (void) snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s %s on %s",
                        i ? "; " : "", all[i]->name, all[i]->has_begun ? "active" : "planned",
                        all[i]->kept[0].node);
    return text;
}

TEST(a_booking_begins_and_ends_over_a_restart)
{
    struct error err = { 0 };

    world_open(2);
    ok(book(&world.project, "later", 3000, 4000, &err) == 0);
    ok(book(&world.project, "course", 1000, 2000, &err) == 0);
    is_str(booked(), "course planned on n1; later planned on n1");
    crash();
    is_str(booked(), "course planned on n1; later planned on n1");
    pass_time(1000 * US_PER_S);
    is_str(booked(), "course active on n1; later planned on n1");
    crash();
    pass_time(1000 * US_PER_S);
    is_str(booked(), "later planned on n1");
    ok(lifecycle_unbook(world.lc, &world.project, "later", "key:test", NULL, NULL, &err) == 0);
    ok(lifecycle_unbook(world.lc, &world.project, "later", "key:test", NULL, NULL, &err) ==
       -ENOENT);
    settle();
    crash();
    is_str(booked(), "");
    world_close();
}

TEST(what_cannot_be_honoured_is_refused)
{
    struct error err = { 0 };

    world_open(2);
    struct id other = other_project();
    ok(book(&other, "a", -100, 2000, &err) == -EINVAL);
    is_str(err.text, "from: is past; leave it out for now, or name a later time");
    ok(lifecycle_book(world.lc,
                      &(struct new_booking){ .project = other,
                                             .name = "a",
                                             .gpus = 1,
                                             .gpu_model = "H100",
                                             .until_us = world.now_us + 100 * US_PER_S,
                                             .from_us = world.now_us,
                                             .actor = "key:test" },
                      NULL, NULL, &(struct id){ 0 }, &err) == -EINVAL);
    is_str(err.text,
           "gpu_model: no machine has GPUs of model H100 alone; those that have one model: none");
    ok(book(&other, "a", 100, 100, &err) == -EINVAL);
    is_str(err.text, "until: must be later than from, and not past");
    ok(book(&other, "a", 1000, 2000, &err) == 0);
    ok(book(&other, "a", 3000, 4000, &err) == -EEXIST);
    ok(book(&other, "b", 1500, 2500, &err) == -EBUSY);
    is_str(err.text,
           "nodes: 0 of 1 that would do are free then, and 1 is wanted: of 1 something is booked, "
           "on 0 runs what may still be there and cannot be stopped");
    /* A job that says no time may still be there, unless it may be stopped. */
    ok(lifecycle_unbook(world.lc, &other, "a", "key:test", NULL, NULL, &err) == 0);
    (void) begin(SPEC("100000", "1", ""), "endless");
    ok(book(&other, "a", 1000, 2000, &err) == -EBUSY);
    ok(book(&world.project, "own", 1000, 2000, &err) == 0);
    world_close();
}

TEST(who_may_be_stopped_leaves_in_time)
{
    struct error err = { 0 };

    world_open(2);
    struct id other = other_project();
    struct id stays = begin(SPEC("100000", "1", ",\"max_time\":900"), "short");
    struct id leaves = begin(SPEC("100000", "1", ",\"preemptible\":true"), "long");
    ok(book(&other, "course", 1000, 2000, &err) == 0);
    pass_time(699 * US_PER_S);
    is_str(state_of(&leaves), "running");
    pass_time(31 * US_PER_S);
    is_str(state_of(&leaves), "queued");
    is_str(state_of(&stays), "running");
    _cleanup_json_ json_t *why = why_of(&leaves);
    is_str(json_get_str(why, "rule", ""), "booked");
    is_str(json_get_str(why, "text", ""),
           "it was preempted and goes on when it can: node n1 is booked for p2 from 2023-11-14 "
           "22:30 until 22:46 UTC");
    pass_time(201 * US_PER_S);
    is_str(state_of(&stays), "final");
    is_str(state_of(&leaves), "queued");
    pass_time(1070 * US_PER_S);
    is_str(state_of(&leaves), "running");
    world_close();
}

TEST(many_start_at_once_beside_a_booking)
{
    struct error err = { 0 };
    struct id ids[12];
    unsigned n = 0;

    world_open(10);
    struct id other = other_project();
    ok(book(&other, "course", 2000, 3000, &err) == 0);
    for (size_t i = 0; i < 12; i++)
        ok(submit_json(SPEC("1000", "1", ",\"max_time\":1200"), NULL, 0, &ids[i], &err) == 0);
    settle();
    lifecycle_tick(world.lc);
    settle();
    for (size_t i = 0; i < 12; i++)
        n += strcmp(state_of(&ids[i]), "queued") != 0;
    ok(n == 10);
    world_close();
}

static void cordon_node(const char *node, bool cordoned)
{
    struct error err = { 0 };
    const struct cordon order = { .node = node, .cordoned = cordoned, .actor = "key:op" };

    ok(lifecycle_cordon(world.lc, &order, NULL, NULL, &err) == 0);
    settle();
    pass_time(0);
}

static void cordon(bool cordoned) { cordon_node("n1", cordoned); }

TEST(all_that_a_booking_lacks_is_said_at_once)
{
    struct error err = { 0 };
    struct id id;

    world_open(2);
    struct node *second = world_node();
    xstr_set(&second->name, "n2");
    lifecycle_set_node(world.lc, second);
    const struct new_booking both = { .project = world.project,
                                      .name = "both",
                                      .nodes = 2,
                                      .from_us = world.now_us + 1000 * US_PER_S,
                                      .until_us = world.now_us + 2000 * US_PER_S,
                                      .actor = "key:test" };
    ok(lifecycle_book(world.lc, &both, NULL, NULL, &id, &err) == 0);
    settle();
    const struct booking_record *record = lifecycle_booking(world.lc, &world.project, "both");
    cordon_node("n2", true);
    is_str(record->lacks, "n2");
    cordon_node("n1", true);
    is_str(record->lacks, "n1, n2");
    cordon_node("n2", false);
    is_str(record->lacks, "n1");
    cordon_node("n1", false);
    ok(!record->lacks);
    world_close();
}

/* There is one machine: nobody can stand in for it. */
TEST(it_is_said_what_a_booking_lacks)
{
    struct error err = { 0 };

    world_open(2);
    ok(book(&world.project, "course", 1000, 2000, &err) == 0);
    const struct booking_record *record = lifecycle_booking(world.lc, &world.project, "course");
    cordon(true);
    is_str(record->lacks, "n1");
    crash();
    record = lifecycle_booking(world.lc, &world.project, "course");
    is_str(record->lacks, "n1");
    cordon(false);
    ok(!record->lacks);
    is_str(booked(), "course planned on n1");
    world_close();
}

TAP_MAIN
