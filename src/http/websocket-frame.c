/* websocket-frame.c - WebSocket frames (RFC 6455, section 5), byte by byte where it must be: pure */
#include "http/http.h"

#include "base/base64.h"
#include "base/json.h"
#include "os/hash.h"

#include <errno.h>
#include <string.h>

static int refuse(struct ws_message *ret, int code, const char *reason)
{
    ret->reason = reason;
    return code;
}

static bool is_control(enum ws_opcode opcode) { return opcode >= WS_CLOSE; }

static bool is_known(unsigned opcode)
{
    return opcode <= WS_BINARY || (opcode >= WS_CLOSE && opcode <= WS_PONG);
}

/* The first two bytes: what may be, and how long the head is. */
static int begin_head(struct ws_parser *p, struct ws_message *ret)
{
    enum ws_opcode opcode = (enum ws_opcode)(p->head[0] & 15);
    unsigned short_len = p->head[1] & 127;
    bool fin = p->head[0] & 128, masked = p->head[1] & 128;

    if (p->head[0] & 0x70)
        return refuse(ret, -EBADMSG, "a reserved bit is set");
    if (!is_known(opcode))
        return refuse(ret, -EBADMSG, "an opcode that does not exist");
    if (masked != p->from_client)
        return refuse(ret, -EBADMSG,
                      masked ? "a server must not mask" : "a client must mask its frames");
    if (is_control(opcode) && (!fin || short_len > WS_CONTROL_MAX))
        return refuse(ret, -EBADMSG, "a control frame is fragmented or longer than 125 bytes");
    if (!is_control(opcode) && (opcode == WS_CONTINUATION) != (p->message_opcode != 0))
        return refuse(ret, -EBADMSG, "a continuation of nothing, or a message inside of another");
    p->fin = fin;
    p->opcode = opcode;
    p->need = 2 + (short_len == 126 ? 2 : short_len == 127 ? 8 : 0) + (masked ? 4 : 0);
    return 0;
}

static uint64_t big_endian(const uint8_t *bytes, unsigned n)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < n; i++)
        value = value << 8 | bytes[i];
    return value;
}

static int end_head(struct ws_parser *p, struct ws_message *ret)
{
    unsigned short_len = p->head[1] & 127;

    p->left = short_len;
    if (short_len == 126)
        p->left = big_endian(p->head + 2, 2);
    else if (short_len == 127)
        p->left = big_endian(p->head + 2, 8);
    if ((short_len == 126 && p->left < 126) || (short_len == 127 && p->left < 65536))
        return refuse(ret, -EBADMSG, "a length that is not in its shortest form");
    if (p->left >> 63)
        return refuse(ret, -EBADMSG, "a length with its highest bit set");
    if (!is_control(p->opcode) && p->left > p->limit - p->message.len)
        return refuse(ret, -EMSGSIZE, "the message is too large");
    if (p->from_client)
        memcpy(p->mask, p->head + p->need - 4, 4);
    if (p->opcode == WS_TEXT || p->opcode == WS_BINARY)
        p->message_opcode = p->opcode;
    p->at = 0;
    p->in_payload = true;
    return 0;
}

/* Bytes taken for the head. */
static ssize_t take_head(struct ws_parser *p, const char *bytes, size_t len, struct ws_message *ret)
{
    size_t taken = 0;

    if (p->have == 0)
        p->need = 2;
    while (p->have < p->need && taken < len) {
        p->head[p->have++] = (uint8_t) bytes[taken++];
        int r = p->have == 2 ? begin_head(p, ret) : 0;
        if (r < 0)
            return r;
    }
    int r = p->have == p->need ? end_head(p, ret) : 0;
    return r < 0 ? r : (ssize_t) taken;
}

void ws_mask(char *bytes, size_t n, const uint8_t mask[static 4], uint64_t at)
{
    uint8_t turned[8];
    uint64_t word, key;
    size_t i = 0;

    for (unsigned k = 0; k < 8; k++)
        turned[k] = mask[(at + k) & 3];
    memcpy(&key, turned, 8);
    for (; i + 8 <= n; i += 8) {
        memcpy(&word, bytes + i, 8);
        word ^= key;
        memcpy(bytes + i, &word, 8);
    }
    for (; i < n; i++)
        bytes[i] = (char) (bytes[i] ^ (char) turned[i & 7]);
}

