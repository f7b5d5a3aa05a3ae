/* What orgs and projects weigh decides who goes first, also after a restart. */
#include "lifecycle/test/world.h"

#include <errno.h>

static struct id run_for(const struct id *project, const char *seconds)
{
    _cleanup_free_ char *spec =
        xasprintf("{\"command\":[\"x\"],\"cpus\":1,\"env\":{\"NULL_SECONDS\":\"%s\"}}", seconds);
    struct error err = { 0 };
    struct id id = id_none, before = world.project;

    world.project = *project;
    ok(submit_json(spec, NULL, 0, &id, &err) == 0);
    world.project = before;
    pass_time(0);
    return id;
}

static bool runs(const struct id *id)
{
    const struct workload *w = lifecycle_get(world.lc, id);

    return w && w->state == WORKLOAD_RUNNING;
}

/* A world of one core with a second project, which is returned. */
static struct id open_two(void)
{
    struct error err = { 0 };
    struct id second;

    world_open(1);
    ok(lifecycle_create_project(world.lc, &(struct new_tenant){ .name = "p2", .actor = "test" },
                                NULL, NULL, &second, &err) == 0);
    settle();
    return second;
}

TEST(a_project_is_of_the_org_that_it_was_made_in)
{
    struct new_tenant new = { .name = "theirs", .org = "nobody", .actor = "test" };
    struct error err = { 0 };
    struct id org, project;

    world_open(1);
    ok(lifecycle_create_project(world.lc, &new, NULL, NULL, &project, &err) == -ENOENT);
    is_str(err.text, "org: there is no org 'nobody'; berth org list names them");
    ok(lifecycle_create_org(world.lc, &(struct new_tenant){ .name = "other", .actor = "test" },
                            NULL, NULL, &org, &err) == 0);
    new.org = "other";
    ok(lifecycle_create_project(world.lc, &new, NULL, NULL, &project, &err) == 0);
    settle();
    crash();
    ok(id_equal(&project_get(world.lc, &project)->org, &org));
    ok(!id_equal(&project_get(world.lc, &world.project)->org, &org));
    world_close();
}

/* The first project had 100 s, the second 150 s: who of two that wait goes first? */
static bool second_goes_first(unsigned weight, bool crashes)
{
    struct error err = { 0 };
    struct id second = open_two();

    const struct project_change change = { .project = second, .weight = weight, .actor = "test" };
    ok(lifecycle_update_project(world.lc, &change, NULL, NULL, &err) == 0);
    settle();
    if (crashes)
        crash();
    (void) run_for(&world.project, "100");
    pass_time(101 * US_PER_S);
    (void) run_for(&second, "150");
    struct id one = run_for(&world.project, "1000"), other = run_for(&second, "1000");
    pass_time(151 * US_PER_S);
    ok(runs(&one) != runs(&other));
    bool is_other = runs(&other);
    world_close();
    return is_other;
}

TEST(weight_decides_who_goes_first)
{
    ok(!second_goes_first(1, false));
    ok(second_goes_first(3, false));
    ok(second_goes_first(3, true));
}

/* The server dies and starts, and with RECALLS knows what was had. */
static void restart(bool recalls)
{
    struct had_list had;

    lifecycle_shares(world.lc, &had);
    world.shares = recalls ? had_list_to_json(&had) : NULL;
    crash();
    json_decref(world.shares);
    world.shares = NULL;
    vec_done(&had.list);
}

/* The first project had 150 s, the second 100 s, and then the server starts again. */
static bool second_goes_first_after(bool recalls)
{
    struct id second = open_two();

    (void) run_for(&world.project, "150");
    pass_time(151 * US_PER_S);
    (void) run_for(&second, "100");
    pass_time(101 * US_PER_S);
    struct id holder = run_for(&second, "5");
    struct id one = run_for(&world.project, "1000"), other = run_for(&second, "1000");
    ok(runs(&holder));
    restart(recalls);
    pass_time(6 * US_PER_S);
    ok(runs(&one) != runs(&other));
    bool is_other = runs(&other);
    world_close();
    return is_other;
}

static struct id run_as(const char *user, const char *seconds)
{
    world.actor = user;
    struct id id = run_for(&world.project, seconds);
    world.actor = NULL;
    return id;
}

/* The same of two users of one project. */
static bool second_user_goes_first_after(bool recalls)
{
    world_open(1);
    (void) run_as("key:ann", "150");
    pass_time(151 * US_PER_S);
    (void) run_as("key:bob", "100");
    pass_time(101 * US_PER_S);
    (void) run_as("key:bob", "5");
    struct id ann = run_as("key:ann", "1000"), bob = run_as("key:bob", "1000");
    restart(recalls);
    pass_time(6 * US_PER_S);
    ok(runs(&ann) != runs(&bob));
    bool is_bob = runs(&bob);
    world_close();
    return is_bob;
}

TEST(what_was_had_is_remembered)
{
    ok(!second_goes_first_after(false));
    ok(second_goes_first_after(true));
    ok(!second_user_goes_first_after(false));
    ok(second_user_goes_first_after(true));
}

TEST(shares_that_are_none_are_refused)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        { "{}", "at_us: must be a time" },
        { "{\"at_us\":1,\"used\":{}}", "used: must be a list" },
        { "{\"at_us\":1,\"used\":[7]}", "used[0]: must be {" },
        { "{\"at_us\":1,\"used\":[{\"org\":\"01900000-0000-7000-8000-000000000001\",\"user\":\"x\"}]}",
          "used[0]: must be {" },
        { "{\"at_us\":1,\"used\":[{\"org\":\"x\",\"used\":1}]}", "used[0].org: 'x' must be an id" },
        { "{\"at_us\":1,\"used\":[{\"org\":\"01900000-0000-7000-8000-000000000001\",\"used\":-1}]}",
          "used[0].used: must be a whole number from 0 to " },
    };

    world_open(1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        _cleanup_json_ json_t *json = json_loads(cases[i].text, 0, NULL);
        struct error err = { 0 };
        ok(lifecycle_recall_shares(world.lc, json, &err) == -EINVAL);
        ok(str_starts(err.text, cases[i].says));
    }
    world_close();
}

TAP_MAIN
