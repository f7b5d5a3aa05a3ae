/* context.c - berth init, login and the context commands: where the CLI talks to */
#include "cli/commands.h"
#include "cli/table.h"

#include "base/alloc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define KEY_BYTES_MAX 200

/* ---- reading what must not be an argument ---------------------------------------------------------- */

/* One line from stdin; on a terminal asked for and not shown. */
static int read_hidden(const char *question, char *buf, size_t size, struct error *err)
{
    struct termios before, hidden;
    bool tty = isatty(0) && tcgetattr(0, &before) == 0;

    if (tty) {
        (void) fputs(question, stderr);
        hidden = before;
        hidden.c_lflag &= ~(tcflag_t) ECHO;
        (void) tcsetattr(0, TCSAFLUSH, &hidden);
    }
    char *got = fgets(buf, (int) size, stdin);
    if (tty) {
        (void) tcsetattr(0, TCSAFLUSH, &before);
        (void) fputc('\n', stderr);
    }
    if (!got)
        return error_set(err, -EINVAL, "nothing came on stdin");
    buf[strcspn(buf, "\r\n")] = '\0';
    return 0;
}

/* ---- berth init ------------------------------------------------------------------------------------- */

static const struct cli_flag init_flags[] = {
    { "org", NULL, "NAME", "the org; default when left out" },
    { "key", NULL, "NAME", "name of the admin key; admin when left out" },
    { "url", NULL, "URL", "what the context shall name; where the server listens when left out" },
    { NULL },
};

static int keep_config(struct cli *cli, struct error *err)
{
    if (!cli->dry_run)
        return config_save(&cli->config, err);
    print_note(cli, "would write %s", cli->config.path);
    return -ECANCELED;
}

/* Made, or there already. */
static int ensure(struct cli *cli, const char *target, const char *name, struct error *err)
{
    _cleanup_json_ json_t *body = json_object();

    json_put_str(body, "name", name);
    int r = remote_post(cli, target, body, NULL, err);
    return r == -EEXIST ? 0 : r;
}

static int make_key(struct cli *cli, const char *name, char **ret, struct error *err)
{
    _cleanup_json_ json_t *body = json_object(), *answer = NULL;
    _cleanup_text_ struct text target = { 0 };

    json_put_str(body, "name", name);
    json_put_str(body, "role", "admin");
    int r = remote_post(cli, "/v1/keys", body, &answer, err);
    if (r == -EEXIST) { /* its text was shown once and is not here: another takes its place */
        text_add(&target, "/v1/keys/");
        url_encode(&target, name, false);
        const struct remote_call drop = { .method = "DELETE", .target = target.data };
        r = remote_call(cli, &drop, NULL, err);
        if (r == 0)
            r = remote_post(cli, "/v1/keys", body, &answer, err);
    }
    if (r < 0)
        return error_context(err, r, "making the key");
    *ret = xstrdup(json_get_str(answer, "key", NULL));
    return *ret ? 0 : error_set(err, -EREMOTEIO, "the server made a key without its text");
}

/* Does the context that is there already work with this server? */
static bool works(struct cli *cli, const char *url, const char *project, const json_t *context)
{
    struct cli probe = { .out = cli->out, .err = cli->err };
    _cleanup_free_ char *target = NULL;

    if (!json_get_str(context, "key", NULL) ||
        !str_equal(json_get_str(context, "url", NULL), url) ||
        !str_equal(json_get_str(context, "project", NULL), project))
        return false;
    probe.url = xstrdup(url);
    probe.key = xstrdup(json_get_str(context, "key", ""));
    probe.project = xstrdup(project);
    target = project_path(&probe, NULL);
    bool fine = remote_get(&probe, target, NULL, NULL) == 0;
    cli_done(&probe);
    return fine;
}

static int set_up(struct cli *cli, const char *org, const char *project, struct error *err)
{
    int r = ensure(cli, "/v1/orgs", org, err);

    if (r < 0)
        return error_context(err, r, "making org %s", org);
    r = ensure(cli, "/v1/projects", project, err);
    return r < 0 ? error_context(err, r, "making project %s", project) : 0;
}

