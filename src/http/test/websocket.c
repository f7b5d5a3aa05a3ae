/* Frames: what RFC 6455 allows, what it forbids, and that it does not matter how the bytes are cut. */
#include "http/http.h"
#include "tests/tap.h"

#include "base/alloc.h"

#include <errno.h>
#include <string.h>

#define LIMIT 1000

/* Parse BYTES in pieces of STEP; what comes out as text: "T:hello " "P: " "C1000:bye ". */
static int parse(bool from_client, const char *bytes, size_t len, size_t step, struct text *out)
{
    struct ws_parser parser = { .from_client = from_client, .limit = LIMIT };
    static const char letters[] = {
        [WS_TEXT] = 'T', [WS_BINARY] = 'B', [WS_PING] = 'P', [WS_PONG] = 'O'
    };
    int result = 0;

    for (size_t at = 0; at < len && result == 0;) {
        size_t n = len - at < step ? len - at : step;
        struct ws_message m;
        ssize_t r = ws_parse(&parser, bytes + at, n, &m);
        if (r < 0)
            result = (int) r;
        else if (m.opcode == WS_CLOSE)
            text_addf(out, "C%u:%.*s ", m.code, (int) m.len, m.bytes);
        else if (m.opcode != WS_CONTINUATION)
            text_addf(out, "%c:%.*s ", letters[m.opcode], (int) m.len, m.bytes);
        at += r < 0 ? 0 : (size_t) r;
    }
    ws_parser_done(&parser);
    return result;
}

#define PARSE(client, bytes, step, out) parse(client, bytes, sizeof(bytes) - 1, step, out)

