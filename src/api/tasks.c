/* tasks.c - what supervisors away from the server ask: who they are, what they are, what they are to do
 *
 * A long poll is a call that waits in a list. It is answered when there are orders, when its time is
 * over, when the task is (410), or when the task asks again more than twice.
 */
#include "api/internal.h"

#include "base/alloc.h"
#include "base/time.h"
#include "os/fd.h"

#include <fcntl.h>
#include <string.h>
#include <strings.h>

enum { WAITS_PER_TASK = 2, SPEC_MAX = 16 << 20, POINTS_MAX = 1 << 20 };
/* Tasks bring their figures so often, and no more of them a second. */
enum { POINTS_S = 5, TASKS_A_SECOND = 400 };

bool task_of_call(struct call *call, struct lifecycle_task *ret)
{
    const char *header = http_header_get(call->req, "Authorization");
    char text[ID_TEXT_LEN + 1];
    struct error err = { 0 };
    struct id id;

    if (!header || strncasecmp(header, "Bearer ", 7) != 0) {
        call_refuse(call, -EKEYREJECTED, "send the task's token as Authorization: Bearer TOKEN");
        return false;
    }
    int r = id_parse(call_param(call, "task"), &id);
    if (r >= 0)
        r = lifecycle_task_open(call->api->options.lifecycle, &id, header + 7, ret, &err);
    if (r < 0) {
        call_fail(call, r, &err);
        return false;
    }
    call->project = ret->project;
    (void) snprintf(call->actor, sizeof call->actor, "task:%s", id_format(&id, text));
    return true;
}

/* ---- secrets --------------------------------------------------------------------------------------- */

static void task_secrets(struct call *call)
{
    const char *header = http_header_get(call->req, "Authorization");
    struct lifecycle_task task;
    struct error err = { 0 };
    json_t *values = NULL;

    if (!task_of_call(call, &task))
        return;
    int r =
        lifecycle_task_secrets(call->api->options.lifecycle, &task.task, header + 7, &values, &err);
    if (r < 0)
        call_fail(call, r, &err);
    else
        call_answer(call, 200, values);
}

/* ---- what it is ------------------------------------------------------------------------------------- */

struct spec_read {
    struct call *call;
    char *path;
    struct text text;
    int r;
    struct error err;
};

static void spec_free(void *state)
{
    struct spec_read *s = state;

    free(s->path);
    text_done(&s->text);
    free(s);
}

static void spec_work(void *item)
{
    struct spec_read *s = item;

    s->r = file_read(AT_FDCWD, s->path, SPEC_MAX, &s->text, &s->err);
}

static void spec_worked(void *item)
{
    struct spec_read *s = item;
    _cleanup_text_ struct text text = s->text; /* the call ends before its answer is sent */

    s->text = (struct text){ 0 };
    if (s->r < 0)
        call_refuse(s->call, -EAGAIN, "the task is not written down yet");
    else
        call_answer_text(s->call, 200, text_str(&text), text.len);
}

static void task_spec(struct call *call)
{
    struct lifecycle_task task;

    if (!task_of_call(call, &task))
        return;
    struct spec_read *s = xnew(struct spec_read);
    s->call = call;
    s->path = attempt_path(call->api, &task.task, "spec.json");
    call->state = s;
    call->free_state = spec_free;
    pool_submit(call->api->options.pool, spec_work, spec_worked, s);
}

/* ---- orders ----------------------------------------------------------------------------------------- */

struct order_wait {
    struct order_wait *next, **link;
    struct call *call;
    struct id task;
    int64_t after;
    struct watch *timer;
};

static void wait_free(void *state)
{
    struct order_wait *w = state;

    watch_free(w->timer);
    *w->link = w->next;
    if (w->next)
        w->next->link = w->link;
    free(w);
}

/* Takes ORDERS; NULL: the engine gave the task up. */
static void answer_orders(struct call *call, json_t *orders)
{
    if (!orders) {
        call_refuse(call, -EKEYREVOKED, "the task is not to go on");
        return;
    }
    json_t *answer = json_object();

    json_put(answer, "orders", orders);
    call_answer(call, 200, answer);
}

static void on_wait_over(void *userdata)
{
    struct order_wait *w = userdata;

    answer_orders(w->call, json_array());
}

static void step(struct order_wait *w)
{
    struct lifecycle_task task;

    if (!task_of_call(w->call, &task))
        return;
    json_t *orders = lifecycle_task_orders(w->call->api->options.lifecycle, &w->task, w->after);
    if (!orders || json_array_size(orders) > 0)
        answer_orders(w->call, orders);
    else
        json_decref(orders);
}

void orders_changed(struct api *api, const struct id *task)
{
    for (struct order_wait *w = api->order_waits, *next; w; w = next) {
        next = w->next;
        if (id_equal(&w->task, task))
            step(w);
    }
}

void orders_end(struct api *api)
{
    while (api->order_waits)
        call_refuse(api->order_waits->call, -EAGAIN, "the server ends");
}

