/* tls.c - TLS as a relay: who speaks HTTP or WebSocket has a plain socket and need not know
 *
 * The handshake is made by the caller's thread, so that its failure has words. After that one thread a
 * connection moves bytes between the network and a socket pair, both ways, with one buffer each: who reads
 * slowly is waited for. It shares nothing with anybody and ends with the connection.
 */
#include "http/tls.h"

#include "base/alloc.h"
#include "http/http.h"
#include "os/fd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { PIECE = 16384 };

/* Bytes on their way. */
struct way {
    size_t at, len;
    bool ended; /* nothing more comes in */
    unsigned char bytes[PIECE];
};

struct relay {
    SSL *ssl;
    int net, plain;
    struct way out, in;           /* to the network, from it */
    short net_wants, plain_wants; /* what to poll for */
};

static void relay_free(struct relay *r)
{
    SSL_free(r->ssl);
    safe_close(r->net);
    safe_close(r->plain);
    free(r);
}

static void relay_freep(struct relay **r)
{
    if (*r)
        relay_free(*r);
}

/* ---- shaking hands --------------------------------------------------------------------------------- */

static SSL_CTX *context;

/* Threads may still move bytes when the program ends: OpenSSL must not clear up below them. That can only be
 * said before anything else is. */
__attribute__((constructor)) static void stay_until_the_end(void)
{
    (void) OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
}

/* Reads the authorities, which takes milliseconds: once. */
static void make_context(void)
{
    static const unsigned char http11[] = "\x08http/1.1";

    context = SSL_CTX_new(TLS_client_method());
    if (!context)
        return;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    (void) SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    (void) SSL_CTX_set_default_verify_paths(context);
    (void) SSL_CTX_set_alpn_protos(context, http11, sizeof http11 - 1);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
}

int http_authorities_check(const char *file, struct error *err)
{
    _cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return error_set(err, -errno, "%s: %s", file, strerror(errno));
    X509_STORE *store = X509_STORE_new();
    bool is_one = store && X509_STORE_load_file(store, file) == 1;
    X509_STORE_free(store);
    ERR_clear_error();
    return is_one ? 0 : error_set(err, -EINVAL, "%s holds no certificate", file);
}

/* Whose certificate it must be. */
static bool expect_host(SSL *ssl, const char *host)
{
    struct in6_addr address;

    if (inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    /* What SSL_set_tlsext_host_name() is, without its cast. */
    return SSL_set1_host(ssl, host) == 1 &&
           SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                    (void *) (uintptr_t) host) == 1;
}

static int refuse(const SSL *ssl, const char *host, struct error *err)
{
    long verdict = SSL_get_verify_result(ssl);
    char words[200] = "the connection was closed";
    unsigned long code = ERR_get_error();

    if (verdict != X509_V_OK)
        return error_set(
            err, -EPROTO,
            "the certificate of %s is not trusted: %s (SSL_CERT_FILE may name the authorities "
            "to trust)",
            host, X509_verify_cert_error_string(verdict));
    if (code)
        ERR_error_string_n(code, words, sizeof words);
    return error_set(err, -EPROTO, "%s does not speak TLS here: %s", host, words);
}

static int shake_hands(struct relay *r, const char *host, unsigned timeout_ms, struct error *err)
{
    ERR_clear_error();
    for (;;) {
        int n = SSL_connect(r->ssl);
        if (n == 1)
            return 0;
        int why = SSL_get_error(r->ssl, n);
        if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
            return refuse(r->ssl, host, err);
        struct pollfd p = { .fd = r->net, .events = why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT };
        int ready = poll(&p, 1, (int) timeout_ms);
        if (ready == 0)
            return error_set(err, -ETIMEDOUT, "%s does not answer with TLS", host);
        if (ready < 0)
            return error_set(err, -errno, "waiting for %s: %s", host, strerror(errno));
    }
}

/* ---- moving bytes ---------------------------------------------------------------------------------- */

