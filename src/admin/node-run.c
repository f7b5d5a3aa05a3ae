/* node-run.c - `berth node run`: says over and over what this machine is
 *
 * It changes nothing here and can do nothing with the cloud but say this, and hand orders on to a part that
 * is root and checks them (order-root.h). While the server is away it goes on trying; when it was forgotten
 * there, it ends.
 */
#include "admin/admin.h"
#include "admin/box.h"
#include "admin/node.h"
#include "admin/options.h"
#include "admin/order-root.h"

#include "base/alloc.h"
#include "http/http.h"
#include "os/fd.h"
#include "os/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, LOOK_EVERY_S = 60, INTERVAL_MAX_S = 3600 };

static const char usage[] =
    "Usage: berth node run [--state DIR]\n\n"
    "Reports this machine to the cloud that it joined with `berth node join`, until it is told to\n"
    "stop. The service berth-node runs it. Started as root it becomes the account berth, and leaves\n"
    "one part root where the machine joined with orders: that carries out what `berth engine install`\n"
    "tells it, and nothing else.\n\n"
    "  --state DIR   where the machine keeps its key (/var/lib/berth)\n\n"
    "Exit code: 0 when it was stopped; 2 when the machine has not joined, or was forgotten there.\n";

void admin_node_run_help(struct text *out) { text_add(out, usage); }

struct reporter {
    const char *state;
    char *url, *name, *bearer;
    struct http_client *client;
    json_t *node;     /* as it was looked at last */
    int64_t looked_s; /* when */
    int64_t interval_s;
    bool is_away; /* the last report did not arrive */
    int root;     /* the part that takes orders; -1: none */
    bool is_busy; /* it carries one out */
    json_t *said; /* by it, and not told yet; NULL: nothing */
};

static void reporter_done(struct reporter *r)
{
    http_client_free(r->client);
    json_decref(r->node);
    json_decref(r->said);
    safe_close(r->root);
    free(r->url);
    free(r->name);
    if (r->bearer)
        explicit_bzero(r->bearer, strlen(r->bearer));
    free(r->bearer);
}

static int load(struct reporter *r, struct error *err)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", r->state, NODE_FILE);
    _cleanup_text_ struct text text = { 0 };
    _cleanup_json_ json_t *json = NULL;

    int code = file_read(AT_FDCWD, path, 65536, &text, err);
    if (code >= 0)
        code = json_parse(text_str(&text), text.len, &json, err);
    if (code >= 0 && (!json_get_str(json, "url", NULL) || !json_get_str(json, "name", NULL) ||
                      !json_get_str(json, "key", NULL)))
        code = error_set(err, -EINVAL, "%s is not what berth node join writes", path);
    if (code < 0)
        return error_context(err, code, "this machine has not joined (berth node join URL TOKEN)");
    r->url = xstrdup(json_get_str(json, "url", NULL));
    r->name = xstrdup(json_get_str(json, "name", NULL));
    r->bearer = xasprintf("Bearer %s", json_get_str(json, "key", ""));
    return http_client_new(r->url, &r->client, err);
}

static int64_t now_s(void)
{
    struct timespec now;

    (void) clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec;
}

/* Looking asks drivers and takes a moment; that it is there is said more often. */
static int look(struct reporter *r, struct error *err)
{
    json_t *node = NULL;

    if (r->node && now_s() - r->looked_s < LOOK_EVERY_S)
        return 0;
    int code = node_look(r->state, r->name, r->url, &node, err);
    if (code < 0)
        return code;
    json_decref(r->node);
    r->node = node;
    r->looked_s = now_s();
    return 0;
}

static int judge(struct reporter *r, const struct http_response *response, struct error *err)
{
    _cleanup_json_ json_t *answer = NULL;

    (void) json_parse(text_str(&response->body), response->body.len, &answer, NULL);
    if (response->status == 200) {
        int64_t interval_s = json_get_int(answer, "interval", r->interval_s);
        r->interval_s = interval_s < 1                ? 1
                        : interval_s > INTERVAL_MAX_S ? INTERVAL_MAX_S
                                                      : interval_s;
        return 0;
    }
    const char *detail = json_get_str(answer, "detail", "it says nothing else");
    if (response->status == 401 || response->status == 403 || response->status == 404)
        return error_set(err, -EKEYREVOKED, "%s: %s; let it join again: berth node join %s TOKEN",
                         r->url, detail, r->url);
    return error_set(err, -EREMOTEIO, "the server answers %d: %s", response->status, detail);
}

/* RESPONSE is the caller's to release, whatever came of it. */
static int put(struct reporter *r, const char *target, const json_t *body,
               struct http_response *response, struct error *err)
{
    _cleanup_free_ char *text = json_text(body);
    const char *headers[] = { "Authorization", r->bearer, "Content-Type", "application/json",
                              NULL };
    const struct http_call call = { .method = "PUT",
                                    .target = target,
                                    .headers = headers,
                                    .body = text,
                                    .body_len = strlen(text),
                                    .limit = 1 << 20 };

    return http_client_call(r->client, &call, response, err);
}

static int report(struct reporter *r, struct error *err)
{
    int code = look(r, err);
    if (code < 0)
        return code;

    _cleanup_json_ json_t *body = json_object();
    json_put(body, "node", json_incref(r->node));
    _cleanup_free_ char *target = xasprintf("/v1/nodes/%s/report", r->name);
    struct http_response response = { 0 };

    code = put(r, target, body, &response, err);
    if (code >= 0)
        code = judge(r, &response, err);
    http_response_done(&response);
    return code;
}