static size_t take_payload(struct ws_parser *p, const char *bytes, size_t len)
{
    struct text *into = is_control(p->opcode) ? &p->control : &p->message;
    size_t n = len < p->left ? len : (size_t) p->left;

    if (!n)
        return 0;
    size_t begin = into->len;
    text_add_bytes(into, bytes, n);
    if (p->from_client)
        ws_mask(into->data + begin, n, p->mask, p->at);
    p->at += n;
    p->left -= n;
    return n;
}

/* Those that an endpoint may send (RFC 6455, 7.4, and IANA's registry). */
static bool is_close_code(unsigned code)
{
    return (code >= 1000 && code <= 1014 && code != 1004 && code != WS_NO_CODE &&
            code != WS_ABNORMAL) ||
           (code >= 3000 && code <= 4999);
}

static int end_close(struct ws_parser *p, struct ws_message *ret)
{
    p->closed = true;
    ret->code = WS_NO_CODE;
    if (p->control.len == 0)
        return 0;
    if (p->control.len == 1)
        return refuse(ret, -EBADMSG, "a close code of one byte");
    ret->code = (unsigned) big_endian((const uint8_t *) p->control.data, 2);
    ret->bytes += 2;
    ret->len -= 2;
    if (!is_close_code(ret->code))
        return refuse(ret, -EBADMSG, "a close code that must not be sent");
    if (!utf8_is_valid(ret->bytes, ret->len))
        return refuse(ret, -EILSEQ, "the reason of a close is not UTF-8");
    return 0;
}

/* The payload is complete: is there something to hand out? */
static int end_frame(struct ws_parser *p, struct ws_message *ret)
{
    bool control = is_control(p->opcode);
    const struct text *t = control ? &p->control : &p->message;

    p->have = 0;
    p->in_payload = false;
    if (!p->fin)
        return 0;
    ret->opcode = control ? p->opcode : p->message_opcode;
    ret->bytes = text_str(t);
    ret->len = t->len;
    p->handed = true;
    if (p->opcode == WS_CLOSE)
        return end_close(p, ret);
    if (control)
        return 0;
    p->message_opcode = WS_CONTINUATION;
    if (ret->opcode == WS_TEXT && !utf8_is_valid(ret->bytes, ret->len))
        return refuse(ret, -EILSEQ, "a text message is not UTF-8");
    return 0;
}

/* What was handed out last is not needed any more. */
static void forget(struct ws_parser *p)
{
    p->handed = false;
    text_clear(&p->control);
    if (!p->message_opcode)
        text_clear(&p->message);
}

ssize_t ws_parse(struct ws_parser *p, const char *bytes, size_t len, struct ws_message *ret)
{
    size_t at = 0;

    *ret = (struct ws_message){ .opcode = WS_CONTINUATION };
    if (p->closed)
        return refuse(ret, -EBADMSG, "bytes after the close");
    if (p->handed)
        forget(p);
    while (at < len && !p->handed) {
        if (!p->in_payload) {
            ssize_t n = take_head(p, bytes + at, len - at, ret);
            if (n < 0)
                return n;
            at += (size_t) n;
        }
        if (p->in_payload) {
            at += take_payload(p, bytes + at, len - at);
            int r = p->left == 0 ? end_frame(p, ret) : 0;
            if (r < 0)
                return r;
        }
    }
    return (ssize_t) at;
}

void ws_parser_done(struct ws_parser *p)
{
    text_done(&p->message);
    text_done(&p->control);
}

unsigned ws_frame_head(enum ws_opcode opcode, uint64_t len, const uint8_t *mask,
                       uint8_t head[static WS_HEAD_MAX])
{
    unsigned n = 2, extra = len < 126 ? 0 : len < 65536 ? 2 : 8;

    head[0] = (uint8_t) (128 | opcode);
    head[1] = (uint8_t) ((mask ? 128 : 0) | (extra == 0 ? len : extra == 2 ? 126 : 127));
    for (unsigned i = 0; i < extra; i++)
        head[n++] = (uint8_t) (len >> 8 * (extra - 1 - i));
    if (mask)
        memcpy(head + n, mask, 4);
    return n + (mask ? 4 : 0);
}

int ws_accept_key(const char *key, char ret[static 29])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    _cleanup_text_ struct text joined = { 0 }, coded = { 0 };
    uint8_t nonce[16], sum[SHA1_LEN];
    size_t n = 0;

    if (base64_decode(key, nonce, sizeof nonce, &n) < 0 || n != sizeof nonce)
        return -EINVAL;
    text_add(&joined, key);
    text_add(&joined, guid);
    sha1_of(joined.data, joined.len, sum);
    text_add_base64(&coded, sum, sizeof sum);
    memcpy(ret, coded.data, 29);
    return 0;
}