TEST(examples_of_the_rfc)
{
    /* Section 5.7. */
    static const struct {
        const char *bytes;
        size_t len;
        bool from_client;
        const char *want;
    } cases[] = {
        { "\x81\x05Hello", 7, false, "T:Hello " },
        { "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11, true, "T:Hello " },
        { "\x01\x03Hel\x80\x02lo", 9, false, "T:Hello " },
        { "\x01\x03Hel\x89\x02ok\x80\x02lo", 13, false, "P:ok T:Hello " },
        { "\x89\x05Hello", 7, false, "P:Hello " },
        { "\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11, true, "O:Hello " },
        { "\x82\x00\x81\x00", 4, false, "B: T: " },
        { "\x88\x00", 2, false, "C1005: " },
        { "\x88\x05\x03\xe8"
          "bye",
          7, false, "C1000:bye " },
        { "\x02\x00\x00\x00\x80\x01x", 7, false, "B:x " },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t step = 1; step <= cases[i].len; step++) {
            _cleanup_text_ struct text out = { 0 };
            ok(parse(cases[i].from_client, cases[i].bytes, cases[i].len, step, &out) == 0);
            is_str(text_str(&out), cases[i].want);
        }
}

TEST(what_the_rfc_forbids_is_refused)
{
    static const struct {
        const char *why, *bytes;
        size_t len;
        int code;
        bool from_client;
    } cases[] = {
        { "RSV1", "\xc1\x00", 2, -EBADMSG, false },
        { "RSV2", "\xa1\x00", 2, -EBADMSG, false },
        { "RSV3", "\x91\x00", 2, -EBADMSG, false },
        { "opcode 3", "\x83\x00", 2, -EBADMSG, false },
        { "opcode 7", "\x87\x00", 2, -EBADMSG, false },
        { "opcode 11", "\x8b\x00", 2, -EBADMSG, false },
        { "opcode 15", "\x8f\x00", 2, -EBADMSG, false },
        { "a client that does not mask", "\x81\x00", 2, -EBADMSG, true },
        { "a server that masks", "\x81\x80", 2, -EBADMSG, false },
        { "a fragmented ping", "\x09\x00", 2, -EBADMSG, false },
        { "a fragmented close", "\x08\x00", 2, -EBADMSG, false },
        { "a ping of 126 bytes", "\x89\x7e", 2, -EBADMSG, false },
        { "a continuation of nothing", "\x80\x00", 2, -EBADMSG, false },
        { "a first fragment that continues", "\x00\x00", 2, -EBADMSG, false },
        { "a message inside of another", "\x01\x01x\x81\x00", 5, -EBADMSG, false },
        { "125 in two bytes", "\x82\x7e\x00\x7d", 4, -EBADMSG, false },
        { "65535 in eight bytes", "\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff", 10, -EBADMSG, false },
        { "the highest bit of a length", "\x82\x7f\x80\x00\x00\x00\x00\x00\xff\xff", 10, -EBADMSG,
          false },
        { "more than the limit", "\x82\x7e\x03\xe9", 4, -EMSGSIZE, false },
        { "an exabyte", "\x82\x7f\x10\x00\x00\x00\x00\x00\x00\x00", 10, -EMSGSIZE, false },
        { "text that is not UTF-8", "\x81\x02\xc3\x28", 4, -EILSEQ, false },
        { "text that is cut inside of a character", "\x81\x01\xc3", 3, -EILSEQ, false },
        { "a close code of one byte", "\x88\x01\x03", 3, -EBADMSG, false },
        { "close code 999", "\x88\x02\x03\xe7", 4, -EBADMSG, false },
        { "close code 1004", "\x88\x02\x03\xec", 4, -EBADMSG, false },
        { "close code 1005", "\x88\x02\x03\xed", 4, -EBADMSG, false },
        { "close code 1006", "\x88\x02\x03\xee", 4, -EBADMSG, false },
        { "close code 1015", "\x88\x02\x03\xf7", 4, -EBADMSG, false },
        { "close code 2999", "\x88\x02\x0b\xb7", 4, -EBADMSG, false },
        { "close code 5000", "\x88\x02\x13\x88", 4, -EBADMSG, false },
        { "a reason that is not UTF-8", "\x88\x03\x03\xe8\xff", 5, -EILSEQ, false },
        { "bytes after the close", "\x88\x00\x81\x00", 4, -EBADMSG, false },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t step = 1; step <= cases[i].len; step++) {
            _cleanup_text_ struct text out = { 0 };
            int r = parse(cases[i].from_client, cases[i].bytes, cases[i].len, step, &out);
            ok(r == cases[i].code);
            if (r != cases[i].code)
                printf("# %s, step %zu: %d\n", cases[i].why, step, r);
        }
}

TEST(fragments_together_have_the_limit_too)
{
    struct ws_parser parser = { .limit = 10 };
    struct ws_message m;

    ok(ws_parse(&parser, "\x02\x06xxxxxx", 8, &m) == 8 && m.opcode == WS_CONTINUATION);
    ok(ws_parse(&parser, "\x80\x05yyyyy", 7, &m) == -EMSGSIZE);
    ws_parser_done(&parser);
}

TEST(heads_are_read_as_they_are_written)
{
    static const size_t sizes[] = { 0, 1, 125, 126, 127, 65535, 65536, 100000 };

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int masked = 0; masked < 2; masked++) {
            uint8_t head[WS_HEAD_MAX];
            static const uint8_t mask[4] = { 1, 200, 3, 77 };
            _cleanup_text_ struct text t = { 0 };
            _cleanup_free_ char *payload = xcalloc(sizes[i] + 1, 1);
            for (size_t k = 0; k < sizes[i]; k++)
                payload[k] = (char) (k * 7);
            text_add_bytes(&t, head,
                           ws_frame_head(WS_BINARY, sizes[i], masked ? mask : NULL, head));
            size_t begin = t.len;
            text_add_bytes(&t, payload, sizes[i]);
            if (masked)
                ws_mask(t.data + begin, sizes[i], mask, 0);
            struct ws_parser parser = { .from_client = masked, .limit = 1 << 20 };
            struct ws_message m = { 0 };
            /* In two pieces, so that the mask begins inside of a word. */
            size_t half = begin + sizes[i] / 3;
            ssize_t n = ws_parse(&parser, t.data, half, &m);
            if (n >= 0 && m.opcode == WS_CONTINUATION)
                n = ws_parse(&parser, t.data + half, t.len - half, &m);
            ok(n >= 0 && m.opcode == WS_BINARY && m.len == sizes[i] &&
               memcmp(m.bytes, payload, m.len) == 0);
            ws_parser_done(&parser);
        }
}

TEST(accept_key)
{
    char accept[29] = "";

    ok(ws_accept_key("dGhlIHNhbXBsZSBub25jZQ==", accept) == 0);
    is_str(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    ok(ws_accept_key("", accept) == -EINVAL);
    ok(ws_accept_key("dGhlIHNhbXBsZSBub25jZQ=", accept) == -EINVAL);
    ok(ws_accept_key("dGhlIHNhbXBsZSBub25j", accept) == -EINVAL);
    ok(ws_accept_key("dGhlIHNhbXBsZSBub25jZQ==x", accept) == -EINVAL);
}

TAP_MAIN
