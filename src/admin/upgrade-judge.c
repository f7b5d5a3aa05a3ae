/* upgrade-judge.c - what the next start of the server would change */
#include "admin/upgrade.h"

#include <stdlib.h>
#include <string.h>

void upgrade_done(struct upgrade *u)
{
    free(u->path);
    free(u->problem);
    free(u->server_version);
    free(u->server_problem);
    vec_foreach(&u->tasks, task) {
        free(task->attempt);
        free(task->job);
        free(task->project);
        free(task->problem);
    }
    vec_done(&u->tasks);
}

/* What keeps this version from starting; false: nothing. */
static bool refuses(const struct upgrade *u, struct text *t)
{
    size_t before = t->len;

    if (u->problem)
        text_addf(t, "the settings are refused: %s\n", u->problem);
    if (u->has_state && u->store.format > u->store.known)
        text_addf(
            t,
            "the state is of format %u, this version knows %u: use the newer version, or restore the "
            "backup that was made before it\n",
            u->store.format, u->store.known);
    vec_foreach(&u->tasks, task)
        if (task->problem)
            text_addf(t, "job %s of project %s cannot be taken over: %s\n", task->job,
                      task->project, task->problem);
    return t->len > before;
}

static bool server_changes(const struct upgrade *u)
{
    if (!u->store.server || u->same_file)
        return false;
    return true;
}

static void tell_server(const struct upgrade *u, struct text *t)
{
    if (!u->store.server)
        text_addf(t, "%s starts with: systemctl start berth\n", u->version);
    else if (str_equal(u->server_version, u->version))
        text_addf(t, "another build of %s takes the server's place with: systemctl restart berth\n",
                  u->version);
    else
        text_addf(t, "%s takes the place of %s with: systemctl restart berth\n", u->version,
                  u->server_version ? u->server_version : "the server that runs");
}

static void tell_tasks(const struct upgrade *u, struct text *t)
{
    if (u->tasks.len == 1)
        text_add(t, "1 running task goes on, under the version it began in, and is taken over\n");
    else if (u->tasks.len > 1)
        text_addf(t,
                  "%zu running tasks go on, under the version they began in, and are taken over\n",
                  u->tasks.len);
}

enum upgrade_verdict upgrade_judge(const struct upgrade *u, struct text *words)
{
    _cleanup_text_ struct text unread = { 0 };
    struct text *t = words ? words : &unread;

    if (refuses(u, t))
        return UPGRADE_REFUSED;
    bool migrates = u->has_state && u->store.format < u->store.known;
    if (!server_changes(u) && !migrates) {
        text_add(t, u->store.server ? "nothing: the server that runs is this version\n"
                    : u->has_state  ? "nothing: the state is of the format of this version\n"
                                    : "nothing: there is no state yet; the first start makes it\n");
        return UPGRADE_CURRENT;
    }
    tell_server(u, t);
    if (migrates)
        text_addf(
            t,
            "the state goes from format %u to %u; older versions refuse it from then on: berth store "
            "backup FILE comes first\n",
            u->store.format, u->store.known);
    tell_tasks(u, t);
    return UPGRADE_WAITING;
}
