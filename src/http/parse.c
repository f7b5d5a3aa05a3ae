/* parse.c - heads of HTTP/1.1 messages (RFC 9112), strictly; pure
 *
 * Whatever two implementations could read differently is refused: that is how requests are
 * smuggled. In particular: both framings at once, more than one length, any transfer coding but
 * chunked, folded headers (obsolete, RFC 9112 section 5.2), bare CR or LF, control characters,
 * white space before a colon, more than one Host.
 */
#include "http/http.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

/* RFC 9110, section 5.6.2 */
static bool is_token_char(unsigned char c)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && memchr(others, c, sizeof others - 1));
}

static size_t token_len(const char *s, const char *end)
{
    const char *p = s;
    while (p < end && is_token_char((unsigned char) *p))
        p++;
    return (size_t) (p - s);
}

static ssize_t bad(const char **ret_reason, const char *reason)
{
    *ret_reason = reason;
    return -EBADMSG;
}

static bool slice_is(struct http_slice s, const char *word)
{
    return s.len == strlen(word) && strncasecmp(s.data, word, s.len) == 0;
}

/* Length of the head with its final empty line; 0: more is needed. Bare LF is refused at once, so
 * that nobody waits for a CR that never comes. */
static ssize_t find_end(const char *bytes, size_t len, const char **ret_reason)
{
    const char *end = bytes + len;

    for (const char *p = bytes; (p = memchr(p, '\n', (size_t) (end - p)));) {
        if (p == bytes || p[-1] != '\r')
            return bad(ret_reason, "a line ends without CR");
        if (p - bytes >= 3 && p[-2] == '\n')
            return p + 1 - bytes;
        if (p - bytes == 1)
            return bad(ret_reason, "the first line is empty");
        p++;
    }
    return 0;
}

static int parse_version(const char *s, struct http_head *ret)
{
    if (memcmp(s, "HTTP/", 5) != 0 || s[5] < '0' || s[5] > '9' || s[6] != '.' || s[7] < '0' ||
        s[7] > '9')
        return -EBADMSG;
    if (s[5] != '1' || s[7] > '1')
        return -EPROTONOSUPPORT;
    ret->minor_version = s[7] - '0';
    return 0;
}

static enum http_method find_method(struct http_slice s)
{
    static const char *const names[] = {
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"
    };

    for (unsigned i = 0; i < HTTP_METHOD_MAX; i++)
        if (s.len == strlen(names[i]) && memcmp(s.data, names[i], s.len) == 0)
            return (enum http_method) i;
    return HTTP_METHOD_MAX;
}

/* As much of [S, END) as may be a target; only visible ASCII, and no fragment. */
static size_t target_len(const char *s, const char *end)
{
    const char *p = s;
    while (p<end && * p> ' ' && *p < 0x7f && *p != '#')
        p++;
    return (size_t) (p - s);
}

/* method SP request-target SP HTTP-version; only the origin form and `OPTIONS *` are taken. */
static ssize_t request_line(const char *line, size_t len, struct http_head *ret,
                            const char **ret_reason)
{
    const char *end = line + len;
    struct http_slice method = { line, token_len(line, end) };
    if (!method.len || method.len > 32 || method.len >= len || line[method.len] != ' ')
        return bad(ret_reason, "the request line has no method");
    ret->method = find_method(method);

    const char *target = line + method.len + 1;
    ret->target = (struct http_slice){ target, target_len(target, end) };
    const char *p = target + ret->target.len;
    if (!ret->target.len || p == end || *p != ' ')
        return bad(ret_reason, "the request target is malformed");
    if (*target != '/' && !(ret->method == HTTP_OPTIONS && slice_is(ret->target, "*")))
        return bad(ret_reason, "the request target is not a path");
    if (ret->target.len > HTTP_TARGET_MAX)
        return -E2BIG;
    if (end - p != 9)
        return bad(ret_reason, "the request line does not end with a version");
    int r = parse_version(p + 1, ret);
    return r == -EBADMSG ? bad(ret_reason, "the version is malformed") : r;
}

static bool has_control(const char *s, const char *end)
{
    for (; s < end; s++)
        if (((unsigned char) *s < ' ' && *s != '\t') || *s == 0x7f)
            return true;
    return false;
}