/* What the context shall name: as asked for, else where the server says that it listens; all addresses of
 * a machine are none to go to. */
static char *url_for_context(struct cli *cli, const char *asked)
{
    _cleanup_json_ json_t *version = NULL;
    const char *env = getenv("BERTH_URL");

    if (asked || (env && *env))
        return xstrdup(asked ? asked : env);
    if (remote_get(cli, "/v1/version", &version, NULL) < 0)
        return xstrdup(cli->url);
    const char *first = json_string_value(json_array_get(json_object_get(version, "addresses"), 0));
    if (!first)
        return xstrdup(cli->url);
    if (str_starts(first, "0.0.0.0:"))
        return xasprintf("http://127.0.0.1%s", first + strlen("0.0.0.0"));
    if (str_starts(first, "[::]:"))
        return xasprintf("http://[::1]%s", first + strlen("[::]"));
    return xasprintf("http://%s", first);
}

/* Over the unix socket, where root and the server's own account need no key. */
static int run_init(struct cli *cli, const struct args *args, struct error *err)
{
    const char *org = args_get(args, "org") ? args_get(args, "org") : "default";
    const char *key_name = args_get(args, "key") ? args_get(args, "key") : "admin";
    _cleanup_free_ char *project = xstrdup(cli->project ? cli->project : "main"), *key = NULL;
    int r = config_load(&cli->config, err);

    if (r < 0)
        return r;
    const char *name =
        cli->context ? cli->context : json_get_str(cli->config.tree, "current", "default");
    _cleanup_free_ char *context = xstrdup(name);
    cli->url = config_local_url();
    r = set_up(cli, org, project, err);
    if (r < 0)
        return r;
    _cleanup_free_ char *url = url_for_context(cli, args_get(args, "url"));
    if (works(cli, url, project, config_context(&cli->config, context))) {
        print_note(cli, "context %s works already: %s, project %s", context, url, project);
        return CLI_OK;
    }
    r = make_key(cli, key_name, &key, err);
    if (r < 0)
        return r;
    config_set(&cli->config, context, url, key, project);
    r = keep_config(cli, err);
    if (r < 0)
        return r;
    (void) printf("org %s, project %s and admin key %s are ready; context %s is in %s\n", org,
                  project, key_name, context, cli->config.path);
    return CLI_OK;
}

const struct command command_init = {
    .verb = "init",
    .summary = "Make the first org, project and key of a new server, and a context with them",
    .examples = "berth init\nberth init --org acme --project lab --key laptop",
    .flags = init_flags,
    .offline = true,
    .run = run_init,
};

/* ---- berth login ------------------------------------------------------------------------------------ */

static int run_login(struct cli *cli, const struct args *args, struct error *err)
{
    const char *url = args_operand(args, 0);
    char key[KEY_BYTES_MAX];
    _cleanup_json_ json_t *projects = NULL;
    int r = config_load(&cli->config, err);

    if (r == 0)
        r = read_hidden("Key: ", key, sizeof key, err);
    if (r < 0)
        return r;
    xstr_set(&cli->url, url);
    xstr_set(&cli->key, key);
    r = remote_get(cli, "/v1/projects", &projects, err);
    if (r < 0)
        return r;
    const json_t *first = json_array_get(json_object_get(projects, "items"), 0);
    if (!cli->project)
        cli->project = xstrdup(json_get_str(first, "name", NULL));
    const char *name = cli->context ? cli->context : "default";
    config_set(&cli->config, name, url, key, cli->project);
    r = keep_config(cli, err);
    if (r < 0)
        return r;
    (void) printf("context %s: %s, project %s\n", name, url, cli->project ? cli->project : "-");
    return CLI_OK;
}

const struct command command_login = {
    .verb = "login",
    .operands = "URL",
    .summary = "Keep a server's address and a key (read from stdin) as a context",
    .examples = "berth login http://127.0.0.1:7077\n"
                "berth login --context cloud --project lab https://berth.example.org < key",
    .operands_min = 1,
    .operands_max = 1,
    .offline = true,
    .run = run_login,
};