/* True: something moved. */
static bool from_network(struct relay *r)
{
    struct way *w = &r->in;

    if (w->len || w->ended)
        return false;
    int n = SSL_read(r->ssl, w->bytes, PIECE);
    if (n > 0) {
        w->at = 0;
        w->len = (size_t) n;
        return true;
    }
    int why = SSL_get_error(r->ssl, n);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
        r->net_wants |= why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
    else
        w->ended = true; /* closed, or broken: HTTP's lengths tell which */
    return false;
}

static bool to_plain(struct relay *r)
{
    struct way *w = &r->in;

    if (!w->len)
        return false;
    ssize_t n = send(r->plain, w->bytes + w->at, w->len, MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN) {
        r->plain_wants |= POLLOUT;
        return false;
    }
    if (n < 0) { /* nobody reads any more */
        w->len = 0;
        w->ended = r->out.ended = true;
        return false;
    }
    w->at += (size_t) n;
    w->len -= (size_t) n;
    return true;
}

static bool from_plain(struct relay *r)
{
    struct way *w = &r->out;

    if (w->len || w->ended)
        return false;
    ssize_t n = recv(r->plain, w->bytes, PIECE, 0);
    if (n > 0) {
        w->at = 0;
        w->len = (size_t) n;
        return true;
    }
    if (n < 0 && errno == EAGAIN)
        r->plain_wants |= POLLIN;
    else
        w->ended = true;
    return false;
}

static bool to_network(struct relay *r)
{
    struct way *w = &r->out;

    if (!w->len)
        return false;
    int n = SSL_write(r->ssl, w->bytes + w->at, (int) w->len);
    if (n > 0) {
        w->at += (size_t) n;
        w->len -= (size_t) n;
        return true;
    }
    int why = SSL_get_error(r->ssl, n);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
        r->net_wants |= why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
        return false;
    }
    w->len = 0;
    w->ended = true;
    return false;
}

static bool is_over(const struct relay *r)
{
    return (r->in.ended && !r->in.len) || (r->out.ended && !r->out.len);
}

static void *relay_run(void *argument)
{
    struct relay *r = argument;

    while (!is_over(r)) {
        r->net_wants = r->plain_wants = 0;
        ERR_clear_error();
        bool moved = from_network(r);
        moved |= to_plain(r);
        moved |= from_plain(r);
        moved |= to_network(r);
        if (moved || is_over(r))
            continue;
        struct pollfd p[] = { { .fd = r->net, .events = r->net_wants },
                              { .fd = r->plain, .events = r->plain_wants } };
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            break;
    }
    (void) SSL_shutdown(r->ssl);
    relay_free(r);
    return NULL;
}

/* Signals are for the threads that wait for them. */
static int start(struct relay *r, struct error *err)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;

    (void) sigfillset(&all);
    (void) pthread_attr_init(&attributes);
    (void) pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void) pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&thread, &attributes, relay_run, r);
    (void) pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void) pthread_attr_destroy(&attributes);
    return code ? error_set(err, -code, "a thread for TLS: %s", strerror(code)) : 0;
}

int tls_begin(int fd, const char *host, unsigned timeout_ms, struct error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    _cleanup_(relay_freep) struct relay *r = xnew(struct relay);
    int pair[2];

    r->net = fd;
    r->plain = -1;
    (void) pthread_once(&once, make_context);
    r->ssl = context ? SSL_new(context) : NULL;
    if (!r->ssl || set_nonblock(fd, true) < 0 || SSL_set_fd(r->ssl, fd) != 1 ||
        !expect_host(r->ssl, host))
        return error_set(err, -EPROTO, "TLS to %s cannot be set up", host);
    int code = shake_hands(r, host, timeout_ms, err);
    if (code < 0)
        return code;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return error_set(err, -errno, "a socket pair: %s", strerror(errno));
    _cleanup_close_ int ours = pair[0];
    r->plain = pair[1];
    if (set_nonblock(r->plain, true) < 0)
        return error_set(err, -errno, "a socket pair: %s", strerror(errno));
    code = start(r, err);
    if (code < 0)
        return code;
    (void) take_ptr(r); /* the thread's */
    return take_fd(&ours);
}