/* HTTP-version SP 3DIGIT SP [reason] */
static ssize_t status_line(const char *line, size_t len, struct http_head *ret,
                           const char **ret_reason)
{
    if (len < 12 || line[8] != ' ' || (len > 12 && line[12] != ' '))
        return bad(ret_reason, "the status line is malformed");
    int r = parse_version(line, ret);
    if (r < 0)
        return r == -EBADMSG ? bad(ret_reason, "the version is malformed") : r;
    for (int i = 9; i < 12; i++) {
        if (line[i] < '0' || line[i] > '9')
            return bad(ret_reason, "the status is no number");
        ret->status = ret->status * 10 + (line[i] - '0');
    }
    if (ret->status < 100)
        return bad(ret_reason, "the status is no number");
    return has_control(line + 12, line + len)
               ? bad(ret_reason, "the status line has a control character")
               : 0;
}

static ssize_t header_line(const char *line, size_t len, struct http_header *ret,
                           const char **ret_reason)
{
    const char *end = line + len;
    size_t n = token_len(line, end);
    if (!n || n == len || line[n] != ':')
        return bad(ret_reason, *line == ' ' || *line == '\t' ? "a header is folded"
                                                             : "a header's name is malformed");
    ret->name = (struct http_slice){ line, n };

    const char *value = line + n + 1;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    if (has_control(value, end))
        return bad(ret_reason, "a header has a control character");
    ret->value = (struct http_slice){ value, (size_t) (end - value) };
    return 0;
}

/* What was seen so far: a header that decides about framing may occur once only. */
struct framing {
    bool host, length, coding;
    bool close, keep_alive, upgrade;
};

static ssize_t take_length(struct http_slice value, struct http_head *ret, struct framing *f,
                           const char **ret_reason)
{
    if (f->length)
        return bad(ret_reason, "Content-Length occurs twice");
    if (!value.len || value.len > 18)
        return bad(ret_reason, "Content-Length is no number");
    ret->content_length = 0;
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return bad(ret_reason, "Content-Length is no number");
        ret->content_length = ret->content_length * 10 + (value.data[i] - '0');
    }
    f->length = true;
    return 0;
}

static ssize_t take_coding(struct http_slice value, struct http_head *ret, struct framing *f,
                           const char **ret_reason)
{
    if (f->coding || !slice_is(value, "chunked"))
        return bad(ret_reason, "Transfer-Encoding is not chunked alone");
    if (ret->minor_version == 0)
        return bad(ret_reason, "Transfer-Encoding in HTTP/1.0");
    f->coding = ret->chunked = true;
    return 0;
}

/* host = uri-host [ ":" port ], without user info (RFC 9110, section 7.2) */
static ssize_t take_host(struct http_slice value, struct framing *f, const char **ret_reason)
{
    if (f->host)
        return bad(ret_reason, "Host occurs twice");
    f->host = true;
    for (size_t i = 0; i < value.len; i++)
        if (!is_token_char((unsigned char) value.data[i]) && !strchr(":[]", value.data[i]))
            return bad(ret_reason, "Host is malformed");
    return value.len > 255 ? bad(ret_reason, "Host is malformed") : 0;
}

static void take_connection(struct http_slice value, struct framing *f)
{
    const char *end = value.data + value.len;

    for (const char *p = value.data; p < end;) {
        while (p < end && (*p == ' ' || *p == '\t' || *p == ','))
            p++;
        struct http_slice word = { p, token_len(p, end) };
        f->close |= slice_is(word, "close");
        f->keep_alive |= slice_is(word, "keep-alive");
        f->upgrade |= slice_is(word, "upgrade");
        p += word.len ? word.len : 1;
    }
}

static ssize_t take_header(const struct http_header *h, struct http_head *ret, struct framing *f,
                           const char **ret_reason)
{
    if (slice_is(h->name, "content-length"))
        return take_length(h->value, ret, f, ret_reason);
    if (slice_is(h->name, "transfer-encoding"))
        return take_coding(h->value, ret, f, ret_reason);
    if (slice_is(h->name, "host"))
        return take_host(h->value, f, ret_reason);
    if (slice_is(h->name, "connection"))
        take_connection(h->value, f);
    if (slice_is(h->name, "expect")) {
        if (!slice_is(h->value, "100-continue"))
            return bad(ret_reason, "Expect is not 100-continue");
        ret->expect_continue = ret->minor_version == 1; /* RFC 9110, section 10.1.1 */
    }
    return 0;
}

/* The lines between the first and the empty one. */
static ssize_t parse_headers(const char *at, const char *end, struct http_head *ret,
                             struct framing *f, const char **ret_reason)
{
    while (at < end) {
        const char *lf = memchr(at, '\n', (size_t) (end - at));
        size_t len = (size_t) (lf - at) - 1;
        if (ret->n_headers == HTTP_HEADERS_MAX)
            return -E2BIG;
        struct http_header *h = &ret->headers[ret->n_headers++];
        ssize_t r = header_line(at, len, h, ret_reason);
        if (r >= 0)
            r = take_header(h, ret, f, ret_reason);
        if (r < 0)
            return r;
        at = lf + 1;
    }
    if (f->length && f->coding)
        return bad(ret_reason, "Content-Length and Transfer-Encoding together");
    return 0;
}