/* Said once, when it begins and when it is over. */
static void note(struct reporter *r, int code, const struct error *err)
{
    if (code < 0 && !r->is_away)
        log_warn("the cloud does not hear of this machine", "url", r->url, "reason", err->text);
    else if (code >= 0 && r->is_away)
        log_info("the cloud hears of this machine again", "url", r->url);
    r->is_away = code < 0;
}

/* ---- orders ------------------------------------------------------------------------------------------- */

/* Waits for one at the server, and hands it over to the part that is root. */
static int fetch_order(struct reporter *r, struct error *err)
{
    _cleanup_free_ char *target =
        xasprintf("/v1/nodes/%s/orders?wait=%lld", r->name, (long long) r->interval_s);
    const char *headers[] = { "Authorization", r->bearer, NULL };
    struct http_response response = { 0 };
    const struct http_call call = { .method = "GET",
                                    .target = target,
                                    .headers = headers,
                                    .timeout_ms = (unsigned) (r->interval_s + 30) * 1000,
                                    .limit = 4 << 20 };
    _cleanup_json_ json_t *answer = NULL;

    int code = http_client_call(r->client, &call, &response, err);
    if (code >= 0 && response.status != 200)
        code = judge(r, &response, err);
    else if (code >= 0)
        code = json_parse(text_str(&response.body), response.body.len, &answer, err);
    http_response_done(&response);
    const json_t *order = json_object_get(answer, "order");
    if (code < 0 || !order)
        return code;
    r->is_busy = true;
    return order_send(r->root, order, err);
}

/* What the part that is root said last, until the server has heard it. */
static int tell(struct reporter *r, struct error *err)
{
    if (!r->said)
        return 0;

    _cleanup_free_ char *target = xasprintf("/v1/nodes/%s/order", r->name);
    struct http_response response = { 0 };

    int code = put(r, target, r->said, &response, err);
    int status = response.status;
    http_response_done(&response);
    if (code < 0)
        return code;
    if (status >= 500)
        return error_set(err, -EREMOTEIO, "the server answers %d", status);
    if (status != 204)
        log_warn("the server does not want to know how its order goes", "status",
                 status == 404 ? "it knows of none" : "it refuses");
    json_decref(r->said);
    r->said = NULL;
    return 0;
}

/* Until the part that is root says something, or it is time to report again. */
static int hear_root(struct reporter *r, struct error *err)
{
    struct pollfd wait = { .fd = r->root, .events = POLLIN };
    json_t *said = NULL;

    if (poll(&wait, 1, (int) r->interval_s * 1000) <= 0)
        return 0;
    int code = order_receive(r->root, &said, err);
    if (code <= 0)
        return code < 0 ? code : error_set(err, -EPIPE, "the part that takes orders has ended");
    json_decref(r->said);
    r->said = said;
    r->is_busy = str_equal(json_get_str(said, "state", ""), "running");
    return 0;
}

static void rest(const struct reporter *r)
{
    const struct timespec wait = { .tv_sec = r->interval_s };

    (void) nanosleep(&wait, NULL);
}

/* Between two reports. */
static int spend(struct reporter *r, struct error *err)
{
    if (r->is_busy)
        return hear_root(r, err);
    if (r->root < 0 || r->is_away || r->said) {
        rest(r);
        return 0;
    }
    return fetch_order(r, err);
}

/* What it does can be broken off at any moment: the part that is root goes on with what it has begun. */
static void leave(int signo) { _exit(0); }

static int run(struct reporter *r, struct error *err)
{
    (void) signal(SIGTERM, leave);
    (void) signal(SIGINT, leave);
    log_info("this machine reports", "node", r->name, "url", r->url, "orders",
             r->root >= 0 ? "taken" : "not taken");
    for (;;) {
        struct error why = { 0 };
        int code = report(r, &why);
        if (code >= 0)
            code = tell(r, &why);
        note(r, code, &why);
        if (code >= 0 && (code = spend(r, &why)) < 0)
            note(r, code, &why);
        else if (code < 0)
            rest(r);
        if (code == -EKEYREVOKED || code == -EPIPE) {
            *err = why;
            return code;
        }
    }
}

/* Where the machine joined with orders, root stays for them, and reports are an ordinary account's. */
static int begin(struct reporter *r, const struct node_run *how, struct error *err)
{
    _cleanup_free_ char *key = xasprintf("%s/%s", r->state, ORDER_KEY_FILE);
    const struct order_root root = { .state = r->state,
                                     .runtime = option_setting("BERTH_RUNTIME", "/run/berth"),
                                     .node = r->name };

    if (geteuid() != 0)
        return 0;
    if (box_is_there(key)) {
        r->root = order_root_fork(&root, err);
        if (r->root < 0)
            return r->root;
    }
    return how->drop(err);
}

int admin_node_run(int argc, char **argv, const struct node_run *how)
{
    _cleanup_(reporter_done) struct reporter r = {
        .state = option_setting("BERTH_STATE", "/var/lib/berth"),
        .interval_s = 5,
        .root = -1,
    };
    struct error err = { 0 };

    if (argc == 2 && (str_equal(argv[1], "--help") || str_equal(argv[1], "-h")))
        return fputs(usage, stdout) < 0;
    for (int i = 1; i < argc; i++) {
        const char *value = option_value("--state", argc, argv, &i);
        if (!value) {
            (void) fputs(usage, stderr);
            return EXIT_USAGE;
        }
        r.state = value;
    }
    if (load(&r, &err) >= 0 && begin(&r, how, &err) >= 0 && run(&r, &err) >= 0)
        return EXIT_SUCCESS;
    (void) fprintf(stderr, "berth node run: %s\n", err.text);
    return EXIT_USAGE;
}
