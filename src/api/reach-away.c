/* reach-away.c - streams that tasks on other machines open home, because they were asked to
 *
 *     reach_open -> order `connect` -> the task asks for /v1/tasks/T/streams/S -> packets both ways
 *
 * A stream has a name that cannot be guessed and is opened once, by the task that was asked, with the token of
 * the epoch that was asked. What leads into a task ends with the task: at once when its machine was given up,
 * a moment later when it ended, for what its last words are still on the way.
 */
#include "api/reach.h"

#include "base/alloc.h"
#include "base/time.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define ANSWER_US (30 * US_PER_S) /* for the task to open it */
#define LAST_US   (5 * US_PER_S)  /* for what is on the way after its end */

enum { STREAMS_PER_TASK = 640, NAME_BYTES = 16 };

struct away {
    struct reach reach; /* first */
    struct away *next, **link;
    char name[2 * NAME_BYTES + 1];
    char *order;          /* NULL once it was sent */
    struct websocket *ws; /* NULL: not opened yet, or gone */
    struct watch *timer;
};

static struct away *away_of(struct reach *reach) { return (struct away *) reach; }

/* ---- packets --------------------------------------------------------------------------------------- */

static bool away_send(struct reach *reach, const char *bytes, size_t len)
{
    struct away *a = away_of(reach);

    if (!a->ws)
        return false;
    websocket_send(a->ws, bytes, len, true);
    return websocket_pending(a->ws) <= WEBSOCKET_PENDING;
}

static void away_listen(struct reach *reach)
{
    struct away *a = away_of(reach);

    if (a->ws && reach->paused)
        websocket_pause(a->ws);
    else if (a->ws)
        websocket_resume(a->ws);
}

static void away_free(struct reach *reach)
{
    struct away *a = away_of(reach);

    *a->link = a->next;
    if (a->next)
        a->next->link = a->link;
    if (a->ws)
        websocket_close(a->ws, WS_NORMAL, "");
    watch_free(a->timer);
    free(a->order);
    free(a);
}

static const struct reach_ops away_ops = { away_send, away_listen, away_free };

static void on_message(void *userdata, const char *bytes, size_t len, bool binary)
{
    struct away *a = userdata;

    if (binary && len > 0)
        (void) reach_tell_packet(&a->reach, bytes, len);
}

static void on_drained(void *userdata)
{
    struct away *a = userdata;

    (void) reach_tell_ready(&a->reach);
}

/* ---- the end --------------------------------------------------------------------------------------- */

/* Why nothing leads into the task any more; NULL: it lives. */
static const char *why_over(const struct away *a)
{
    const struct reach_target *t = &a->reach.target;
    struct lifecycle *lc = a->reach.api->options.lifecycle;
    const struct workload *w = lifecycle_get(lc, &t->job);

    if (lifecycle_task_lives(lc, &t->task, t->epoch))
        return NULL;
    if (w && w->attempt && w->attempt->epoch == t->epoch && w->attempt->cause == END_NODE_LOST)
        return "the machine that the job ran on was lost";
    return "the job has ended";
}

static void on_closed(void *userdata, unsigned code, const char *reason)
{
    struct away *a = userdata;
    const char *over = why_over(a);

    a->ws = NULL;
    if (over || code == WS_NORMAL) {
        reach_end(&a->reach, over ? over : "the job has ended");
        return;
    }
    _cleanup_free_ char *why = xasprintf("the connection to the machine of the job ended: %.200s",
                                         *reason ? reason : "it was closed");
    reach_end(&a->reach, why);
}

static void on_timer(void *userdata)
{
    struct away *a = userdata;
    const char *over = why_over(a);

    reach_end(&a->reach, over ? over : "the machine of the job does not answer");
}

static void changed(struct away *a)
{
    const char *over = why_over(a);

    if (!over)
        return;
    if (!a->ws || !str_equal(over, "the job has ended"))
        reach_end(&a->reach, over);
    else
        timer_set(a->timer, LAST_US);
}

void reaches_changed(struct api *api, const struct id *task)
{
    for (struct away *a = api->reaches, *next; a; a = next) {
        next = a->next;
        if (id_equal(&a->reach.target.task, task))
            changed(a);
    }
}

/* ---- the beginning --------------------------------------------------------------------------------- */

static unsigned streams_of(const struct api *api, const struct id *task)
{
    unsigned n = 0;

    for (const struct away *a = api->reaches; a; a = a->next)
        n += id_equal(&a->reach.target.task, task);
    return n;
}

static int make_name(char name[static 2 * NAME_BYTES + 1], struct error *err)
{
    unsigned char bytes[NAME_BYTES];

    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        return error_set(err, -EIO, "no random numbers");
    for (size_t i = 0; i < NAME_BYTES; i++)
        (void) snprintf(name + 2 * i, 3, "%02x", bytes[i]);
    return 0;
}

int reach_open_away(struct api *api, const struct reach_target *target, const json_t *order,
                    const struct reach_events *events, struct reach **ret, struct error *err)
{
    char name[2 * NAME_BYTES + 1];
    int r = make_name(name, err);

    if (r < 0)
        return r;
    if (streams_of(api, &target->task) >= STREAMS_PER_TASK)
        return error_set(err, -EBUSY, "the job has %d commands, copies and connections already",
                         STREAMS_PER_TASK);
    struct away *a = xnew(struct away);
    *a = (struct away){
        .reach = { .ops = &away_ops, .api = api, .target = *target, .events = *events },
        .next = api->reaches,
        .link = &api->reaches,
        .order = json_text(order),
    };
    if (a->next)
        a->next->link = &a->next;
    api->reaches = a;
    memcpy(a->name, name, sizeof name);
    a->timer = loop_timer(api->options.loop, ANSWER_US, on_timer, a);
    *ret = &a->reach;
    lifecycle_task_connect(api->options.lifecycle, &target->task, a->name);
    return 0;
}

static struct away *find(const struct api *api, const struct lifecycle_task *task, const char *name)
{
    for (struct away *a = api->reaches; a; a = a->next)
        if (id_equal(&a->reach.target.task, &task->task) && a->reach.target.epoch == task->epoch &&
            a->order && str_equal(a->name, name))
            return a;
    return NULL;
}

static void join(struct away *a, struct http_request *req)
{
    struct websocket_events events = {
        .message = on_message, .drained = on_drained, .closed = on_closed, .userdata = a
    };
    _cleanup_free_ char *order = take_ptr(a->order);

    a->ws = websocket_accept(req, CHANNEL_PROTOCOL, NULL, &events);
    if (!a->ws) {
        reach_end(&a->reach, "the connection to the machine of the job was cut");
        return;
    }
    timer_clear(a->timer);
    away_listen(&a->reach);
    websocket_send(a->ws, order, strlen(order), true);
    (void) reach_tell_ready(&a->reach);
}

void task_stream(struct call *call)
{
    struct lifecycle_task task;
    struct api *api = call->api;

    if (!task_of_call(call, &task) || !check_upgrade(call))
        return;
    struct away *a = find(api, &task, call_param(call, "stream"));
    if (!a) {
        call_refuse(call, -ENOENT, "nobody waits for this stream");
        return;
    }
    api->answers[1]++;
    join(a, call_take_request(call));
}