typedef ssize_t (*first_line_f)(const char *line, size_t len, struct http_head *ret,
                                const char **ret_reason);

static ssize_t parse_head(const char *bytes, size_t len, first_line_f first_line,
                          struct http_head *ret, struct framing *f, const char **ret_reason)
{
    *ret_reason = "";
    size_t seen = len < HTTP_HEAD_MAX ? len : HTTP_HEAD_MAX;
    ssize_t end = find_end(bytes, seen, ret_reason);
    if (end <= 0)
        return end == 0 && len >= HTTP_HEAD_MAX ? -E2BIG : end;

    ret->status = 0;
    ret->n_headers = 0;
    ret->content_length = -1;
    ret->chunked = ret->expect_continue = false;
    const char *lf = memchr(bytes, '\n', (size_t) end);
    ssize_t r = first_line(bytes, (size_t) (lf - bytes) - 1, ret, ret_reason);
    if (r >= 0)
        r = parse_headers(lf + 1, bytes + end - 2, ret, f, ret_reason);
    if (r < 0)
        return r;
    ret->keep_alive = !f->close && (ret->minor_version == 1 || f->keep_alive);
    ret->upgrade = f->upgrade && ret->minor_version == 1;
    return end;
}

ssize_t http_parse_request(const char *bytes, size_t len, struct http_head *ret,
                           const char **ret_reason)
{
    struct framing f = { 0 };
    ssize_t r = parse_head(bytes, len, request_line, ret, &f, ret_reason);

    if (r > 0 && ret->minor_version == 1 && !f.host)
        return bad(ret_reason, "Host is missing");
    return r;
}

ssize_t http_parse_response(const char *bytes, size_t len, struct http_head *ret,
                            const char **ret_reason)
{
    struct framing f = { 0 };
    return parse_head(bytes, len, status_line, ret, &f, ret_reason);
}

const struct http_header *http_find_header(const struct http_head *head, const char *name)
{
    for (size_t i = 0; i < head->n_headers; i++)
        if (slice_is(head->headers[i].name, name))
            return &head->headers[i];
    return NULL;
}

/* ---- chunked coding (RFC 9112, section 7.1) --------------------------------------------------- */

enum {
    CHUNK_SIZE,
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    CHUNK_END_CR,
    CHUNK_END_LF
};

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One byte outside of data. Extensions and trailers are refused: nobody needs them, and they have
 * been read differently. */
static int chunk_byte(struct http_chunks *c, char byte)
{
    int digit = hex_digit(byte);

    switch (c->state) {
    case CHUNK_SIZE:
        if (digit >= 0 && c->digits < 15) {
            c->left = c->left * 16 + (unsigned) digit;
            c->digits++;
            return 0;
        }
        if (byte != '\r' || !c->digits)
            return -EBADMSG;
        c->state = CHUNK_SIZE_LF;
        return 0;
    case CHUNK_SIZE_LF:
        c->digits = 0;
        c->state = c->left ? CHUNK_DATA : CHUNK_END_CR;
        return byte == '\n' ? 0 : -EBADMSG;
    case CHUNK_DATA_CR:
    case CHUNK_END_CR:
        c->state++;
        return byte == '\r' ? 0 : -EBADMSG;
    default:
        if (byte != '\n')
            return -EBADMSG;
        if (c->state == CHUNK_END_LF)
            return 1;
        c->state = CHUNK_SIZE;
        return 0;
    }
}

ssize_t http_chunks_next(struct http_chunks *c, const char *bytes, size_t len,
                         struct http_slice *ret_data, bool *ret_done)
{
    size_t at = 0;

    *ret_data = (struct http_slice){ 0 };
    *ret_done = false;
    while (at < len && c->state != CHUNK_DATA) {
        int r = chunk_byte(c, bytes[at++]);
        if (r < 0)
            return r;
        if (r > 0) {
            *ret_done = true;
            return (ssize_t) at;
        }
    }
    if (at < len) {
        size_t n = len - at < c->left ? len - at : (size_t) c->left;
        *ret_data = (struct http_slice){ bytes + at, n };
        c->left -= n;
        at += n;
        if (!c->left)
            c->state = CHUNK_DATA_CR;
    }
    return (ssize_t) at;
}
