/* transfer.c - requests side by side on one thread, each a small state machine
 *
 *     start → 401: log in, start again → 3xx: go there without credentials, start again
 *           → 429, 5xx, a broken or stalled connection: wait, start again where it broke off
 *           → 200, 206: verify the digest → ended
 */
#include "image/transfer.h"

#include "base/alloc.h"
#include "os/clock.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

enum { TRIES_MAX = 4, REDIRECTS_MAX = 5, LOGINS_MAX = 2, PARALLEL_MAX = 4, SAID_MAX = 65536 };
/* Fewer are not worth being read while they arrive. */
enum { BEGUN_BYTES = 1 << 20, EARLY_BYTES = 8 << 20 };

void transfer_init(struct transfer *t, struct registry *registry, const char *path)
{
    *t = (struct transfer){ .registry = registry, .method = "GET", .fd = -1, .body_fd = -1 };
    t->url = strstr(path, "://") ? xstrdup(path) : xasprintf("%s%s", registry->origin, path);
}

void transfer_done(struct transfer *t)
{
    const struct curl *curl = t->registry->curl;

    if (t->easy) {
        if (t->busy)
            (void) curl->multi_remove(t->registry->multi, t->easy);
        curl->easy_cleanup(t->easy);
    }
    curl->slist_free_all(t->headers);
    hasher_free(t->hasher);
    text_done(&t->text);
    safe_close(t->fd);
    free(t->url);
    free(t->location);
    free(t->challenge);
}

/* ---- what libcurl calls ---- */

static long status_of(const struct transfer *t)
{
    long status = 0;

    (void) t->registry->curl->getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

/* The server did not resume: everything comes again. */
static int begin_anew(struct transfer *t)
{
    if (ftruncate(t->fd, 0) < 0 || lseek(t->fd, 0, SEEK_SET) < 0)
        return -errno;
    if (t->registry->options.arrived)
        t->registry->options.arrived(t->registry->options.userdata, -t->have);
    (void) hasher_end(t->hasher);
    t->have = 0;
    return 0;
}

/* The disk works while bytes arrive: whoever waits for all of it later waits less. */
static void write_early(const struct transfer *t, int64_t n)
{
    int64_t before = t->have / EARLY_BYTES, now = (t->have + n) / EARLY_BYTES;

    if (now > before)
        (void) sync_file_range(t->fd, before * EARLY_BYTES, (now - before) * EARLY_BYTES,
                               SYNC_FILE_RANGE_WRITE);
}

static int keep(struct transfer *t, const char *bytes, size_t n)
{
    if ((int64_t) n > t->what.size - t->have)
        return error_set(&t->err, -EBADMSG, "it is longer than the %lld bytes that were promised",
                         (long long) t->what.size);
    int r = write_full(t->fd, bytes, n);
    if (r < 0)
        return error_set(&t->err, r, "writing it: %s", strerror(-r));
    hasher_add(t->hasher, bytes, n);
    write_early(t, (int64_t) n);
    t->have += (int64_t) n;
    if (t->begun && t->have >= BEGUN_BYTES) {
        t->begun(t->userdata, t);
        t->begun = NULL;
    }
    if (t->registry->options.arrived)
        t->registry->options.arrived(t->registry->options.userdata, (int64_t) n);
    return 0;
}

static size_t on_data(char *bytes, size_t size, size_t n, void *userdata)
{
    struct transfer *t = userdata;
    long status = status_of(t);
    int r = 0;

    n *= size;
    if (t->fd < 0 || status / 100 != 2) {
        size_t limit = t->fd < 0 && status / 100 == 2 ? OCI_DOCUMENT_MAX : SAID_MAX;
        if (t->text.len + n > limit)
            r = error_set(&t->err, -EBADMSG, "the answer is larger than %zu bytes", limit);
        else
            text_add_bytes(&t->text, bytes, n);
    } else {
        if (status == 200 && t->have > 0 && !t->status)
            r = begin_anew(t);
        t->status = status;
        if (r >= 0)
            r = keep(t, bytes, n);
    }
    if (r < 0)
        t->r = r;
    return r < 0 ? 0 : n;
}

static void keep_header(char **slot, const char *value, size_t len)
{
    free(*slot);
    while (len && strchr(" \t", *value)) {
        value++;
        len--;
    }
    while (len && strchr(" \t\r\n", value[len - 1]))
        len--;
    *slot = xstrndup(value, len);
}

static size_t on_header(char *bytes, size_t size, size_t n, void *userdata)
{
    static const char location[] = "location:", challenge[] = "www-authenticate:";
    struct transfer *t = userdata;

    n *= size;
    if (n > sizeof location && strncasecmp(bytes, location, sizeof location - 1) == 0)
        keep_header(&t->location, bytes + sizeof location - 1, n - (sizeof location - 1));
    else if (n > sizeof challenge && strncasecmp(bytes, challenge, sizeof challenge - 1) == 0 &&
             !t->challenge)
        keep_header(&t->challenge, bytes + sizeof challenge - 1, n - (sizeof challenge - 1));
    return n;
}

static size_t on_send(char *bytes, size_t size, size_t n, void *userdata)
{
    struct transfer *t = userdata;
    ssize_t got = read(t->body_fd, bytes, size * n);

    if (got < 0)
        return CURL_READFUNC_ABORT;
    t->sent += got;
    if (t->registry->options.arrived)
        t->registry->options.arrived(t->registry->options.userdata, got);
    return (size_t) got;
}

/* Link-local addresses are never a registry's; on clouds the machine's own credentials are there. */
static curl_socket_t open_socket(void *userdata, curlsocktype purpose,
                                 struct curl_sockaddr *address)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *) (const void *) &address->addr;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *) (const void *) &address->addr;

    (void) userdata;
    (void) purpose;
    if ((address->family == AF_INET && (ntohl(in->sin_addr.s_addr) >> 16) == 0xa9fe) ||
        (address->family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr)))
        return CURL_SOCKET_BAD;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* ---- start ---- */

