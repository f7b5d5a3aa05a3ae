/* order-root.c - orders carried out as root */
#include "admin/order-root.h"

#include "admin/carry.h"

#include "base/alloc.h"
#include "os/fd.h"
#include "os/log.h"
#include "os/process.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MESSAGE_MAX = 4 << 20 };

/* ---- messages ---------------------------------------------------------------------------------------------- */

int order_send(int socket, const json_t *json, struct error *err)
{
    _cleanup_free_ char *text = json_text(json);
    uint32_t len = (uint32_t) strlen(text);

    int r = write_full(socket, &len, sizeof len);
    if (r >= 0)
        r = write_full(socket, text, len);
    return r < 0 ? error_set(err, r, "the other part of berth node run: %s", strerror(-r)) : 0;
}

int order_receive(int socket, json_t **ret, struct error *err)
{
    _cleanup_free_ char *text = NULL;
    uint32_t len = 0;

    int r = read_full(socket, &len, sizeof len);
    if (r == -EPIPE || r == -ECONNRESET)
        return 0;
    if (r >= 0 && len > MESSAGE_MAX)
        r = -EMSGSIZE;
    if (r >= 0) {
        text = xcalloc(1, (size_t) len + 1);
        r = read_full(socket, text, len);
    }
    if (r < 0)
        return error_set(err, r, "the other part of berth node run: %s", strerror(-r));
    r = json_parse(text, len, ret, err);
    return r < 0 ? r : 1;
}

/* ---- one order ----------------------------------------------------------------------------------------------- */

struct job {
    int socket;
    const char *id;
};

static void say(const struct job *job, const char *state, const char *step, const json_t *steps,
                const char *detail)
{
    _cleanup_json_ json_t *json = json_object();

    json_put_str(json, "id", job->id);
    json_put_str(json, "state", state);
    json_put_str(json, "step", step);
    json_put(json, "steps", steps ? json_deep_copy(steps) : json_array());
    json_put_str(json, "detail", detail);
    /* Nobody may be there to hear it any more; what was begun is done nevertheless. */
    (void) order_send(job->socket, json, NULL);
}

static void on_step(void *userdata, const char *step, const json_t *steps)
{
    log_info("order", "step", step);
    say(userdata, "running", step, steps, NULL);
}

static void log_done(const json_t *steps)
{
    size_t i;
    json_t *step;

    json_array_foreach(steps, i, step)
        if (json_get_bool(step, "changed", false))
            log_info("changed by order", "step", json_get_str(step, "step", NULL), "what",
                     json_get_str(step, "detail", NULL));
}

static void obey(const struct order_root *root, int socket, const json_t *json)
{
    _cleanup_free_ char *key = xasprintf("%s/%s", root->state, ORDER_KEY_FILE);
    _cleanup_(order_freep) struct order *order = NULL;
    _cleanup_json_ json_t *steps = json_array();
    struct job job = { .socket = socket, .id = json_get_str(json, "id", "") };
    const char *step = "check";
    struct error err = { 0 };

    log_info("an order came", "op", json_get_str(json, "op", ""), "id", job.id);
    int r = order_from_json(json, root->node, &order, &err);
    if (r >= 0) {
        struct carry carry = { .order = order,
                               .key = key,
                               .state = root->state,
                               .runtime = root->runtime,
                               .steps = steps,
                               .on_step = on_step,
                               .userdata = &job };
        r = carry_out(&carry, &step, &err);
        if (!order->only_looks)
            log_done(steps);
    }
    if (r < 0)
        log_error("the order was not carried out", "step", step, "reason", err.text);
    say(&job, r < 0 ? "failed" : "done", step, steps, r < 0 ? err.text : NULL);
}

static void serve(const struct order_root *root, int socket)
{
    struct error err = { 0 };
    int r = 1;

    while (r > 0) {
        _cleanup_json_ json_t *json = NULL;
        r = order_receive(socket, &json, &err);
        if (r > 0)
            obey(root, socket, json);
    }
    if (r < 0)
        log_error("no more orders are taken", "reason", err.text);
}

/* Unlike a signal that is ignored, this is not handed down to what is run. */
static void stay(int signo) {}

struct forked {
    const struct order_root *root;
    int ours, theirs;
};

/* An installation is not broken off by whoever ends the service: it ends with its socket. */
static int body(void *userdata)
{
    const struct forked *forked = userdata;

    (void) prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
    safe_close(forked->theirs);
    (void) setsid();
    (void) signal(SIGPIPE, SIG_IGN);
    (void) signal(SIGTERM, stay);
    (void) signal(SIGINT, stay);
    serve(forked->root, forked->ours);
    return 0;
}

int order_root_fork(const struct order_root *root, struct error *err)
{
    struct process process = { .pidfd = -1 };
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return error_set(err, -errno, "socketpair: %s", strerror(errno));
    struct forked forked = { root, pair[1], pair[0] };
    int r = process_fork(body, &forked, &process, err);
    safe_close(pair[1]);
    safe_close(process.pidfd);
    if (r < 0)
        safe_close(pair[0]);
    return r < 0 ? r : pair[0];
}
