/* blob-stream.c - see blob-stream.h */
#include "api/blob-stream.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <string.h>

enum { PIECE = 1 << 17 };

struct blob_stream {
    const struct blob_stream_form *form;
    void *owner;
    struct api *api;
    struct http_request *req; /* NULL: the client left */
    int fd;
    int64_t at, size; /* of the open blob */
    bool busy, failed, last;
    struct text out;
};

static void stream_free(struct blob_stream *s)
{
    s->fd = safe_close(s->fd);
    s->form->free(s->owner);
    text_done(&s->out);
    free(s);
}

static void open_blob(struct blob_stream *s, const struct sha256 *sum)
{
    s->fd = blob_open(s->api->options.blobs, sum, &s->size);
    s->at = 0;
    s->failed = s->fd < 0 || !s->form->head(s->owner, &s->out, s->size);
}

static void read_piece(struct blob_stream *s)
{
    int64_t left = s->size - s->at;
    size_t want = left < PIECE ? (size_t) left : PIECE;
    ssize_t n = want ? pread(s->fd, text_reserve(&s->out, want), want, s->at) : 0;

    if (n < 0 || (n == 0 && want > 0)) {
        s->failed = true;
        return;
    }
    s->out.len += (size_t) n;
    s->at += n;
    if (s->at < s->size)
        return;
    if (s->form->tail)
        s->form->tail(s->owner, &s->out, s->size);
    s->fd = safe_close(s->fd);
}

static void work(void *item)
{
    struct blob_stream *s = item;
    struct sha256 sum;

    while (s->out.len < PIECE && !s->failed && !s->last) {
        if (s->fd >= 0) {
            read_piece(s);
        } else if (s->form->next(s->owner, &sum)) {
            open_blob(s, &sum);
        } else {
            if (s->form->end)
                s->form->end(s->owner, &s->out);
            s->last = true;
        }
    }
}

static void worked(void *item)
{
    struct blob_stream *s = item;
    struct http_request *req = s->req;

    s->busy = false;
    if (!req) {
        stream_free(s);
    } else if (s->failed) {
        stream_free(s);
        http_abort(
            req); /* the status is sent already: let the client see that the end is missing */
    } else {
        _cleanup_text_ struct text out = s->out;
        bool last = s->last;
        s->out = (struct text){ 0 };
        if (last)
            stream_free(s);
        http_send(req, out.data, out.len, last);
    }
}

static void proceed(void *userdata, struct http_request *req)
{
    struct blob_stream *s = userdata;

    s->busy = true;
    pool_submit(s->api->options.pool, work, worked, s);
}

static void stop(void *userdata, struct http_request *req)
{
    struct blob_stream *s = userdata;

    s->req = NULL;
    if (!s->busy)
        stream_free(s);
}

void blob_stream_send(struct call *call, const struct blob_stream_form *form, void *owner)
{
    struct blob_stream *s = xnew(struct blob_stream);

    *s = (struct blob_stream){ .form = form, .owner = owner, .api = call->api, .fd = -1 };
    const struct http_generator generator = { .proceed = proceed, .stop = stop, .userdata = s };
    s->req = call_take_request(call);
    s->api->answers[2]++;
    http_respond_stream(s->req, 200, form->media, -1, &generator);
}