static bool is_at_home(const struct transfer *t)
{
    size_t n = strlen(t->registry->origin);

    return strncmp(t->url, t->registry->origin, n) == 0 && t->url[n] == '/';
}

static void add_header(struct transfer *t, const char *name, const char *value)
{
    _cleanup_free_ char *line = value ? xasprintf("%s: %s", name, value) : xstrdup(name);

    t->headers = t->registry->curl->slist_append(t->headers, line);
}

static void set_headers(struct transfer *t)
{
    t->registry->curl->slist_free_all(t->headers);
    t->headers = NULL;
    if (t->accept)
        add_header(t, "Accept", t->accept);
    if (t->content_type)
        add_header(t, "Content-Type", t->content_type);
    if (t->registry->authorization && is_at_home(t))
        add_header(t, t->registry->authorization, NULL);
    add_header(t, "Expect:", NULL);
    t->registry->curl->setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
}

static void set_limits(struct transfer *t)
{
    const struct curl *curl = t->registry->curl;
    const struct registry_options *o = &t->registry->options;
    bool plain = strncmp(t->registry->origin, "http:", 5) == 0;

    curl->setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
    curl->setopt(t->easy, CURLOPT_PROTOCOLS_STR, plain ? "http,https" : "https");
    curl->setopt(t->easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl->setopt(t->easy, CURLOPT_CONNECTTIMEOUT, 15L);
    curl->setopt(t->easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl->setopt(t->easy, CURLOPT_LOW_SPEED_TIME, o->stall_s > 0 ? o->stall_s : 30L);
    curl->setopt(t->easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl->setopt(t->easy, CURLOPT_BUFFERSIZE, 262144L);
    curl->setopt(t->easy, CURLOPT_USERAGENT, "berth/" BERTH_VERSION);
    if (o->proxy)
        curl->setopt(t->easy, CURLOPT_PROXY, o->proxy);
    if (o->ca_file)
        curl->setopt(t->easy, CURLOPT_CAINFO, o->ca_file);
}

static void set_body(struct transfer *t)
{
    const struct curl *curl = t->registry->curl;

    if (t->body_fd >= 0) {
        (void) lseek(t->body_fd, 0, SEEK_SET);
        if (t->sent && t->registry->options.arrived)
            t->registry->options.arrived(t->registry->options.userdata, -t->sent);
        t->sent = 0;
        curl->setopt(t->easy, CURLOPT_UPLOAD, 1L);
        curl->setopt(t->easy, CURLOPT_READFUNCTION, on_send);
        curl->setopt(t->easy, CURLOPT_READDATA, t);
        curl->setopt(t->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t) t->what.size);
    } else if (t->body) {
        curl->setopt(t->easy, CURLOPT_POSTFIELDS, t->body);
        curl->setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) t->body_len);
    }
    if (str_equal(t->method, "HEAD"))
        curl->setopt(t->easy, CURLOPT_NOBODY, 1L);
    else if (!str_equal(t->method, "GET"))
        curl->setopt(t->easy, CURLOPT_CUSTOMREQUEST, t->method);
}

