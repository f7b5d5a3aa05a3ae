/* auth.c - answer a registry's challenge: Basic, or a token from the server that it names */
#include "image/transfer.h"

#include "base/alloc.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* "Authorization: Basic …"; owned by the caller. */
static char *basic(const struct registry_options *o)
{
    _cleanup_free_ char *plain = xasprintf("%s:%s", o->username, o->password ? o->password : "");
    const unsigned char *p = (const unsigned char *) plain;
    size_t n = strlen(plain);
    struct text t = { 0 };

    text_add(&t, "Authorization: Basic ");
    for (size_t i = 0; i < n; i += 3) {
        unsigned v = (unsigned) p[i] << 16 | (i + 1 < n ? (unsigned) p[i + 1] << 8 : 0) |
                     (i + 2 < n ? p[i + 2] : 0);
        text_add_char(&t, base64[v >> 18]);
        text_add_char(&t, base64[v >> 12 & 63]);
        text_add_char(&t, i + 1 < n ? base64[v >> 6 & 63] : '=');
        text_add_char(&t, i + 2 < n ? base64[v & 63] : '=');
    }
    explicit_bzero(plain, n);
    return text_take(&t);
}

static size_t on_token(char *bytes, size_t size, size_t n, void *userdata)
{
    struct text *t = userdata;

    if (t->len + size * n > 65536)
        return 0;
    text_add_bytes(t, bytes, size * n);
    return size * n;
}

static void add_parameter(struct registry *registry, CURL *easy, struct text *url, const char *name,
                          const char *value)
{
    char *escaped = registry->curl->escape(easy, value, 0);

    text_addf(url, "%c%s=%s", strchr(text_str(url), '?') ? '&' : '?', name, escaped ? escaped : "");
    registry->curl->free(escaped);
}

static char *token_url(struct registry *registry, CURL *easy, const struct challenge *c)
{
    _cleanup_free_ char *scope = xasprintf("repository:%s:%s", registry->options.repository,
                                           registry->options.push ? "pull,push" : "pull");
    struct text url = { 0 };

    text_add(&url, c->realm);
    if (c->service)
        add_parameter(registry, easy, &url, "service", c->service);
    /* What we want, not what it proposes: never a right that is not needed. */
    add_parameter(registry, easy, &url, "scope", scope);
    return text_take(&url);
}

static void set_options(struct registry *registry, CURL *easy, const char *url, struct text *answer)
{
    const struct curl *curl = registry->curl;
    const struct registry_options *o = &registry->options;
    bool plain = strncmp(registry->origin, "http:", 5) == 0;

    curl->setopt(easy, CURLOPT_URL, url);
    curl->setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl->setopt(easy, CURLOPT_PROTOCOLS_STR, plain ? "http,https" : "https");
    curl->setopt(easy, CURLOPT_TIMEOUT, o->stall_s > 0 ? o->stall_s : 30L);
    curl->setopt(easy, CURLOPT_WRITEFUNCTION, on_token);
    curl->setopt(easy, CURLOPT_WRITEDATA, answer);
    curl->setopt(easy, CURLOPT_USERAGENT, "berth/" BERTH_VERSION);
    if (o->proxy)
        curl->setopt(easy, CURLOPT_PROXY, o->proxy);
    if (o->ca_file)
        curl->setopt(easy, CURLOPT_CAINFO, o->ca_file);
}

static int read_token(struct registry *registry, long status, const struct text *answer,
                      struct error *err)
{
    _cleanup_json_ json_t *json = NULL;

    if (status == 401 || status == 403)
        return error_set(err, -EACCES,
                         registry->options.username
                             ? "registry %s refuses the login"
                             : "registry %s wants a login: berth image login",
                         registry->options.host);
    if (status != 200)
        return error_set(err, -EAGAIN, "the token server of %s answers %ld", registry->options.host,
                         status);
    if (json_parse(text_str(answer), answer->len, &json, NULL) < 0)
        return error_set(err, -EBADMSG, "the token server of %s sends no JSON",
                         registry->options.host);
    const char *token = json_get_str(json, "token", json_get_str(json, "access_token", NULL));
    if (!token || strpbrk(token, "\r\n"))
        return error_set(err, -EBADMSG, "the token server of %s sends no token",
                         registry->options.host);
    free(registry->authorization);
    registry->authorization = xasprintf("Authorization: Bearer %s", token);
    return 0;
}

static int fetch_token(struct registry *registry, const struct challenge *c, struct error *err)
{
    const struct curl *curl = registry->curl;
    CURL *easy = curl->easy_init();
    _cleanup_free_ char *url = token_url(registry, easy, c);
    _cleanup_free_ char *login = registry->options.username ? basic(&registry->options) : NULL;
    struct curl_slist *headers = login ? curl->slist_append(NULL, login) : NULL;
    _cleanup_text_ struct text answer = { 0 };
    int running = 1, waiting;
    CURLcode code = CURLE_FAILED_INIT;
    CURLM *multi = curl->multi_init();

    set_options(registry, easy, url, &answer);
    curl->setopt(easy, CURLOPT_HTTPHEADER, headers);
    (void) curl->multi_add(multi, easy);
    while (running > 0) {
        (void) curl->perform(multi, &running);
        if (running > 0)
            (void) curl->poll(multi, NULL, 0, 1000, NULL);
    }
    const CURLMsg *message = curl->info_read(multi, &waiting);
    if (message)
        code = message->data.result;
    long status = 0;
    (void) curl->getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    (void) curl->multi_remove(multi, easy);
    curl->multi_cleanup(multi);
    curl->easy_cleanup(easy);
    curl->slist_free_all(headers);
    if (login)
        explicit_bzero(login, strlen(login));
    if (code != CURLE_OK)
        return error_set(err, -EAGAIN, "the token server of %s: %s", registry->options.host,
                         curl->strerror(code));
    return read_token(registry, status, &answer, err);
}

int registry_log_in(struct registry *registry, const char *challenge, struct error *err)
{
    struct challenge c;
    int r = challenge_parse(challenge, strlen(challenge), &c);

    if (r < 0)
        return error_set(err, -EBADMSG, "registry %s asks for a login in a form that is not known",
                         registry->options.host);
    if (!c.bearer && !registry->options.username)
        r = error_set(err, -EACCES,
                      "registry %s wants a login; give one: berth image login %s --username USER",
                      registry->options.host, registry->options.host);
    else if (!c.bearer && registry->authorization)
        r = error_set(err, -EACCES, "registry %s refuses the login", registry->options.host);
    else if (!c.bearer)
        registry->authorization = basic(&registry->options);
    else
        r = fetch_token(registry, &c, err);
    challenge_done(&c);
    return r;
}
