/* intake.c - a body is taken by the pool piece by piece, while the next piece arrives */
#include "api/internal.h"

/* What may have arrived and not be worked on; the piece that is worked on is no larger. */
#define WAITING_MAX (1 << 20)

void intake_done(struct intake *in)
{
    text_done(&in->arrived);
    text_done(&in->piece);
}

static void work(void *item)
{
    struct intake *in = item;

    in->r = in->work(in->owner, &in->piece, in->is_last, &in->err);
}

static void worked(void *item);

/* What WORK left in the piece comes before what has arrived since. */
static void start(struct intake *in)
{
    if (in->piece.len) {
        text_add_bytes(&in->piece, text_str(&in->arrived), in->arrived.len);
        text_clear(&in->arrived);
    } else {
        struct text empty = in->piece;
        in->piece = in->arrived;
        in->arrived = empty;
    }
    in->is_last = in->is_end;
    in->is_busy = true;
    pool_submit(in->call->api->options.pool, work, worked, in);
}

static void worked(void *item)
{
    struct intake *in = item;

    in->is_busy = false;
    if (in->is_over) {
        call_refuse(in->call, -EINVAL, "the content ended early");
        return;
    }
    if (in->r < 0) {
        call_fail(in->call, in->r, &in->err);
        return;
    }
    if (in->is_last) {
        in->whole(in->owner);
        return;
    }
    if (in->arrived.len || in->is_end)
        start(in);
    if (in->is_paused) {
        in->is_paused = false;
        http_body_resume(in->call->req); /* may call on_data() */
    }
}

static void on_data(void *userdata, struct http_request *req, int r, const char *bytes, size_t len)
{
    struct intake *in = userdata;

    if (r < 0) {
        in->is_over = true;
        if (!in->is_busy)
            call_refuse(in->call, -EINVAL, "the content ended early");
        return;
    }
    text_add_bytes(&in->arrived, bytes, len);
    in->is_end = len == 0;
    if (!in->is_busy) {
        start(in);
    } else if (in->arrived.len >= WAITING_MAX) {
        in->is_paused = true;
        http_body_pause(req);
    }
}

void intake_begin(struct intake *in) { http_stream_body(in->call->req, on_data, in); }