static void start(struct transfer *t)
{
    const struct curl *curl = t->registry->curl;

    if (t->easy)
        curl->easy_reset(t->easy);
    else
        t->easy = curl->easy_init();
    if (!t->easy)
        abort(); /* no memory */
    text_clear(&t->text);
    t->status = 0;
    t->r = 0;
    t->err = (struct error){ 0 };
    free(take_ptr(t->challenge));
    free(take_ptr(t->location));
    curl->setopt(t->easy, CURLOPT_URL, t->url);
    curl->setopt(t->easy, CURLOPT_PRIVATE, t);
    curl->setopt(t->easy, CURLOPT_WRITEFUNCTION, on_data);
    curl->setopt(t->easy, CURLOPT_WRITEDATA, t);
    curl->setopt(t->easy, CURLOPT_HEADERFUNCTION, on_header);
    curl->setopt(t->easy, CURLOPT_HEADERDATA, t);
    /* Not CURLOPT_RESUME_FROM: with it libcurl takes each answer without a range, a 401 too, for broken. */
    _cleanup_free_ char *rest = t->have > 0 ? xasprintf("%lld-", (long long) t->have) : NULL;
    if (rest)
        curl->setopt(t->easy, CURLOPT_RANGE, rest);
    set_limits(t);
    set_body(t);
    set_headers(t);
    (void) curl->multi_add(t->registry->multi, t->easy);
    t->busy = true;
}

/* ---- end ---- */

static void fail(struct transfer *t, int r)
{
    t->r = r;
    t->ended = true;
}

/* Once more, later; with what has arrived. */
static void again(struct transfer *t, int r)
{
    if (++t->tries >= TRIES_MAX)
        fail(t, r);
    else
        t->due_us = clock_boot_us() + (INT64_C(250000) << t->tries);
}

/* The registry's own words: {"errors":[{"code","message"}]}. */
static char *said(const struct transfer *t)
{
    _cleanup_json_ json_t *json = NULL;

    if (json_parse(text_str(&t->text), t->text.len, &json, NULL) < 0)
        return NULL;
    const json_t *first = json_array_get(json_object_get(json, "errors"), 0);
    const char *message = json_get_str(first, "message", json_get_str(first, "code", NULL));
    return message && *message ? xasprintf(": %.100s", message) : NULL;
}

static void refuse(struct transfer *t)
{
    const char *host = t->registry->options.host;
    _cleanup_free_ char *words = said(t);
    const char *tail = words ? words : "";
    int r;

    if (t->status == 404)
        r = error_set(&t->err, -ENOENT, "registry %s has no such image%s", host, tail);
    else if (t->status == 401 && t->registry->options.username)
        r = error_set(&t->err, -EACCES, "registry %s refuses the login%s", host, tail);
    else if (t->status == 401)
        r = error_set(&t->err, -EACCES,
                      "registry %s wants a login%s; give one: berth image login %s --username USER",
                      host, tail, host);
    else if (t->status == 403)
        r = error_set(&t->err, -EACCES, "registry %s denies it%s", host, tail);
    else if (t->status == 429 || t->status >= 500)
        r = error_set(&t->err, -EAGAIN, "registry %s answers %ld%s", host, t->status, tail);
    else
        r = error_set(&t->err, -EBADMSG, "registry %s answers %ld%s", host, t->status, tail);
    if (r == -EAGAIN)
        again(t, r);
    else
        fail(t, r);
}

static void redirect(struct transfer *t)
{
    char *url = NULL;

    (void) t->registry->curl->getinfo(t->easy, CURLINFO_REDIRECT_URL, &url);
    if (!url || ++t->redirects > REDIRECTS_MAX) {
        fail(t, error_set(&t->err, -EBADMSG, "registry %s redirects without end",
                          t->registry->options.host));
        return;
    }
    xstr_set(&t->url, url);
    t->due_us = 0;
}

static void authenticate(struct transfer *t)
{
    if (!t->challenge || !is_at_home(t) || ++t->logins > LOGINS_MAX) {
        refuse(t);
        return;
    }
    int r = registry_log_in(t->registry, t->challenge, &t->err);
    if (r == -EAGAIN)
        again(t, r);
    else if (r < 0)
        fail(t, r);
}

