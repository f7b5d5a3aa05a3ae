/* logs.c - ranges of a log, and the log as it grows */
#include "api/internal.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

static const char text_plain[] = "text/plain; charset=utf-8";

/* A range of lines, found on the pool. */
struct range {
    struct call *call;
    char *path;
    int64_t from, limit, tail, offset; /* -1: not given */
    enum line_view view;
    struct line_file file;
    int64_t start, end;
    uint64_t first, after, count; /* lines of the range, and of the log */
};

static void find_range(void *item)
{
    struct range *r = item;

    line_file_open(r->path, r->view, &r->file);
    r->count = line_file_count(&r->file);
    r->first = r->from > 0 ? (uint64_t) r->from : 0;
    if (r->tail >= 0)
        r->first = r->count > (uint64_t) r->tail ? r->count - (uint64_t) r->tail : 0;
    r->after = r->limit >= 0 ? r->first + (uint64_t) r->limit : UINT64_MAX;
    r->start = line_file_find(&r->file, r->first);
    r->end = r->limit >= 0 ? line_file_find(&r->file, r->after) : r->file.size;
    if (r->offset >= 0)
        r->start = r->offset;
}

/* Which lines these are and how many there are: "100-199/5000", "none/5000". */
static void add_lines_header(struct http_request *req, const struct range *r)
{
    char value[64];
    unsigned long long count = r->count, last = r->after < count ? r->after : count;

    if (r->first < last)
        (void) snprintf(value, sizeof value, "%llu-%llu/%llu", (unsigned long long) r->first,
                        last - 1, count);
    else
        (void) snprintf(value, sizeof value, "none/%llu", count);
    http_add_header(req, "Berth-Lines", value);
}

static void range_found(void *item)
{
    struct range *r = item;
    struct api *api = r->call->api;
    struct http_request *req = call_take_request(r->call);

    api->answers[2]++;
    add_lines_header(req, r);
    if (r->file.fd < 0 || r->end <= r->start)
        http_respond(req, 200, text_plain, "", 0);
    else if (r->view == VIEW_ALL)
        http_respond_file(req, 200, text_plain, take_fd(&r->file.fd), r->start, r->end - r->start);
    else
        line_stream_send(api, req, &r->file, r->start, r->end);
    line_file_done(&r->file);
    free(r->path);
    free(r);
}

static void log_of(struct call *call, const struct workload *w, const struct attempt *attempt)
{
    static const struct tail_kind kind = { .file = "log" };

    bool merged = json_get_bool(call->query, "merged", false);

    if (merged && json_object_get(call->query, "stream")) {
        call_refuse(call, -EINVAL, "stream: of many tasks one is read; use rank, not merged");
        return;
    }
    if (merged || json_get_bool(call->query, "follow", false)) {
        tail_follow(call, w, attempt, &kind);
        return;
    }
    if (!attempt) {
        struct api *api = call->api;
        struct http_request *req = call_take_request(call);
        api->answers[2]++;
        http_add_header(req, "Berth-Lines", "none/0");
        http_respond(req, 200, text_plain, "", 0);
        return;
    }
    struct range *r = xnew(struct range);
    *r = (struct range){ .call = call,
                         .path = attempt_path(call->api, task_asked(call, attempt), kind.file),
                         .view = line_view_of(call->query),
                         .from = json_get_int(call->query, "from", -1),
                         .limit = json_get_int(call->query, "limit", -1),
                         .tail = json_get_int(call->query, "tail", -1),
                         .offset = json_get_int(call->query, "offset", -1) };
    pool_submit(call->api->options.pool, find_range, range_found, r);
}

static void log_show(struct call *call) { attempt_find(call, log_of); }

const struct api_route log_routes[] = {
    { "log.show", log_show },
    { "log.search", log_search },
    { NULL, NULL },
};
