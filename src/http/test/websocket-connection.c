/* Connections: who is silent is asked and then left, who takes nothing costs bounded memory. */
#include "http/http.h"
#include "tests/tap.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct heard {
    struct loop *loop;
    unsigned messages, drained, closed;
    unsigned code;
    char reason[64];
};

static void on_message(void *userdata, const char *bytes, size_t len, bool binary)
{
    struct heard *h = userdata;

    (void) bytes, (void) len, (void) binary;
    h->messages++;
}

static void on_drained(void *userdata) { ((struct heard *) userdata)->drained++; }

static void on_closed(void *userdata, unsigned code, const char *reason)
{
    struct heard *h = userdata;

    h->closed++;
    h->code = code;
    (void) snprintf(h->reason, sizeof h->reason, "%s", reason);
}

/* Our side is a client's; *RET_PEER plays the server. */
static struct websocket *open_pair(struct heard *h, const struct websocket_options *options,
                                   int *ret_peer)
{
    const struct websocket_events events = {
        .message = on_message, .drained = on_drained, .closed = on_closed, .userdata = h
    };
    struct websocket_link link = { .fd = -1 };
    int pair[2];

    ok(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    *h = (struct heard){ .loop = loop_new() };
    link.fd = pair[0];
    *ret_peer = pair[1];
    return websocket_new(h->loop, &link, options, &events);
}

static void end(struct heard *h, int peer)
{
    close(peer);
    loop_once(h->loop, 0); /* what was deferred */
    loop_free(h->loop);
}

TEST(silence_is_asked_and_then_the_end)
{
    const struct websocket_options options = { .ping_us = 20000, .silence_us = 100000 };
    unsigned char head[2] = { 0 };
    struct heard h;
    int peer;

    (void) open_pair(&h, &options, &peer);
    while (!h.closed)
        loop_once(h.loop, 1000);
    ok(h.closed == 1 && h.code == WS_ABNORMAL);
    is_str(h.reason, "the other side is silent");
    ok(read(peer, head, 2) == 2 && head[0] == (0x80 | WS_PING));
    end(&h, peer);
}

TEST(an_answer_to_a_ping_is_no_silence)
{
    const struct websocket_options options = { .ping_us = 5000, .silence_us = 60000 };
    struct heard h;
    int peer, pings = 0;
    struct websocket *ws = open_pair(&h, &options, &peer);

    /* Longer than the silence that is borne: 30 pings, each after 5 ms or more. */
    while (pings < 30 && !h.closed) {
        unsigned char ping[6];
        loop_once(h.loop, 1000);
        if (recv(peer, ping, sizeof ping, MSG_DONTWAIT) != sizeof ping)
            continue;
        ok(ping[0] == (0x80 | WS_PING) && ping[1] == 0x80);
        ok(write(peer, "\x8a\x00", 2) == 2);
        pings++;
    }
    ok(!h.closed && !h.messages);
    websocket_free(ws);
    end(&h, peer);
}

TEST(who_takes_nothing_is_left_after_a_while)
{
    const struct websocket_options options = { .ping_us = 20000, .silence_us = 100000 };
    static char bytes[16384];
    struct heard h;
    int peer;
    struct websocket *ws = open_pair(&h, &options, &peer);

    while (websocket_pending(ws) <= WEBSOCKET_PENDING)
        websocket_send(ws, bytes, sizeof bytes, true);
    websocket_pause(ws); /* else its silence would be enough */
    while (!h.closed)
        loop_once(h.loop, 1000);
    is_str(h.reason, "the other side takes nothing");
    ok(!h.drained);
    end(&h, peer);
}

TEST(what_was_not_taken_is_told_when_it_is)
{
    static char bytes[16384], sink[65536];
    struct heard h;
    int peer;
    struct websocket *ws = open_pair(&h, NULL, &peer);

    while (websocket_pending(ws) <= WEBSOCKET_PENDING)
        websocket_send(ws, bytes, sizeof bytes, true);
    while (!h.drained) {
        ok(read(peer, sink, sizeof sink) > 0);
        loop_once(h.loop, 0);
    }
    ok(websocket_pending(ws) <= WEBSOCKET_PENDING / 2);
    websocket_free(ws);
    end(&h, peer);
}

TEST(broken_frames_end_with_their_code)
{
    static const struct {
        const char *bytes;
        size_t len;
        unsigned code;
    } cases[] = {
        { "\x82\x81xxxxx", 7, WS_PROTOCOL }, /* masked by a server */
        { "\xc2\x00", 2, WS_PROTOCOL },      /* a reserved bit */
        { "\x82\x7f\x00\x00\x00\x00\x00\x10\x00\x00", 10, WS_TOO_LARGE },
        { "\x81\x01\xff", 3, WS_BAD_TEXT },
        { "\x88\x02\x03\xe9", 4, WS_GOING_AWAY },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct heard h;
        int peer;
        (void) open_pair(&h, NULL, &peer);
        ok(write(peer, cases[i].bytes, cases[i].len) == (ssize_t) cases[i].len);
        while (!h.closed)
            loop_once(h.loop, 1000);
        ok(h.code == cases[i].code && !h.messages);
        close(peer);
        loop_once(h.loop, 100); /* it waited for that */
        end(&h, -1);
    }
}

TAP_MAIN
