/* io.h - what both ends of the agent need of descriptors */
#ifndef AGENT_IO_H
#define AGENT_IO_H

#include "agent/wire.h"

/* 0, or a negative errno; -ECONNRESET at an end before LEN bytes. */
int io_read_full(int fd, void *bytes, size_t len);
int io_write_full(int fd, const void *bytes, size_t len);
int io_send_frame(int fd, enum frame_kind kind, const void *payload, uint32_t len);
/* At most MAX bytes of a file; their number, or a negative errno. */
int io_read_file(const char *path, char *ret, size_t max);
/* AGENT_SETTINGS; says on stderr what is wrong. */
int io_read_settings(struct agent_settings *ret);

int agent_serve(void);
/* Run WORDS, joined as rsh does, on HOST; its exit code, or 255. */
int agent_call(const char *host, char *const *words);

#endif
