/* wire.h - what is said between the two ends of an agent's connection
 *
 *     to serve:    AGENT_MAGIC, the secret (64 bytes), u32 length, the command for sh -c
 *     from serve:  frames of u8 kind, u32 length, payload; the last is FRAME_EXIT with a u32 code
 *
 * Numbers are big endian. Who knows no secret gets no answer.
 */
#ifndef AGENT_WIRE_H
#define AGENT_WIRE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AGENT_MAGIC       "berth-mpi-1\n"
#define AGENT_MAGIC_LEN   12
#define AGENT_SECRET_LEN  64
#define AGENT_HEAD_LEN    (AGENT_MAGIC_LEN + AGENT_SECRET_LEN + 4)
#define AGENT_COMMAND_MAX (1U << 20)

struct agent_settings {
    uint16_t port;
    char secret[AGENT_SECRET_LEN + 1];
};
/* From the text of AGENT_SETTINGS; -EINVAL for any other form. Pure, as all of wire.c. */
int agent_settings_parse(const char *text, size_t len, struct agent_settings *ret);

void agent_head_format(const char *secret, uint32_t command_len, char ret[static AGENT_HEAD_LEN]);
/* -EACCES: not the secret; -EPROTO: something else speaks; -E2BIG. Takes as long whatever the secret is. */
int agent_head_parse(const char head[static AGENT_HEAD_LEN], const char *secret,
                     uint32_t *ret_command_len);

enum frame_kind { FRAME_STDOUT = 1, FRAME_STDERR, FRAME_EXIT };
#define FRAME_HEAD_LEN 5
#define FRAME_MAX      65536U
void frame_format(enum frame_kind kind, uint32_t len, char ret[static FRAME_HEAD_LEN]);
int frame_parse(const char head[static FRAME_HEAD_LEN], enum frame_kind *ret_kind,
                uint32_t *ret_len);

/* The address of NAME in the text of /etc/hosts, or NAME itself if it is an IPv4 address; -ENOENT. Static
 * programs have no resolver, and names of a gang are nowhere else. */
int hosts_find(const char *text, size_t len, const char *name, struct in_addr *ret);

#endif
