/* remote.c - calls of the API: where to, with which key, and what its refusals mean here */
#include "cli/internal.h"

#include "base/alloc.h"
#include "os/clock.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- which server ------------------------------------------------------------------------------ */

static void fill(char **value, const char *env, const json_t *context, const char *key)
{
    const char *from_env = getenv(env);

    if (*value)
        return;
    if (from_env && *from_env)
        *value = xstrdup(from_env);
    else
        *value = xstrdup(json_get_str(context, key, NULL));
}

int cli_resolve(struct cli *cli, struct error *err)
{
    int r = cli->config.tree ? 0 : config_load(&cli->config, err);

    if (r < 0)
        return r;
    const json_t *context = config_context(&cli->config, cli->context);
    if (cli->context && !context)
        return error_set(err, -ENOENT, "there is no context '%.60s'; see berth context list",
                         cli->context);
    if (cli->context) { /* asked for by name: the environment is about another */
        xstr_set(&cli->url, json_get_str(context, "url", NULL));
        xstr_set(&cli->key, json_get_str(context, "key", NULL));
        if (!cli->project)
            cli->project = xstrdup(json_get_str(context, "project", NULL));
    }
    fill(&cli->url, "BERTH_URL", context, "url");
    fill(&cli->key, "BERTH_KEY", context, "key");
    fill(&cli->project, "BERTH_PROJECT", context, "project");
    if (!cli->url)
        cli->url = config_local_url();
    return 0;
}

void cli_done(struct cli *cli)
{
    http_client_free(cli->client);
    config_done(&cli->config);
    free(cli->context);
    free(cli->url);
    free(cli->key);
    free(cli->project);
    *cli = (struct cli){ 0 };
}

/* ---- targets ------------------------------------------------------------------------------------ */

char *project_path(const struct cli *cli, ...)
{
    struct text t = { 0 };
    va_list ap;

    text_add(&t, "/v1/projects/");
    url_encode(&t, cli->project ? cli->project : "", false);
    va_start(ap, cli);
    for (const char *s = va_arg(ap, const char *); s; s = va_arg(ap, const char *)) {
        text_add_char(&t, '/');
        url_encode(&t, s, false);
    }
    va_end(ap);
    return text_take(&t);
}

/* A list as "a,b". */
static char *query_text(const json_t *value)
{
    struct text t = { 0 };
    size_t i;
    const json_t *item;

    if (json_is_string(value))
        return xstrdup(json_string_value(value));
    if (!json_is_array(value))
        return json_text(value);
    json_array_foreach(value, i, item) {
        _cleanup_free_ char *s = query_text(item);
        text_addf(&t, "%s%s", i ? "," : "", s);
    }
    return text_take(&t);
}

static void add_query(struct text *t, const json_t *query)
{
    const char *name;
    json_t *value;
    char separator = '?';

    json_object_foreach(json_mutable(query), name, value) {
        _cleanup_free_ char *text = query_text(value);
        text_add_char(t, separator);
        url_encode(t, name, false);
        text_add_char(t, '=');
        url_encode(t, text, false);
        separator = '&';
    }
}

/* The next "{name}" of PATH, with its braces; NULL at the end. */
static const char *next_param(const char *path, size_t *ret_len)
{
    const char *open = strchr(path, '{');

    if (open)
        *ret_len = strcspn(open, "}") + 1;
    return open;
}

int endpoint_target(const struct cli *cli, const struct declare_endpoint *e,
                    const struct args *args, char **ret, struct error *err)
{
    _cleanup_text_ struct text t = { 0 };
    const char *p = e->path, *open;
    size_t len, operand = 0;

    while ((open = next_param(p, &len)) != NULL) {
        text_add_bytes(&t, p, (size_t) (open - p));
        bool project = strncmp(open, "{project}", len) == 0 && !str_starts(e->name, "project.");
        const char *value = project ? cli->project : args_operand(args, operand++);
        if (project && !value)
            return error_set(err, -EINVAL,
                             "no project is chosen: use --project NAME, or berth init");
        if (!value)
            return error_set(err, -EINVAL, "%s is missing", e->params->fields[operand - 1].name);
        url_encode(&t, value, len > 2 && open[len - 2] == '*');
        p = open + len;
    }
    text_add(&t, p);
    add_query(&t, args->query);
    *ret = text_take(&t);
    return 0;
}

/* ---- calls -------------------------------------------------------------------------------------- */

int exit_code_of(int code)
{
    switch (code) {
    case -EINVAL:
        return CLI_USAGE;
    case -ENOENT:
        return CLI_NOT_FOUND;
    case -EACCES:
    case -EPERM:
        return CLI_DENIED;
    case -EEXIST:
    case -EBUSY:
    case -ENOSPC:
        return CLI_CONFLICT;
    default:
        return CLI_FAILED;
    }
}

static int code_of_status(int status)
{
    switch (status) {
    case 400:
    case 413:
    case 415:
    case 422:
        return -EINVAL;
    case 401:
    case 403:
        return -EACCES;
    case 404:
    case 410:
        return -ENOENT;
    case 409:
    case 412:
    case 428:
        return -EEXIST;
    case 429:
    case 503:
        return -EBUSY;
    case 507:
        return -ENOSPC;
    default:
        return -EREMOTEIO;
    }
}