static void verify(struct transfer *t)
{
    char hex[SHA256_HEX_LEN + 1];

    if (t->fd >= 0 && t->have < t->what.size) {
        again(t, error_set(&t->err, -EAGAIN, "blob %.12s ended after %lld of %lld bytes",
                           sha256_format(&t->what.digest, hex), (long long) t->have,
                           (long long) t->what.size));
        return;
    }
    if (t->fd >= 0) {
        struct sha256 sum = hasher_end(t->hasher);
        if (!sha256_equal(&sum, &t->what.digest)) {
            int r = error_set(&t->err, -EBADMSG, "blob %.12s has another digest than its name",
                              sha256_format(&t->what.digest, hex));
            /* Another try begins anew. */
            fail(t, ftruncate(t->fd, 0) < 0 ? -errno : r);
            return;
        }
    }
    t->ended = true;
}

static void broke(struct transfer *t, CURLcode code)
{
    const char *why = code == CURLE_OPERATION_TIMEDOUT ? "it does not answer in time"
                                                       : t->registry->curl->strerror(code);
    bool final = code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_UNSUPPORTED_PROTOCOL ||
                 code == CURLE_URL_MALFORMAT || code == CURLE_SSL_CACERT_BADFILE;

    if (t->r < 0) {
        /* Bytes that are not what was promised are nothing to go on with. */
        if (t->r == -EBADMSG && t->fd >= 0 && ftruncate(t->fd, 0) < 0)
            t->r = -errno;
        fail(t, t->r);
        return;
    }
    int r = error_set(&t->err, final ? -EACCES : -EAGAIN, "registry %s: %s",
                      t->registry->options.host, why);
    if (final)
        fail(t, r);
    else
        again(t, r);
}

static void finish(struct transfer *t, CURLcode code)
{
    t->status = status_of(t);
    (void) t->registry->curl->multi_remove(t->registry->multi, t->easy);
    t->busy = false;
    if (code != CURLE_OK)
        broke(t, code);
    else if (t->status / 100 == 2)
        verify(t);
    else if (t->status / 100 == 3 && t->status != 304)
        redirect(t);
    else if (t->status == 401)
        authenticate(t);
    else if (t->status == 416 && t->have > 0 && begin_anew(t) == 0)
        again(t, error_set(&t->err, -EAGAIN, "the registry cannot resume"));
    else
        refuse(t);
}

/* ---- side by side ---- */

static void start_due(struct transfer *list, size_t n)
{
    int64_t now = clock_boot_us();
    unsigned busy = 0;

    for (size_t i = 0; i < n; i++)
        busy += list[i].busy;
    for (size_t i = 0; i < n && busy < PARALLEL_MAX; i++) {
        if (list[i].busy || list[i].ended || list[i].due_us > now)
            continue;
        start(&list[i]);
        busy++;
    }
}

static struct transfer *find(struct transfer *list, size_t n, const CURL *easy)
{
    for (size_t i = 0; i < n; i++)
        if (list[i].easy == easy)
            return &list[i];
    return NULL;
}

/* Takes in what has happened; the next one that is over by it, NULL: none. */
static struct transfer *next_ended(const struct registry *registry, struct transfer *list, size_t n)
{
    const CURLMsg *message;
    int waiting = 0;

    while ((message = registry->curl->info_read(registry->multi, &waiting))) {
        struct transfer *t = find(list, n, message->easy_handle);
        if (message->msg != CURLMSG_DONE || !t)
            continue;
        finish(t, message->data.result);
        if (t->ended)
            return t;
    }
    return NULL;
}

int transfers_run(struct registry *registry, struct transfer *list, size_t n,
                  void (*ended)(void *userdata, struct transfer *t), void *userdata,
                  struct error *err)
{
    const struct curl *curl = registry->curl;
    size_t left = n;

    while (left > 0) {
        int running = 0;
        struct transfer *t;
        start_due(list, n);
        (void) curl->perform(registry->multi, &running);
        while ((t = next_ended(registry, list, n))) {
            if (t->r < 0) {
                if (err)
                    *err = t->err;
                return t->r;
            }
            left--;
            if (ended)
                ended(userdata, t);
        }
        if (left > 0)
            (void) curl->poll(registry->multi, NULL, 0, running ? 1000 : 50, NULL);
    }
    return 0;
}
