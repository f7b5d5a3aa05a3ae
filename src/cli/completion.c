/* completion.c - berth completion: the words that may come next, live names included */
#include "cli/commands.h"
#include "cli/roles.h"

#include "base/alloc.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

static const char script[] =
    "# berth completion bash > /etc/bash_completion.d/berth\n"
    "_berth() {\n"
    "    local IFS=$'\\n'\n"
    "    COMPREPLY=($(berth completion words -- \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null))\n"
    "    [ ${#COMPREPLY[@]} -gt 0 ] || compopt -o default 2>/dev/null\n"
    "    [[ ${COMPREPLY[0]-} != *: ]] || compopt -o nospace 2>/dev/null\n"
    "}\n"
    "complete -F _berth berth\n";

struct words {
    const char *prefix;
    const char *noun;
    const char *suffix; /* of every name; NULL: none */
    const char *job;    /* the first operand; NULL: this is it */
    struct map *seen;
};

static void offer(struct words *w, const char *word)
{
    _cleanup_text_ struct text clean = { 0 };

    text_add_clean(&clean, word);
    if (!str_starts(word, w->prefix) || map_get_str(w->seen, word) || !str_equal(clean.data, word))
        return;
    map_set_str(w->seen, word, w);
    (void) printf("%s\n", word);
}

static void offer_flag(struct words *w, const char *name)
{
    _cleanup_free_ char *flag = xasprintf("--%s", name);
    offer(w, flag);
}

static void offer_first(void *userdata, const struct command *c)
{
    offer(userdata, c->noun ? c->noun : c->verb);
}

static void offer_role(void *userdata, const struct cli_role *role)
{
    if (!strchr(role->name, ' '))
        offer(userdata, role->name);
}

static void offer_role_verb(void *userdata, const struct cli_role *role)
{
    struct words *w = userdata;
    const char *verb = role_verb(role, w->noun);

    if (verb)
        offer(w, verb);
}

static void offer_word(void *userdata, const char *word) { offer(userdata, word); }

static void offer_verb(void *userdata, const struct command *c)
{
    struct words *w = userdata;

    if (str_equal(c->noun, w->noun))
        offer(w, c->verb);
}

static void offer_flags(struct words *w, const struct command *c)
{
    const struct declare_endpoint *e = c->endpoint ? declare_endpoint(c->endpoint) : NULL;
    const struct declare_type *types[] = { e ? e->body : NULL, e ? e->query : NULL };

    for (const struct cli_flag *f = c->flags; f && f->name; f++)
        offer_flag(w, f->name);
    for (int i = 0; i < 2; i++) {
        struct declare_flag flag;
        for (size_t pos = 0; types[i] && declare_next_flag(types[i], &pos, &flag);)
            offer_flag(w, flag.path[flag.depth - 1]->flag);
    }
    for (const struct cli_flag *f = cli_global_flags; f->name; f++)
        offer_flag(w, f->name);
}

static void offer_name(struct words *w, const char *name)
{
    _cleanup_free_ char *word = xasprintf("%s%s", name, w->suffix ? w->suffix : "");
    offer(w, word);
}

/* Names of a list, from the server; nothing when it does not answer. */
static void offer_names(struct cli *cli, struct words *w, const char *target)
{
    _cleanup_json_ json_t *list = NULL;
    size_t i;
    const json_t *item;

    if (cli_resolve(cli, NULL) < 0 || remote_get(cli, target, &list, NULL) < 0)
        return;
    json_array_foreach(json_object_get(list, "items"), i, item)
        offer_name(w, json_get_str(item, "name", json_get_str(item, "path", "")));
}

static void offer_of_project(struct cli *cli, struct words *w, const char *what)
{
    if (cli_resolve(cli, NULL) < 0 || !cli->project)
        return;
    _cleanup_free_ char *target = project_path(cli, what, NULL);
    offer_names(cli, w, target);
}

/* JOB, or JOB:PATH. */
static void offer_jobs(struct cli *cli, struct words *w, const struct command *c, const char *form)
{
    if (cli_resolve(cli, NULL) < 0 || !cli->project)
        return;
    _cleanup_free_ char *all = project_path(cli, "jobs", NULL);
    _cleanup_free_ char *target = xasprintf("%s%s", all, c->goes_in ? "?state=running" : "");
    w->suffix = form[strlen("JOB")] == ':' ? ":" : NULL;
    offer_names(cli, w, target);
}

