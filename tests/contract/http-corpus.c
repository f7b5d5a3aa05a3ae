/* Malformed requests, each refused: what two readers could understand differently is smuggling.
 * Written from RFC 9112 and the advisories named; and valid ones, each accepted. */
#include "http/http.h"
#include "tests/tap.h"

#include "base/text.h"

#include <errno.h>

#define H       "Host: h\r\n"
#define P       "POST / HTTP/1.1\r\n" H
#define CHUNKED "Transfer-Encoding: chunked\r\n"

struct request {
    const char *why;
    const char *bytes;
    size_t len; /* 0: strlen */
};

static const struct request malformed_heads[] = {
    { "both framings (RFC 9112, 6.1)", P "Content-Length: 5\r\n" CHUNKED "\r\n" },
    { "both framings, other order", P CHUNKED "Content-Length: 5\r\n\r\n" },
    { "differing lengths (6.3)", P "Content-Length: 5\r\nContent-Length: 6\r\n\r\n" },
    { "length twice", P "Content-Length: 5\r\nContent-Length: 5\r\n\r\n" },
    { "length as a list", P "Content-Length: 5, 5\r\n\r\n" },
    { "length with a sign", P "Content-Length: +5\r\n\r\n" },
    { "negative length", P "Content-Length: -5\r\n\r\n" },
    { "length in hex", P "Content-Length: 0x5\r\n\r\n" },
    { "length with text", P "Content-Length: 5a\r\n\r\n" },
    { "length with an inner space", P "Content-Length: 5 5\r\n\r\n" },
    { "empty length", P "Content-Length:\r\n\r\n" },
    { "overflowing length", P "Content-Length: 99999999999999999999\r\n\r\n" },
    { "length with a fraction", P "Content-Length: 5.0\r\n\r\n" },
    { "unknown coding", P "Transfer-Encoding: gzip\r\n\r\n" },
    { "coding with a prefix", P "Transfer-Encoding: xchunked\r\n\r\n" },
    { "coding list", P "Transfer-Encoding: gzip, chunked\r\n\r\n" },
    { "chunked not last", P "Transfer-Encoding: chunked, identity\r\n\r\n" },
    { "chunked twice", P "Transfer-Encoding: chunked, chunked\r\n\r\n" },
    { "coding twice", P CHUNKED CHUNKED "\r\n" },
    { "coding with a parameter", P "Transfer-Encoding: chunked;a=b\r\n\r\n" },
    { "coding quoted", P "Transfer-Encoding: \"chunked\"\r\n\r\n" },
    { "coding with vertical tab", P "Transfer-Encoding: \x0b"
                                    "chunked\r\n\r\n" },
    { "empty coding", P "Transfer-Encoding:\r\n\r\n" },
    { "coding in HTTP/1.0", "POST / HTTP/1.0\r\n" H CHUNKED "\r\n" },
    { "space before the colon (5.1)", P "Content-Length : 5\r\n\r\n" },
    { "space before the colon of the coding", P "Transfer-Encoding : chunked\r\n\r\n" },
    { "tab before the colon", P "Content-Length\t: 5\r\n\r\n" },
    { "folded header (5.2)", P "X: a\r\n b\r\n\r\n" },
    { "folded length", P "Content-Length:\r\n 5\r\n\r\n" },
    { "folded with tab", P "X: a\r\n\tb\r\n\r\n" },
    { "header line begins with a space", "GET / HTTP/1.1\r\n Host: h\r\n\r\n" },
    { "no colon", P "nonsense\r\n\r\n" },
    { "empty name", P ": x\r\n\r\n" },
    { "name with a space", P "X Y: z\r\n\r\n" },
    { "name with a control character", P "X\x01: z\r\n\r\n" },
    { "name with a parenthesis", P "X(: z\r\n\r\n" },
    { "name beyond ASCII", P "X\xc3\xa4: z\r\n\r\n" },
    { "bare CR in a value", P "X: a\rb\r\n\r\n" },
    { "bare CR as the line's end", P "X: a\rContent-Length: 5\r\n\r\n" },
    { "bare LF as the line's end", "GET / HTTP/1.1\nHost: h\n\n" },
    { "bare LF in the head", "GET / HTTP/1.1\r\nHost: h\n\r\n" },
    { "LF before CR", "GET / HTTP/1.1\r\nHost: h\n\r\r\n\r\n" },
    { "control character in a value", P "X: a\x08"
                                        "b\r\n\r\n" },
    { "DEL in a value", P "X: a\x7f"
                          "b\r\n\r\n" },
    { "NUL in a value", P "X: a\0b\r\n\r\n", sizeof(P "X: a\0b\r\n\r\n") - 1 },
    { "NUL in the target", "GET /\0 HTTP/1.1\r\n" H "\r\n",
      sizeof("GET /\0 HTTP/1.1\r\n" H "\r\n") - 1 },
    { "no host (3.2)", "GET / HTTP/1.1\r\n\r\n" },
    { "host twice", "GET / HTTP/1.1\r\n" H H "\r\n" },
    { "host with user info", "GET / HTTP/1.1\r\nHost: a@h\r\n\r\n" },
    { "host with a path", "GET / HTTP/1.1\r\nHost: h/x\r\n\r\n" },
    { "host with a space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n" },
    { "host with a comma", "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n" },
    { "two spaces after the method", "GET  / HTTP/1.1\r\n" H "\r\n" },
    { "two spaces before the version", "GET /  HTTP/1.1\r\n" H "\r\n" },
    { "space at the line's end", "GET / HTTP/1.1 \r\n" H "\r\n" },
    { "tab in the request line", "GET\t/ HTTP/1.1\r\n" H "\r\n" },
    { "space in the target", "GET /a b HTTP/1.1\r\n" H "\r\n" },
    { "fragment in the target", "GET /#a HTTP/1.1\r\n" H "\r\n" },
    { "target beyond ASCII", "GET /\xc3\xa4 HTTP/1.1\r\n" H "\r\n" },
    { "target without a slash", "GET a HTTP/1.1\r\n" H "\r\n" },
    { "absolute target", "GET http://h/ HTTP/1.1\r\n" H "\r\n" },
    { "authority target", "CONNECT h:1 HTTP/1.1\r\n" H "\r\n" },
    { "star for GET", "GET * HTTP/1.1\r\n" H "\r\n" },
    { "no method", " / HTTP/1.1\r\n" H "\r\n" },
    { "method with a colon", "GE:T / HTTP/1.1\r\n" H "\r\n" },
    { "no version (0.9)", "GET /\r\n\r\n" },
    { "version in lower case", "GET / http/1.1\r\n" H "\r\n" },
    { "version 2", "GET / HTTP/2.0\r\n" H "\r\n" },
    { "version 1.2", "GET / HTTP/1.2\r\n" H "\r\n" },
    { "version with two digits", "GET / HTTP/1.10\r\n" H "\r\n" },
    { "version without a dot", "GET / HTTP/11\r\n" H "\r\n" },
    { "empty first line", "\r\nGET / HTTP/1.1\r\n" H "\r\n" },
    { "unknown expectation", P "Expect: 200-ok\r\nContent-Length: 0\r\n\r\n" },
};