static int connect_client(struct cli *cli, struct error *err)
{
    if (cli->client)
        return 0;
    int r = cli->url ? 0 : cli_resolve(cli, err);
    return r < 0 ? r : http_client_new(cli->url, &cli->client, err);
}

static int no_server(const struct cli *cli, int code, struct error *err)
{
    if (code == -EACCES && str_starts(cli->url, "unix:"))
        return error_set(err, code,
                         "%s may not be used by this user: run as root, or use a key "
                         "(berth login)",
                         cli->url);
    if (code != -ECONNREFUSED && code != -ENOENT && code != -ENOTDIR)
        return error_context(err, code, "%s", cli->url);
    return error_set(err, -ECONNREFUSED,
                     "no server answers at %s: start one with berth server, or choose another "
                     "with berth context use",
                     cli->url);
}

/* Says what the server said: its words first, then the fields it names. */
static int problem(const struct http_response *response, struct error *err)
{
    _cleanup_json_ json_t *json = NULL;
    int code = code_of_status(response->status);
    const char *text = text_str(&response->body);

    (void) json_parse(text, response->body.len, &json, NULL);
    if (str_equal(json_get_str(json, "type", NULL), "/problems/cannot-fit"))
        code = -ENOSPC;
    const char *detail = json_get_str(json, "detail", json_get_str(json, "title", NULL));
    if (detail)
        return error_set(err, code, "%s", detail);
    return error_set(err, code, "the server answered %d %s", response->status,
                     http_status_text(response->status));
}

struct headers {
    const char *list[16];
    size_t n;
};

static void add_header(struct headers *h, const char *name, const char *value)
{
    if (!value)
        return;
    h->list[h->n++] = name;
    h->list[h->n++] = value;
}

/* The last door: a command that does not know --dry-run changes nothing either. */
static bool is_held_back(const struct cli *cli, const struct remote_call *call)
{
    return cli->dry_run && !call->asks && !str_equal(call->method, "GET");
}

int remote_call(struct cli *cli, const struct remote_call *call, json_t **ret, struct error *err)
{
    struct http_response response = { 0 };
    struct headers headers = { 0 };

    if (is_held_back(cli, call)) {
        print_note(cli, "would send %s %s", call->method, call->target);
        return error_set(err, -ECANCELED, "nothing is changed with --dry-run");
    }
    int r = connect_client(cli, err);
    if (r < 0)
        return r;
    _cleanup_free_ char *body = call->body ? json_text(call->body) : NULL;
    _cleanup_free_ char *key = cli->key ? xasprintf("Bearer %s", cli->key) : NULL;
    add_header(&headers, "Authorization", key);
    add_header(&headers, "Content-Type",
               call->content_type ? call->content_type
               : body             ? "application/json"
                                  : NULL);
    add_header(&headers, "Accept", call->accept);
    add_header(&headers, "Idempotency-Key", call->idempotency_key);
    add_header(&headers, "If-Match", call->if_match);
    add_header(&headers, "Last-Event-ID", call->last_event_id);
    struct http_call http = {
        .method = call->method,
        .target = call->target,
        .headers = headers.list,
        .body = body,
        .body_len = body ? strlen(body) : 0,
        .read_body = call->read_body,
        .read_len = call->read_len,
        .on_body = call->on_body,
        .userdata = call->userdata,
        .timeout_ms = call->timeout_ms,
    };
    r = http_client_call(cli->client, &http, &response, err);
    if (r < 0)
        r = no_server(cli, r, err);
    else if (response.status < 200 || response.status > 299)
        r = problem(&response, err);
    else if (ret && response.body.len)
        r = json_parse(text_str(&response.body), response.body.len, ret, err);
    http_response_done(&response);
    return r < 0 ? r : 0;
}

int remote_upgrade(struct cli *cli, const char *target, const char *subprotocol,
                   struct websocket_link *ret, struct error *err)
{
    struct http_response response = { 0 };
    struct headers headers = { 0 };
    /* One of its own: the connection is given away, and this runs on other threads too. */
    _cleanup_(http_client_freep) struct http_client *client = NULL;
    int r = http_client_new(cli->url, &client, err);

    if (r < 0)
        return r;
    _cleanup_free_ char *key = cli->key ? xasprintf("Bearer %s", cli->key) : NULL;
    add_header(&headers, "Authorization", key);
    const struct websocket_call call = { target, headers.list, subprotocol };
    r = websocket_connect(client, &call, ret, &response, err);
    if (r < 0 && response.status && response.status != 101)
        r = problem(&response, err);
    else if (r < 0)
        r = no_server(cli, r, err);
    http_response_done(&response);
    return r;
}

int remote_get(struct cli *cli, const char *target, json_t **ret, struct error *err)
{
    const struct remote_call call = { .method = "GET", .target = target };
    return remote_call(cli, &call, ret, err);
}

int remote_post(struct cli *cli, const char *target, const json_t *body, json_t **ret,
                struct error *err)
{
    char key[ID_TEXT_LEN + 1];
    struct id id = id_new();
    const struct remote_call call = {
        .method = "POST",
        .target = target,
        .body = body,
        .idempotency_key = id_format(&id, key),
    };
    return remote_call(cli, &call, ret, err);
}
