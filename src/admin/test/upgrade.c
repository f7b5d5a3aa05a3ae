/* What the next start would change, from what was seen. */
#include "admin/upgrade.h"
#include "tests/tap.h"

static struct upgrade seen(unsigned format, unsigned known, pid_t server, const char *version)
{
    return (struct upgrade){
        .version = "2.0.0",
        .state = "/state",
        .has_state = true,
        .store = { .format = format, .known = known, .server = server },
        .server_version = (char *) (uintptr_t) version,
    };
}

TEST(without_a_state_nothing_changes)
{
    struct upgrade u = { .version = "2.0.0", .state = "/state", .store = { .known = 6 } };
    _cleanup_text_ struct text words = { 0 };

    ok(upgrade_judge(&u, &words) == UPGRADE_CURRENT);
    ok(strstr(words.data, "no state yet"));
}

TEST(the_version_that_runs_changes_nothing)
{
    struct upgrade u = seen(6, 6, 12, "2.0.0");

    u.same_file = true;
    ok(upgrade_judge(&u, NULL) == UPGRADE_CURRENT);
    u = seen(6, 6, 0, NULL);
    ok(upgrade_judge(&u, NULL) == UPGRADE_CURRENT);
}

TEST(another_server_waits_to_be_replaced)
{
    struct upgrade u = seen(5, 6, 12, "1.0.0");
    _cleanup_text_ struct text words = { 0 };
    struct upgrade_task task = { .job = (char[]){ "train" }, .project = (char[]){ "lab" } };

    vec_push(&u.tasks, task);
    ok(upgrade_judge(&u, &words) == UPGRADE_WAITING);
    ok(strstr(words.data, "2.0.0 takes the place of 1.0.0"));
    ok(strstr(words.data, "from format 5 to 6"));
    ok(strstr(words.data, "1 running task goes on"));
    vec_done(&u.tasks);

    u = seen(6, 6, 12, "2.0.0"); /* the same version, built anew */
    ok(upgrade_judge(&u, NULL) == UPGRADE_WAITING);
    u = seen(6, 6, 12, NULL); /* it does not answer */
    ok(upgrade_judge(&u, NULL) == UPGRADE_WAITING);
    u = seen(5, 6, 0, NULL);
    ok(upgrade_judge(&u, NULL) == UPGRADE_WAITING);
}

TEST(what_would_not_start_is_refused_with_every_reason)
{
    struct upgrade u = seen(7, 6, 12, "3.0.0");
    _cleanup_text_ struct text words = { 0 };
    struct upgrade_task task = { .job = (char[]){ "train" },
                                 .project = (char[]){ "lab" },
                                 .problem = (char[]){ "is of format 9" } };

    u.problem = (char[]){ "setting grace: 'x' is not a duration" };
    vec_push(&u.tasks, task);
    ok(upgrade_judge(&u, &words) == UPGRADE_REFUSED);
    ok(strstr(words.data, "settings are refused: setting grace"));
    ok(strstr(words.data, "the state is of format 7, this version knows 6"));
    ok(strstr(words.data, "job train of project lab cannot be taken over: is of format 9"));
    vec_done(&u.tasks);
}

TAP_MAIN