static const struct request malformed_chunks[] = {
    { "size in 0x form", "0x5\r\nhello\r\n0\r\n\r\n" },
    { "size with a sign", "+5\r\nhello\r\n0\r\n\r\n" },
    { "size with a space before", " 5\r\nhello\r\n0\r\n\r\n" },
    { "size with a space behind", "5 \r\nhello\r\n0\r\n\r\n" },
    { "empty size", "\r\nhello\r\n0\r\n\r\n" },
    { "size of 64 bits and more", "10000000000000005\r\nhello\r\n0\r\n\r\n" },
    { "size ends with LF alone", "5\nhello\r\n0\r\n\r\n" },
    { "size ends with CR alone", "5\rhello\r\n0\r\n\r\n" },
    { "extension", "5;a=b\r\nhello\r\n0\r\n\r\n" },
    { "data longer than the size", "4\r\nhello\r\n0\r\n\r\n" },
    { "data ends with LF alone", "5\r\nhello\n0\r\n\r\n" },
    { "trailer", "0\r\nX: y\r\n\r\n" },
    { "trailer with a length", "5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n" },
    { "negative size", "-1\r\n\r\n" },
};

static const char *const valid_heads[] = {
    "GET / HTTP/1.1\r\n" H "\r\n",
    "GET /a/b?c=d&e=%20f HTTP/1.1\r\n" H "X-Empty:\r\n\r\n",
    "POST / HTTP/1.1\r\nhost: [::1]:80\r\ncontent-length: 0\r\n\r\n",
    P "transfer-encoding: CHUNKED\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\n" H "\r\n",
    "PURGE /x HTTP/1.1\r\n" H "X:\t tabbed value \t\r\n\r\n",
    "GET / HTTP/1.1\r\n" H "X: obs-text \xc3\xa4\r\nConnection: keep-alive, Upgrade\r\n\r\n",
    P "Content-Length: 5\r\nExpect: 100-Continue\r\n\r\n",
};

