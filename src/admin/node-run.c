/* node-run.c - `berth node run`: says over and over what this machine is
 *
 * It changes nothing here and can do nothing with the cloud but say this. While the server is away it goes
 * on trying; when it was forgotten there, it ends.
 */
#include "admin/admin.h"
#include "admin/node.h"
#include "admin/options.h"

#include "base/alloc.h"
#include "http/http.h"
#include "os/fd.h"
#include "os/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { EXIT_USAGE = 2, LOOK_EVERY_S = 60, INTERVAL_MAX_S = 3600 };

static const char usage[] =
    "Usage: berth node run [--state DIR]\n\n"
    "Reports this machine to the cloud that it joined with `berth node join`, until it is told to\n"
    "stop. The service berth-node runs it.\n\n"
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
};

static void reporter_done(struct reporter *r)
{
    http_client_free(r->client);
    json_decref(r->node);
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
    int code = node_look(r->state, r->name, &node, err);
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

static int report(struct reporter *r, struct error *err)
{
    int code = look(r, err);
    if (code < 0)
        return code;

    _cleanup_json_ json_t *body = json_object();
    json_put(body, "node", json_incref(r->node));
    _cleanup_free_ char *text = json_text(body);
    _cleanup_free_ char *target = xasprintf("/v1/nodes/%s/report", r->name);
    const char *headers[] = { "Authorization", r->bearer, "Content-Type", "application/json",
                              NULL };
    struct http_response response = { 0 };
    const struct http_call call = { .method = "PUT",
                                    .target = target,
                                    .headers = headers,
                                    .body = text,
                                    .body_len = strlen(text),
                                    .limit = 1 << 20 };

    code = http_client_call(r->client, &call, &response, err);
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

static int run(struct reporter *r, struct error *err)
{
    sigset_t stops;

    (void) sigemptyset(&stops);
    (void) sigaddset(&stops, SIGTERM);
    (void) sigaddset(&stops, SIGINT);
    (void) sigprocmask(SIG_BLOCK, &stops, NULL);
    log_info("this machine reports", "node", r->name, "url", r->url);
    for (;;) {
        struct error why = { 0 };
        int code = report(r, &why);
        if (code == -EKEYREVOKED) {
            *err = why;
            return code;
        }
        note(r, code, &why);
        const struct timespec wait = { .tv_sec = r->interval_s };
        if (sigtimedwait(&stops, NULL, &wait) > 0)
            return 0;
    }
}

int admin_node_run(int argc, char **argv)
{
    _cleanup_(reporter_done) struct reporter r = {
        .state = option_setting("BERTH_STATE", "/var/lib/berth"),
        .interval_s = 5,
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
    if (load(&r, &err) >= 0 && run(&r, &err) >= 0)
        return EXIT_SUCCESS;
    (void) fprintf(stderr, "berth node run: %s\n", err.text);
    return EXIT_USAGE;
}
