/* A server in a child process, spoken to by our own client and by raw bytes. */
#include "http/http.h"
#include "tests/tap.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[] = "/tmp/berth-http-XXXXXX";
static char path[64], url[80];
static pid_t child;
static struct loop *server_loop;
static struct http_server *server;

/* ---- the server ------------------------------------------------------------------------------- */

static void echo(void *userdata, struct http_request *req, int r, const char *body, size_t len)
{
    char reason[32];
    snprintf(reason, sizeof reason, "%d", r);
    if (r < 0)
        http_respond(req, 413, "text/plain", reason, strlen(reason));
    else
        http_respond(req, 200, "text/plain", body, len);
}

struct counter {
    size_t bytes;
};

static void count(void *userdata, struct http_request *req, int r, const char *bytes, size_t len)
{
    struct counter *c = userdata;
    c->bytes += len;
    if (r == 0 && len)
        return;
    char text[32];
    snprintf(text, sizeof text, "%zu", c->bytes);
    free(c);
    http_respond(req, 200, "text/plain", text, strlen(text));
}

/* Each piece is held until the next round of the loop, as if a thread worked on it. */
struct held {
    struct http_request *req;
    size_t bytes;
    bool busy, ended;
};

static void release(void *userdata)
{
    struct held *h = userdata;
    h->busy = false;
    if (!h->ended) {
        http_body_resume(h->req);
        return;
    }
    char text[32];
    snprintf(text, sizeof text, "%zu", h->bytes);
    http_respond(h->req, 200, "text/plain", text, strlen(text));
    free(h);
}

static void hold(void *userdata, struct http_request *req, int r, const char *bytes, size_t len)
{
    struct held *h = userdata;
    if (h->busy)
        abort(); /* paused: neither pieces nor the end may come */
    h->bytes += len;
    h->busy = true;
    h->ended = len == 0;
    http_body_pause(req);
    loop_defer(server_loop, release, h);
}

/* Answers at the first piece, paused: nothing of the body may come afterwards. */
static void first_only(void *userdata, struct http_request *req, int r, const char *bytes,
                       size_t len)
{
    bool *called = userdata;
    if (*called)
        abort();
    *called = true;
    http_body_pause(req);
    http_respond(req, 409, "text/plain", "enough", 6);
}

static int stopped;

struct numbers {
    unsigned next, end;
};

static void more_numbers(void *userdata, struct http_request *req)
{
    struct numbers *n = userdata;
    struct text t = { 0 };
    while (t.len < 10000 && n->next < n->end)
        text_addf(&t, "%u\n", n->next++);
    bool last = n->next == n->end;
    if (last)
        free(n);
    http_send(req, t.data, t.len, last);
    text_done(&t);
}

static void no_more_numbers(void *userdata, struct http_request *req)
{
    free(userdata);
    stopped++;
}

static void respond_number(struct http_request *req, int n)
{
    char text[32];
    snprintf(text, sizeof text, "%d", n);
    http_respond(req, 200, "text/plain", text, strlen(text));
}

enum { LARGE = 64 << 20 };

static int large_file(void)
{
    int fd = memfd_create("large", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, LARGE) < 0)
        abort();
    return fd;
}

static void handle(void *userdata, struct http_request *req)
{
    const char *p = http_path(req);
    if (str_equal(p, "/echo"))
        http_read_body(req, 1000, echo, NULL);
    else if (str_equal(p, "/count"))
        http_stream_body(req, count, xnew(struct counter));
    else if (str_equal(p, "/hold")) {
        struct held *h = xnew(struct held);
        h->req = req;
        http_stream_body(req, hold, h);
    } else if (str_equal(p, "/first")) {
        static bool called;
        called = false;
        http_stream_body(req, first_only, &called);
    } else if (str_equal(p, "/large"))
        http_respond_file(req, 200, "x/y", large_file(), 0, LARGE);
    else if (str_equal(p, "/connections"))
        respond_number(req, (int) http_server_connections(server));
    else if (str_equal(p, "/query"))
        http_respond(req, 200, "text/plain", http_query_get(req, "a b"),
                     strlen(http_query_get(req, "a b")));
    else if (str_equal(p, "/file"))
        http_respond_file(req, 200, "x/y", open("/usr/bin/env", O_RDONLY | O_CLOEXEC), 1, 5000);
    else if (str_equal(p, "/uid"))
        respond_number(req, (int) http_peer_uid(req));
    else if (str_equal(p, "/stopped"))
        respond_number(req, stopped);
    else if (str_equal(p, "/numbers") || str_equal(p, "/endless")) {
        struct numbers *n = xnew(struct numbers);
        n->end = str_equal(p, "/numbers") ? 100000 : ~0U;
        struct http_generator g = { more_numbers, no_more_numbers, n };
        http_respond_stream(req, 200, "text/plain", -1, &g);
    } else
        http_respond(req, 404, "text/plain", "no\n", 3);
}

