/* packet.h - packets of fixed size with descriptors over SOCK_SEQPACKET */
#ifndef OS_PACKET_H
#define OS_PACKET_H

#include <stddef.h>

#define PACKET_FDS_MAX 4

/* N descriptors, 1 to PACKET_FDS_MAX, stay the caller's too. */
int packet_send(int socket, const void *bytes, size_t len, const int *fds, unsigned n);
/* 1: a packet of LEN bytes, with FDS (the caller's, -1 where there is none); 0: the end; -EBADMSG: another
 * form, -EAGAIN: nothing within the socket's time. */
int packet_receive(int socket, void *bytes, size_t len, int *fds, unsigned n);

/* A socket connected to NAME in directory DIR, whose path may be longer than a socket's. Does not block. */
int packet_connect(int dir, const char *name);

#endif
