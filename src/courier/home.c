/* home.c - requests to the server with the task's token */
#include "courier/internal.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

enum { WORD_MAX = 1 << 20 };

/* Nothing is sent: the kernel only chooses the way. */
static int find_address(const struct addrinfo *to, char ret[static COURIER_ADDRESS_MAX])
{
    struct sockaddr_storage own = { 0 };
    socklen_t len = sizeof own;
    _cleanup_close_ int fd = socket(to->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, to->ai_addr, to->ai_addrlen) < 0 ||
        getsockname(fd, (struct sockaddr *) &own, &len) < 0)
        return -errno;
    return getnameinfo((const struct sockaddr *) &own, len, ret, COURIER_ADDRESS_MAX, NULL, 0,
                       NI_NUMERICHOST);
}

void courier_address(const char *home, char ret[static COURIER_ADDRESS_MAX])
{
    struct addrinfo hints = { .ai_socktype = SOCK_DGRAM }, *found = NULL;
    struct url url = { 0 };

    if (url_parse(home, &url, NULL) >= 0 && !url.unix_path) {
        size_t len = strlen(url.host);
        bool brackets = *url.host == '[' && len > 2;
        _cleanup_free_ char *host = xstrndup(url.host + brackets, len - 2U * brackets);
        (void) getaddrinfo(host, url.port, &hints, &found);
    }
    url_done(&url);
    if (!found || find_address(found, ret) != 0)
        memcpy(ret, "127.0.0.1", sizeof "127.0.0.1");
    if (found)
        freeaddrinfo(found);
}

int home_open(const struct courier_options *options, struct home *ret, struct error *err)
{
    *ret = (struct home){ .task = xstrdup(options->task),
                          .authorization = xasprintf("Bearer %s", options->token) };
    return http_client_new(options->home, &ret->client, err);
}

void home_close(struct home *home)
{
    http_client_free(home->client);
    free(home->task);
    if (home->authorization)
        explicit_bzero(home->authorization, strlen(home->authorization));
    free(home->authorization);
    *home = (struct home){ 0 };
}

/* What the server says about a refusal (RFC 9457). */
static char *word_of(const struct http_response *response)
{
    _cleanup_json_ json_t *json = NULL;

    if (response->body.len > WORD_MAX ||
        json_parse(text_str(&response->body), response->body.len, &json, NULL) < 0)
        return NULL;
    return xstrdup(json_get_str(json, "detail", json_get_str(json, "title", NULL)));
}

static int judge(const struct http_response *response, struct error *err)
{
    int status = response->status;

    if (status / 100 == 2)
        return 0;
    _cleanup_free_ char *word = word_of(response);
    const char *text = word ? word : http_status_text(status);
    if (status == 410)
        return error_set(err, -ESTALE, "home has given this task up: %s", text);
    if (status == 409)
        return error_set(err, -EEXIST, "%s", text);
    if (status >= 500 || status == 429 || status == 408)
        return error_set(err, -EAGAIN, "home answers %d: %s", status, text);
    return error_set(err, status == 404 ? -ENOENT : -EPROTO, "home answers %d: %s", status, text);
}

/* FROM: the byte of the answer that is wanted first. */
static int call(struct home *home, struct http_call *call, int64_t from, struct http_response *ret,
                struct error *err)
{
    char range[40];
    const char *headers[] = { "Authorization", home->authorization, NULL, range, NULL };

    if (from > 0) {
        headers[2] = "Range";
        (void) snprintf(range, sizeof range, "bytes=%lld-", (long long) from);
    }
    call->headers = headers;
    int r = http_client_call(home->client, call, ret, err);
    if (r == 0)
        return judge(ret, err);
    /* Also what cannot be resolved or trusted now: home may be about to move. */
    bool ours = r == -ENOMEM || r == -EINVAL || r == -ENOSPC || r == -EBADF || r == -EIO ||
                r == -ECANCELED || r == -ESTALE;
    return ours ? r : -EAGAIN;
}

int home_call(struct home *home, const struct home_request *request, struct http_response *ret,
              struct error *err)
{
    _cleanup_free_ char *target = xasprintf("/v1/tasks/%s/%s", home->task, request->target);
    struct http_call http = { 0 };

    if (request->stream)
        http = *request->stream;
    http.method = request->method;
    http.target = target;
    http.body = request->body;
    http.body_len = request->body_len;
    http.timeout_ms = request->timeout_ms;
    return call(home, &http, request->from, ret, err);
}

int home_call_json(struct home *home, const struct home_request *request, json_t **ret,
                   struct error *err)
{
    struct http_response response = { 0 };
    int r = home_call(home, request, &response, err);

    if (response.body.len && json_parse(text_str(&response.body), response.body.len, ret, NULL) < 0)
        r = r < 0 ? r : error_set(err, -EPROTO, "home's answer is no JSON");
    http_response_done(&response);
    return r;
}

int home_stream(struct home *home, const char *target, struct websocket_link *ret,
                struct error *err)
{
    const char *headers[] = { "Authorization", home->authorization, NULL };
    _cleanup_free_ char *path = xasprintf("/v1/tasks/%s/%s", home->task, target);
    const struct websocket_call call = { path, headers, CHANNEL_PROTOCOL };
    struct http_response response = { 0 };
    int r = websocket_connect(home->client, &call, ret, &response, err);

    http_response_done(&response);
    return r;
}

int home_get(struct home *home, const char *target, struct http_response *ret, struct error *err)
{
    struct http_call http = { .method = "GET", .target = target };

    return call(home, &http, 0, ret, err);
}