static bool allowed(void *userdata, const char *host) { return !str_equal(host, "evil.example"); }

static void end(void *userdata, const struct signalfd_siginfo *info) { loop_stop(userdata, 0); }

static void serve(int ready)
{
    struct loop *loop = server_loop = loop_new();
    struct http_server_options o = { .loop = loop,
                                     .handler = handle,
                                     .host_allowed = allowed,
                                     .idle_timeout_us = 1000000,
                                     .progress_timeout_us = 1000000 };
    struct http_server *s = server = http_server_new(&o);
    struct error err;
    if (http_server_listen_unix(s, path, 0600, &err) < 0)
        _exit(1);
    struct watch *w = loop_signal(loop, SIGTERM, end, loop);
    (void) !write(ready, "x", 1);
    loop_run(loop);
    watch_free(w);
    http_server_free(s);
    loop_once(loop, 0);
    loop_free(loop);
    exit(0);
}

__attribute__((constructor)) static void start(void)
{
    int ready[2];
    char c;
    if (!mkdtemp(dir) || pipe(ready) < 0)
        abort();
    snprintf(path, sizeof path, "%s/s", dir);
    snprintf(url, sizeof url, "unix:%s/s", dir);
    child = fork();
    if (child == 0)
        serve(ready[1]);
    if (read(ready[0], &c, 1) != 1)
        abort();
}

/* ---- the tests -------------------------------------------------------------------------------- */

static int call(struct http_client *client, const char *method, const char *target,
                const char *body, struct http_response *ret)
{
    struct error err = { 0 };
    struct http_call call = {
        .method = method, .target = target, .body = body, .body_len = body ? strlen(body) : 0
    };
    int r = http_client_call(client, &call, ret, &err);
    if (r < 0)
        printf("# %s\n", err.text);
    return r;
}

static struct http_client *connect_client(void)
{
    struct http_client *client = NULL;
    struct error err = { 0 };
    ok(http_client_new(url, &client, &err) == 0);
    return client;
}

static void is_answer(struct http_client *client, const char *method, const char *target,
                      const char *body, int status, const char *want)
{
    struct http_response r;
    ok(call(client, method, target, body, &r) == 0);
    ok(r.status == status);
    is_str(text_str(&r.body), want);
    http_response_done(&r);
}

static int get_number(struct http_client *client, const char *target)
{
    struct http_response r;
    if (call(client, "GET", target, NULL, &r) < 0)
        abort();
    int n = atoi(text_str(&r.body));
    http_response_done(&r);
    return n;
}

TEST(answers_on_one_connection)
{
    _cleanup_(http_client_freep) struct http_client *c = connect_client();
    is_answer(c, "POST", "/echo", "hello", 200, "hello");
    is_answer(c, "POST", "/echo", "", 200, "");
    is_answer(c, "GET", "/nothing", NULL, 404, "no\n");
    is_answer(c, "GET", "/query?x=1&a%20b=c%2Bd+e", NULL, 200, "c+d e");
    is_answer(c, "HEAD", "/nothing", NULL, 404, "");
    char uid[16];
    snprintf(uid, sizeof uid, "%d", (int) getuid());
    is_answer(c, "GET", "/uid", NULL, 200, uid);
}

TEST(a_body_above_the_limit_is_refused_and_the_connection_goes_on_or_closes_cleanly)
{
    _cleanup_(http_client_freep) struct http_client *c = connect_client();
    _cleanup_free_ char *large = xcalloc(1, 200001);
    memset(large, 'x', 200000);
    is_answer(c, "POST", "/echo", large, 413, "-7");
    is_answer(c, "POST", "/echo", "after", 200, "after");
}

TEST(a_file_is_sent_from_the_offset)
{
    _cleanup_(http_client_freep) struct http_client *c = connect_client();
    struct http_response r;
    ok(call(c, "GET", "/file", NULL, &r) == 0);
    ok(r.body.len == 5000 && memcmp(r.body.data, "ELF", 3) == 0);
    http_response_done(&r);
}

TEST(a_generator_is_pulled)
{
    _cleanup_(http_client_freep) struct http_client *c = connect_client();
    struct http_response r;
    ok(call(c, "GET", "/numbers", NULL, &r) == 0);
    ok(str_starts(text_str(&r.body), "0\n1\n2\n"));
    ok(str_ends(text_str(&r.body), "\n99998\n99999\n"));
    http_response_done(&r);
    is_answer(c, "POST", "/echo", "again", 200, "again");
}