/* Those that a task left behind, when its connection broke. */
static void end_older(struct api *api, const struct id *task)
{
    unsigned n = 0;

    for (struct order_wait *w = api->order_waits, *next; w; w = next) {
        next = w->next;
        if (id_equal(&w->task, task) && ++n >= WAITS_PER_TASK)
            on_wait_over(w);
    }
}

static void wait_for_orders(struct call *call, const struct id *task, int64_t after, int64_t wait_s)
{
    struct api *api = call->api;
    struct order_wait *w = xnew(struct order_wait);

    end_older(api, task);
    *w = (struct order_wait){
        .call = call, .task = *task, .after = after, .next = api->order_waits
    };
    w->link = &api->order_waits;
    if (w->next)
        w->next->link = &w->next;
    api->order_waits = w;
    w->timer = loop_timer(api->options.loop, wait_s * US_PER_S, on_wait_over, w);
    call->state = w;
    call->free_state = wait_free;
}

static void task_orders(struct call *call)
{
    int64_t after = json_get_int(call->query, "after", 0);
    int64_t wait_s = json_get_int(call->query, "wait", 0);
    struct lifecycle_task task;

    if (!task_of_call(call, &task))
        return;
    if (!task.is_away) {
        call_refuse(call, -EPERM, "the task is on this machine; it hears by its socket");
        return;
    }
    json_t *orders = lifecycle_task_orders(call->api->options.lifecycle, &task.task, after);
    if (!orders || json_array_size(orders) > 0 || wait_s == 0) {
        answer_orders(call, orders);
        return;
    }
    json_decref(orders);
    wait_for_orders(call, &task.task, after, wait_s);
}

/* What it waits for is shown as long as it has not begun. */
static void task_progress(struct call *call)
{
    struct lifecycle *lc = call->api->options.lifecycle;
    int64_t done = json_get_int(call->body, "done", 0),
            total = json_get_int(call->body, "total", 0);
    const char *what = json_get_str(call->body, "what", "");
    struct lifecycle_task task;
    char is[32], all[32];

    if (!task_of_call(call, &task))
        return;
    if (!task.is_away) {
        call_refuse(call, -EPERM, "the task is on this machine; it fetches nothing");
        return;
    }
    _cleanup_free_ char *words =
        xasprintf("%s: %s of %s", what, bytes_to_str(done, is), bytes_to_str(total, all));
    lifecycle_task_waits(lc, &task.task, words);
    answer_orders(call,
                  lifecycle_task_orders(lc, &task.task, json_get_int(call->body, "after", 0)));
}

/* ---- what it uses ------------------------------------------------------------------------------------ */

static void points_arrived(void *userdata, struct http_request *req, int r, const char *bytes,
                           size_t len)
{
    struct call *call = userdata;
    struct lifecycle_task task;
    struct error err = { 0 };

    if (r < 0) {
        call_refuse(call, r, "the points could not be read; at most %d bytes are taken",
                    POINTS_MAX);
        return;
    }
    if (!task_of_call(call, &task))
        return;
    struct metrics *metrics = call->api->options.metrics;
    r = metrics ? metrics_take(metrics, &task.task, bytes, len, &err) : 0;
    if (r < 0) {
        call_fail(call, r, &err);
        return;
    }
    json_t *answer = json_object();
    json_put_int(answer, "wait",
                 POINTS_S + (metrics ? (int64_t) metrics_count(metrics) : 0) / TASKS_A_SECOND);
    call_answer(call, 200, answer);
}

static void task_points(struct call *call)
{
    struct lifecycle_task task;

    if (task_of_call(call, &task))
        http_read_body(call->req, POINTS_MAX, points_arrived, call);
}

/* ---- results: uploads of its project ------------------------------------------------------------------ */

static void as_upload(struct call *call, handler_f handle)
{
    struct lifecycle_task task;

    if (task_of_call(call, &task))
        handle(call);
}

static void task_missing(struct call *call) { as_upload(call, upload_missing); }
static void task_blob(struct call *call) { as_upload(call, upload_blob); }
static void task_upload(struct call *call) { as_upload(call, upload_status); }
static void task_blobs(struct call *call) { as_upload(call, upload_files); }

const struct api_route task_routes[] = {
    { "task.secrets", task_secrets },
    { "task.spec", task_spec },
    { "task.orders", task_orders },
    { "task.file", task_file_put },
    { "task.fetch", task_blob_get },
    { "task.missing", task_missing },
    { "task.blob", task_blob },
    { "task.upload", task_upload },
    { "task.blobs", task_blobs },
    { "task.stream", task_stream },
    { "task.layer", task_layer_get },
    { "task.progress", task_progress },
    { "task.metrics", task_points },
    { "task.artifacts", task_artifacts_get },
    { "task.artifact", task_artifact_get },
    { "task.storage", task_storage_get },
    { "task.storage_file", task_storage_file_get },
    { NULL, NULL },
};
