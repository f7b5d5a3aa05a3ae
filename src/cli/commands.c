/* commands.c - the list of commands: those with a file of their own, then one for every endpoint that
 * is declared as "noun.verb" and needs none
 */
#include "cli/commands.h"

#include "base/alloc.h"

#include <limits.h>
#include <string.h>

/* One a line, for the sake of merges. */
/* clang-format off */
const struct command *const cli_commands[] = {
    &command_run,
    &command_sbatch,
    &command_cp,
    &command_exec,
    &command_port_forward,
    &command_logs,
    &command_charts,
    &command_artifacts,
    &command_ps,
    &command_why,
    &command_queue,
    &command_stop,
    &command_init,
    &command_login,
    &command_completion,
    &command_man,
    &command_artifact_get,
    &command_context_list,
    &command_context_use,
    &command_context_delete,
    &command_event_follow,
    &command_image_build,
    &command_image_import,
    &command_image_login,
    &command_image_pull,
    &command_image_push,
    &command_job_record,
    &command_job_show,
    &command_job_wait,
    &command_top,
    &command_job_metrics,
    &command_secret_set,
    &command_dataset_push,
    &command_dataset_pull,
    &command_dataset_diff,
    &command_dataset_verify,
    &command_dataset_show,
    &command_workspace_push,
    &command_job_create,
    &command_job_rerun,
    &command_job_diff,
    &command_node_drain,
    &command_node_show,
    &command_job_preempt,
    &command_scheduler_snapshot,
};
/* clang-format on */

const size_t cli_n_commands = sizeof cli_commands / sizeof *cli_commands;

/* Endpoints that are steps of a command, not commands. */
static bool is_hidden(const struct declare_endpoint *e)
{
    static const char *const nouns[] = { "upload", "task",    "system", "log",  "chart",
                                         "queue",  "session", "top",    "push", "machine" };
    size_t len = strcspn(e->name, ".");

    bool answers = e->response || e->status == 204;
    if (e->body_media || !answers || str_equal(e->name, "job.plan"))
        return true;
    for (size_t i = 0; i < sizeof nouns / sizeof *nouns; i++)
        if (strlen(nouns[i]) == len && strncmp(nouns[i], e->name, len) == 0)
            return true;
    return false;
}

static bool is_project_param(const struct declare_endpoint *e, const char *name)
{
    return str_equal(name, "project") && !str_starts(e->name, "project.");
}

static void add_operand(struct text *t, const char *name, unsigned *n)
{
    if (t->len)
        text_add_char(t, ' ');
    for (const char *p = name; *p; p++)
        text_add_char(t, *p >= 'a' && *p <= 'z' ? (char) (*p - 32) : *p);
    ++*n;
}

/* The parameters of the path, then what the body needs and no flag says: key create NAME. */
static char *operands_of(const struct declare_endpoint *e, unsigned *ret_n)
{
    struct text t = { 0 };

    *ret_n = 0;
    for (size_t i = 0; e->params && i < e->params->n_fields; i++)
        if (!is_project_param(e, e->params->fields[i].name))
            add_operand(&t, e->params->fields[i].name, ret_n);
    for (size_t i = 0; e->body && i < e->body->n_fields; i++)
        if (generic_is_operand(&e->body->fields[i]))
            add_operand(&t, e->body->fields[i].name, ret_n);
    return t.len ? text_take(&t) : NULL;
}

static struct command *make_command(const struct declare_endpoint *e)
{
    struct command *c = xnew(struct command);
    size_t len = strcspn(e->name, ".");

    c->noun = xstrndup(e->name, len);
    c->verb = e->name + len + 1;
    c->operands = operands_of(e, &c->operands_min);
    c->operands_max = c->operands_min;
    c->summary = e->summary;
    c->endpoint = e->name;
    c->flags = generic_flags(e);
    c->run = generic_run;
    return c;
}

/* One for each endpoint, made when it is asked for and kept. */
static const struct command *command_of(size_t i)
{
    static struct command **made;

    if (!made)
        made = xnew_n(struct command *, declare_n_endpoints);
    if (!made[i])
        made[i] = make_command(&declare_endpoints[i]);
    return made[i];
}

static const struct command *find_own(const char *noun, const char *verb)
{
    for (size_t i = 0; i < cli_n_commands; i++)
        if (str_equal(cli_commands[i]->noun, noun) && str_equal(cli_commands[i]->verb, verb))
            return cli_commands[i];
    return NULL;
}

const struct command *command_find(const char *noun, const char *verb)
{
    const struct command *own = find_own(noun, verb);

    if (own || !noun)
        return own;
    for (size_t i = 0; i < declare_n_endpoints; i++) {
        if (is_hidden(&declare_endpoints[i]))
            continue;
        const struct command *c = command_of(i);
        if (str_equal(c->noun, noun) && str_equal(c->verb, verb))
            return c;
    }
    return NULL;
}

void command_each(void (*f)(void *userdata, const struct command *command), void *userdata)
{
    for (size_t i = 0; i < cli_n_commands; i++)
        f(userdata, cli_commands[i]);
    for (size_t i = 0; i < declare_n_endpoints; i++) {
        if (is_hidden(&declare_endpoints[i]))
            continue;
        const struct command *c = command_of(i);
        if (!find_own(c->noun, c->verb))
            f(userdata, c);
    }
}

struct seek {
    const char *noun;
    bool found;
};

static void see_noun(void *userdata, const struct command *c)
{
    struct seek *seek = userdata;
    seek->found = seek->found || str_equal(c->noun, seek->noun);
}

bool command_is_noun(const char *word)
{
    struct seek seek = { word, false };

    command_each(see_noun, &seek);
    return seek.found;
}