static ssize_t zeros(void *userdata, void *bytes, size_t n)
{
    size_t *left = userdata;
    n = n < *left ? n : *left;
    memset(bytes, 0, n);
    *left -= n;
    return (ssize_t) n;
}

TEST(a_streamed_upload_is_counted)
{
    _cleanup_(http_client_freep) struct http_client *c = connect_client();
    for (int chunked = 0; chunked < 2; chunked++) {
        size_t left = 3000000;
        struct error err = { 0 };
        struct http_response r;
        struct http_call up = { .method = "PUT",
                                .target = "/count",
                                .read_body = zeros,
                                .read_len = chunked ? -1 : 3000000,
                                .userdata = &left };
        ok(http_client_call(c, &up, &r, &err) == 0);
        is_str(text_str(&r.body), "3000000");
        http_response_done(&r);
    }
}

static int raw_connection(void)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    strcpy(addr.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    return connect(fd, (struct sockaddr *) &addr, sizeof addr) == 0 ? fd : -1;
}

/* All that comes until the server closes, or until WANT has been seen. */
static char *raw_answer(int fd, const char *want)
{
    struct text t = { 0 };
    ssize_t n;
    while (!(want && strstr(text_str(&t), want)) &&
           (n = read(fd, text_reserve(&t, 4096), 4096)) > 0) {
        t.len += (size_t) n;
        t.data[t.len] = '\0';
    }
    return text_take(&t);
}

static char *raw(const char *bytes, const char *want)
{
    _cleanup_close_ int fd = raw_connection();
    ok(write_full(fd, bytes, strlen(bytes)) == 0);
    return raw_answer(fd, want);
}

TEST(pipelined_requests_are_answered_in_order)
{
    _cleanup_free_ char *got =
        raw("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\none"
            "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
            "3\r\ntwo\r\n0\r\n\r\n"
            "GET /none HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
            NULL);
    const char *one = strstr(got, "\r\n\r\none");
    const char *two = one ? strstr(one, "\r\n\r\ntwo") : NULL;
    ok(one && two && strstr(two, "404 Not Found") && strstr(two, "Connection: close"));
}

TEST(expect_continue_is_answered_before_the_body)
{
    _cleanup_close_ int fd = raw_connection();
    const char head[] = "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n"
                        "Expect: 100-continue\r\n\r\n";
    ok(write_full(fd, head, strlen(head)) == 0);
    _cleanup_free_ char *first = raw_answer(fd, "\r\n\r\n");
    ok(str_starts(first, "HTTP/1.1 100 "));
    ok(write_full(fd, "ok", 2) == 0);
    _cleanup_free_ char *second = raw_answer(fd, "\r\n\r\nok");
    ok(strstr(second, "200 OK"));
}