TEST(no_malformed_head_is_accepted_at_any_split)
{
    for (size_t i = 0; i < sizeof malformed_heads / sizeof malformed_heads[0]; i++) {
        const struct request *m = &malformed_heads[i];
        size_t len = m->len ? m->len : strlen(m->bytes);
        struct http_head head;
        const char *reason;
        ssize_t whole = http_parse_request(m->bytes, len, &head, &reason);
        if (whole >= 0)
            printf("# accepted: %s\n", m->why);
        ok(whole < 0);
        /* A part is refused too, or asks for more; it is never a request. */
        for (size_t k = 0; k < len; k++)
            ok(http_parse_request(m->bytes, k, &head, &reason) <= 0);
    }
}

TEST(every_valid_head_is_accepted_once_it_is_whole)
{
    for (size_t i = 0; i < sizeof valid_heads / sizeof valid_heads[0]; i++) {
        size_t len = strlen(valid_heads[i]);
        struct http_head head;
        const char *reason;
        ssize_t r = http_parse_request(valid_heads[i], len, &head, &reason);
        if (r != (ssize_t) len)
            printf("# refused: %s: %s\n", valid_heads[i], reason);
        ok(r == (ssize_t) len);
        for (size_t k = 0; k < len; k++)
            ok(http_parse_request(valid_heads[i], k, &head, &reason) == 0);
    }
}

/* Feeds PIECE bytes at a time; the body, or NULL when it is refused or does not end. */
static char *decode(const char *bytes, size_t len, size_t piece)
{
    struct http_chunks chunks = { 0 };
    struct text body = { 0 };
    bool done = false;

    for (size_t at = 0; at < len && !done;) {
        size_t end = at + piece < len ? at + piece : len;
        while (at < end && !done) {
            struct http_slice data;
            ssize_t n = http_chunks_next(&chunks, bytes + at, end - at, &data, &done);
            if (n < 0) {
                text_done(&body);
                return NULL;
            }
            at += (size_t) n;
            if (data.len)
                text_add_bytes(&body, data.data, data.len);
        }
    }
    if (done)
        return text_take(&body);
    text_done(&body);
    return NULL;
}

TEST(no_malformed_chunk_is_accepted_at_any_split)
{
    for (size_t i = 0; i < sizeof malformed_chunks / sizeof malformed_chunks[0]; i++) {
        const struct request *m = &malformed_chunks[i];
        for (size_t piece = 1; piece <= strlen(m->bytes); piece++) {
            _cleanup_free_ char *body = decode(m->bytes, strlen(m->bytes), piece);
            if (body)
                printf("# accepted in pieces of %zu: %s\n", piece, m->why);
            ok(!body);
        }
    }
}

TEST(chunks_give_the_same_body_at_every_split)
{
    const char bytes[] = "5\r\nhello\r\n1\r\n \r\nA\r\n0123456789\r\n00\r\n\r\n";
    for (size_t piece = 1; piece <= strlen(bytes); piece++) {
        _cleanup_free_ char *body = decode(bytes, strlen(bytes), piece);
        ok(body);
        if (body)
            is_str(body, "hello 0123456789");
    }
}

TEST(limits_hold_for_whole_and_partial_heads)
{
    static char large[70000];
    struct http_head head;
    const char *reason;
    int n = snprintf(large, sizeof large, "GET / HTTP/1.1\r\n" H "X: ");
    memset(large + n, 'x', sizeof large - 1 - (size_t) n);
    ok(http_parse_request(large, sizeof large - 1, &head, &reason) == -E2BIG);
    memcpy(large + sizeof large - 5, "\r\n\r\n", 4);
    ok(http_parse_request(large, sizeof large - 1, &head, &reason) == -E2BIG);

    struct text many = { 0 };
    text_add(&many, "GET / HTTP/1.1\r\n" H);
    for (int i = 0; i < HTTP_HEADERS_MAX; i++)
        text_addf(&many, "X-%d: y\r\n", i);
    text_add(&many, "\r\n");
    ok(http_parse_request(many.data, many.len, &head, &reason) == -E2BIG);
    text_done(&many);
}

TAP_MAIN