/* ---- berth context ---------------------------------------------------------------------------------- */

static int run_list(struct cli *cli, const struct args *args, struct error *err)
{
    _cleanup_(table_freep) struct table *table = table_new();
    _cleanup_text_ struct text out = { 0 };
    const char *name;
    json_t *context;
    int r = config_load(&cli->config, err);

    (void) args;
    if (r < 0)
        return r;
    const char *current = json_get_str(cli->config.tree, "current", "");
    table_column(table, "", false, 0);
    table_column(table, "NAME", false, 0);
    table_column(table, "URL", false, 16);
    table_column(table, "PROJECT", false, 0);
    _cleanup_json_ json_t *items = json_array();
    json_object_foreach(json_object_get(cli->config.tree, "contexts"), name, context) {
        table_cell(table, STYLE_GREEN, str_equal(name, current) ? "*" : " ");
        table_cell(table, STYLE_PLAIN, name);
        table_cell(table, STYLE_PLAIN, json_get_str(context, "url", ""));
        table_cell(table, STYLE_PLAIN, json_get_str(context, "project", ""));
        json_t *item = json_object();
        json_put_str(item, "name", name);
        json_put_str(item, "url", json_get_str(context, "url", NULL));
        json_put_str(item, "project", json_get_str(context, "project", NULL));
        json_put(item, "current", json_boolean(str_equal(name, current)));
        json_array_append_new(items, item);
    }
    if (cli->output != OUTPUT_TABLE) {
        _cleanup_json_ json_t *answer = json_object();
        json_put(answer, "items", json_incref(items));
        print_answer(cli, "context", answer);
        return CLI_OK;
    }
    if (table_rows(table) == 0) {
        print_note(
            cli,
            "no contexts: berth init makes one on the server's machine, berth login elsewhere");
        return CLI_OK;
    }
    table_format(table, &cli->out, &out);
    print_text(&out);
    return CLI_OK;
}

static int find(struct cli *cli, const char *name, struct error *err)
{
    int r = config_load(&cli->config, err);

    if (r < 0)
        return r;
    if (!config_context(&cli->config, name))
        return error_set(err, -ENOENT, "there is no context '%.60s'; see berth context list", name);
    return 0;
}

static int run_use(struct cli *cli, const struct args *args, struct error *err)
{
    const char *name = args_operand(args, 0);
    int r = find(cli, name, err);

    if (r < 0)
        return r;
    config_set(&cli->config, name, NULL, NULL, cli->project);
    return keep_config(cli, err);
}

static int run_delete(struct cli *cli, const struct args *args, struct error *err)
{
    const char *name = args_operand(args, 0);
    int r = find(cli, name, err);

    if (r < 0)
        return r;
    json_t *contexts = json_object_get(cli->config.tree, "contexts");
    bool current = str_equal(json_get_str(cli->config.tree, "current", NULL), name);
    json_object_del(contexts, name);
    if (current) {
        const char *other = json_object_iter_key(json_object_iter(contexts));
        json_object_del(cli->config.tree, "current");
        json_put_str(cli->config.tree, "current", other);
        if (other)
            print_note(cli, "context %s is the current one now", other);
    }
    return keep_config(cli, err);
}

const struct command command_context_list = {
    .noun = "context",
    .verb = "list",
    .summary = "List the servers, keys and projects that are kept here",
    .offline = true,
    .run = run_list,
};

const struct command command_context_use = {
    .noun = "context",
    .verb = "use",
    .operands = "NAME",
    .summary = "Choose the context for the commands to come; --project changes its project",
    .examples = "berth context use cloud\nberth context use cloud --project vision",
    .operands_min = 1,
    .operands_max = 1,
    .offline = true,
    .run = run_use,
};

const struct command command_context_delete = {
    .noun = "context",
    .verb = "delete",
    .operands = "NAME",
    .summary = "Forget a context and its key",
    .operands_min = 1,
    .operands_max = 1,
    .offline = true,
    .run = run_delete,
};