/* Those that the job gave names to. */
static void offer_ports(struct cli *cli, struct words *w)
{
    _cleanup_json_ json_t *job = NULL;
    size_t i;
    const json_t *port;

    if (!w->job || cli_resolve(cli, NULL) < 0 || !cli->project)
        return;
    _cleanup_free_ char *target = project_path(cli, "jobs", w->job, NULL);
    if (remote_get(cli, target, &job, NULL) < 0)
        return;
    json_array_foreach(json_object_get(json_object_get(job, "spec"), "ports"), i, port)
        offer(w, json_get_str(port, "name", ""));
}

static void offer_contexts(struct cli *cli, struct words *w)
{
    const char *name;
    json_t *context;

    if (!cli->config.tree && config_load(&cli->config, NULL) < 0)
        return;
    json_object_foreach(json_object_get(cli->config.tree, "contexts"), name, context)
        offer(w, name);
}

/* What the value of a flag may be. */
static bool offer_value(struct cli *cli, struct words *w, const char *flag)
{
    static const char *const formats[] = { "table", "json", "yaml", "name" };

    if (str_equal(flag, "-o") || str_equal(flag, "--output"))
        for (int i = 0; i < 4; i++)
            offer(w, formats[i]);
    else if (str_equal(flag, "--flavor") || str_equal(flag, "-f"))
        offer_names(cli, w, "/v1/flavors");
    else if (str_equal(flag, "--project"))
        offer_names(cli, w, "/v1/projects");
    else if (str_equal(flag, "--context"))
        offer_contexts(cli, w);
    else if (str_equal(flag, "--job"))
        offer_of_project(cli, w, "jobs");
    else
        return false;
    return true;
}

static void offer_operand(struct cli *cli, struct words *w, const struct command *c, size_t n)
{
    const char *p = c->operands ? c->operands : "";

    for (; n > 0 && strchr(p, ' '); n--)
        p = strchr(p, ' ') + 1;
    p += *p == '[';
    if (str_starts(p, "JOB"))
        offer_jobs(cli, w, c, p);
    else if (str_starts(p, "LOCAL:"))
        offer_ports(cli, w);
    else if (str_starts(p, "SECRET") || (str_equal(c->noun, "secret") && str_starts(p, "NAME")))
        offer_of_project(cli, w, "secrets");
    else if (str_starts(p, "NODE"))
        offer_names(cli, w, "/v1/nodes");
    else if (str_starts(p, "PROJECT"))
        offer_names(cli, w, "/v1/projects");
    else if (str_starts(p, "KEY"))
        offer_names(cli, w, "/v1/keys");
    else if (str_equal(c->noun, "context"))
        offer_contexts(cli, w);
}

/* ITEMS are the words up to the cursor, the last may be empty. */
static void complete(struct cli *cli, struct words *w, char *const *items, size_t n)
{
    const struct command *c = command_find(NULL, items[0]);
    size_t first = 1, operands = 0;

    if (n == 1) {
        command_each(offer_first, w);
        roles_each(offer_role, w);
        return;
    }
    int words = 0;
    const struct cli_role *role = role_match((int) n - 1, items, &words);
    if (role) {
        (*w->prefix == '-' ? role_each_flag : role_each_verb)(role, offer_word, w);
        return;
    }
    if (!c && n == 2) {
        w->noun = items[0];
        command_each(offer_verb, w);
        roles_each(offer_role_verb, w);
        return;
    }
    if (!c) {
        c = command_find(items[0], items[1]);
        first = 2;
    }
    if (!c || (n > first + 1 && offer_value(cli, w, items[n - 2])))
        return;
    if (*w->prefix == '-') {
        offer_flags(w, c);
        return;
    }
    for (size_t i = first; i + 1 < n; i++) {
        if (items[i][0] == '-')
            continue;
        w->job = operands++ ? w->job : items[i];
    }
    offer_operand(cli, w, c, operands);
}

static int run(struct cli *cli, const struct args *args, struct error *err)
{
    const char *what = args_operand(args, 0);

    if (str_equal(what, "bash")) {
        (void) fputs(script, stdout);
        return CLI_OK;
    }
    if (!str_equal(what, "words") || args->operands.len < 2)
        return error_set(err, -22, "completions are made for bash, not for '%.40s'", what);
    struct words w = { .prefix = args->operands.items[args->operands.len - 1], .seen = map_new() };
    complete(cli, &w, args->operands.items + 1, args->operands.len - 1);
    map_free(w.seen);
    return CLI_OK;
}

const struct command command_completion = {
    .verb = "completion",
    .operands = "bash",
    .summary = "Print the script that completes commands, flags and names in bash",
    .examples = "source <(berth completion bash)\n"
                "berth completion bash > /etc/bash_completion.d/berth",
    .operands_min = 1,
    .operands_max = UINT_MAX,
    .offline = true,
    .run = run,
};
