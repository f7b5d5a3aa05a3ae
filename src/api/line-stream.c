/* line-stream.c - bytes of one stream of a log as an answer, read in pieces on the pool */
#include "api/internal.h"

#include "base/alloc.h"

enum { PIECE = 1 << 17 };

struct line_stream {
    struct api *api;
    struct http_request *req; /* NULL: the client left */
    struct line_file file;
    int64_t at, end;
    ssize_t n; /* in PIECE */
    bool busy;
    char *piece;
};

static void line_stream_free(struct line_stream *s)
{
    line_file_done(&s->file);
    free(s->piece);
    free(s);
}

static void work(void *item)
{
    struct line_stream *s = item;
    int64_t left = s->end - s->at;
    size_t want = left < PIECE ? (size_t) left : PIECE;

    s->piece = xnew_n(char, want);
    s->n = line_file_read(&s->file, s->piece, want, s->at);
    s->at += s->n > 0 ? s->n : 0;
}

static void worked(void *item)
{
    struct line_stream *s = item;
    struct http_request *req = s->req;
    _cleanup_free_ char *piece = take_ptr(s->piece);
    size_t n = s->n > 0 ? (size_t) s->n : 0;
    bool last = s->at >= s->end;

    s->busy = false;
    if (!req || n == 0 || last)
        line_stream_free(s);
    /* Whoever is sent something may ask for more, or be gone, before this returns. */
    if (req && n > 0)
        http_send(req, piece, n, last);
    else if (req)
        http_abort(req); /* it was told to be longer: let the client see that the end is missing */
}

static void proceed(void *userdata, struct http_request *req)
{
    struct line_stream *s = userdata;

    s->busy = true;
    pool_submit(s->api->options.pool, work, worked, s);
}

static void stop(void *userdata, struct http_request *req)
{
    struct line_stream *s = userdata;

    s->req = NULL;
    if (!s->busy)
        line_stream_free(s);
}

void line_stream_send(struct api *api, struct http_request *req, struct line_file *file,
                      int64_t start, int64_t end)
{
    struct line_stream *s = xnew(struct line_stream);
    const struct http_generator generator = { .proceed = proceed, .stop = stop, .userdata = s };

    s->api = api;
    s->req = req;
    s->file = *file;
    s->at = start;
    s->end = end;
    file->fd = file->index = -1;
    http_respond_stream(req, 200, "text/plain; charset=utf-8", end - start, &generator);
}
