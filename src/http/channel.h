/* channel.h - what the messages of a session are: a byte that names the channel, then bytes
 *
 * The same on the WebSocket between a client and the server and on the socket between the server and a
 * supervisor. An empty message of CHANNEL_IN or CHANNEL_OUT is that stream's end.
 */
#ifndef HTTP_CHANNEL_H
#define HTTP_CHANNEL_H

#define CHANNEL_PROTOCOL "berth.session.v1" /* the WebSocket's subprotocol */
#define CHANNEL_TICKET   "berth.ticket."    /* a subprotocol that carries a ticket */

#define CHANNEL_PAYLOAD_MAX 65536

enum channel {
    CHANNEL_IN,
    CHANNEL_OUT,
    CHANNEL_ERR,
    CHANNEL_CONTROL, /* JSON */
};

#endif