TEST(what_is_malformed_is_refused_and_the_connection_closed)
{
    _cleanup_free_ char *both = raw("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n"
                                    "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                                    NULL);
    ok(str_starts(both, "HTTP/1.1 400 "));
    _cleanup_free_ char *host = raw("GET / HTTP/1.1\r\nHost: evil.example:80\r\n"
                                    "Connection: close\r\n\r\n",
                                    NULL);
    ok(str_starts(host, "HTTP/1.1 421 "));
    _cleanup_free_ char *large = xcalloc(1, 70000);
    memset(large, 'x', 65000);
    memcpy(large, "GET /", 5);
    _cleanup_free_ char *head = raw(large, NULL);
    ok(str_starts(head, "HTTP/1.1 431 "));
}

TEST(a_client_that_leaves_stops_the_generator_and_a_slow_one_holds_it)
{
    _cleanup_(http_client_freep) struct http_client *c = connect_client();
    int fd = raw_connection();
    const char ask[] = "GET /endless HTTP/1.1\r\nHost: h\r\n\r\n";
    ok(write_full(fd, ask, strlen(ask)) == 0);
    _cleanup_free_ char *begin = raw_answer(fd, "\n1\n");
    ok(begin != NULL);
    /* It is not read any more: the server must still answer others, and hold little. */
    is_answer(c, "POST", "/echo", "alive", 200, "alive");
    int before = get_number(c, "/stopped");
    close(fd);
    while (get_number(c, "/stopped") == before)
        ;
}

static void is_upload_answer(const char *target, size_t size, int status, const char *want)
{
    for (int chunked = 0; chunked < 2; chunked++) {
        _cleanup_(http_client_freep) struct http_client *c = connect_client();
        size_t left = size;
        struct error err = { 0 };
        struct http_response r;
        struct http_call up = { .method = "PUT",
                                .target = target,
                                .read_body = zeros,
                                .read_len = chunked ? -1 : (int64_t) size,
                                .userdata = &left };
        int code = http_client_call(c, &up, &r, &err);
        if (code < 0)
            printf("# %s\n", err.text);
        ok(code == 0);
        ok(r.status == status);
        is_str(text_str(&r.body), want);
        http_response_done(&r);
        is_answer(c, "POST", "/echo", "after", 200, "after");
    }
}

TEST(a_paused_body_gives_neither_pieces_nor_its_end)
{
    is_upload_answer("/hold", 1, 200, "1");
    is_upload_answer("/hold", 3000000, 200, "3000000");
}

TEST(who_answers_in_the_middle_hears_no_more_of_the_body)
{
    is_upload_answer("/first", 20, 409, "enough");
    /* More than is skipped: the connection ends, and the client looks for the answer in time. */
    is_upload_answer("/first", 30000000, 409, "enough");
    _cleanup_free_ char *got =
        raw("POST /first HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
            "3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
            "GET /none HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
            NULL);
    ok(str_starts(got, "HTTP/1.1 409 ") && strstr(got, "HTTP/1.1 404 "));
}

TEST(an_expected_body_that_was_not_asked_for_ends_the_connection)
{
    _cleanup_free_ char *got = raw("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n"
                                   "Expect: 100-continue\r\n\r\n",
                                   "\r\n\r\n");
    ok(str_starts(got, "HTTP/1.1 413 ") && strstr(got, "Connection: close"));
    _cleanup_free_ char *old = raw("POST /echo HTTP/1.0\r\nContent-Length: 2\r\n"
                                   "Expect: 100-continue\r\n\r\nok",
                                   NULL);
    ok(str_starts(old, "HTTP/1.1 200 "));
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HELD_MAX (1 << 20) /* they keep freed memory and shadows */
#else
#define HELD_MAX 65536
#endif

static size_t memory_of(pid_t pid)
{
    _cleanup_text_ struct text t = { 0 };
    char name[64];
    snprintf(name, sizeof name, "/proc/%d/smaps_rollup", (int) pid);
    ok(file_read(AT_FDCWD, name, 65536, &t, NULL) == 0);
    const char *p = strstr(text_str(&t), "Private_Dirty:");
    return p ? strtoul(p + 14, NULL, 10) * 1024 : SIZE_MAX;
}

/* Until C's is the only one. */
static void await_one_connection(struct http_client *c)
{
    while (get_number(c, "/connections") != 1)
        usleep(20000);
}

TEST(readers_that_do_not_read_cost_little_memory_and_not_for_ever)
{
    enum { N = 50 };
    static const char *const asks[] = { "GET /endless HTTP/1.1\r\nHost: h\r\n\r\n",
                                        "GET /large HTTP/1.1\r\nHost: h\r\n\r\n" };
    _cleanup_(http_client_freep) struct http_client *c = connect_client();
    is_answer(c, "POST", "/echo", "warm", 200, "warm");
    size_t before = memory_of(child);
    int fds[N];
    for (int i = 0; i < N; i++) {
        fds[i] = raw_connection();
        ok(write_full(fds[i], asks[i % 2], strlen(asks[i % 2])) == 0);
        _cleanup_free_ char *begin = raw_answer(fds[i], "\r\n\r\n");
        ok(str_starts(begin, "HTTP/1.1 200 "));
    }
    is_answer(c, "POST", "/echo", "alive", 200, "alive");
    size_t after = memory_of(child);
    ok(after < before + N * (size_t) HELD_MAX);
    /* All of them are given up in the end, those with a file too. */
    await_one_connection(c);
    for (int i = 0; i < N; i++)
        close(fds[i]);
}

TEST(a_connection_that_was_closed_meanwhile_is_opened_anew_for_an_upload)
{
    _cleanup_(http_client_freep) struct http_client *c = connect_client();
    _cleanup_(http_client_freep) struct http_client *other = connect_client();
    is_answer(c, "GET", "/nothing", NULL, 404, "no\n");
    await_one_connection(other);
    struct http_response r;
    struct error err = { 0 };
    size_t left = 5;
    struct http_call up = {
        .method = "PUT", .target = "/count", .read_body = zeros, .read_len = 5, .userdata = &left
    };
    ok(http_client_call(c, &up, &r, &err) == 0);
    is_str(text_str(&r.body), "5");
    http_response_done(&r);
}

/* Tests run in no particular order, so the end is not one of them. */
__attribute__((destructor)) static void finish(void)
{
    int status = 0;
    if (child <= 0)
        return;
    kill(child, SIGTERM);
    if (waitpid(child, &status, 0) != child || status != 0) {
        printf("Bail out! the server did not end cleanly: %d\n", status);
        _exit(1);
    }
    rmdir(dir);
}

TAP_MAIN
