/* wire.c - see wire.h */
#include "agent/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void put_u32(char *at, uint32_t value)
{
    value = htonl(value);
    memcpy(at, &value, sizeof value);
}

static uint32_t get_u32(const char *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof value);
    return ntohl(value);
}

static bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

int agent_settings_parse(const char *text, size_t len, struct agent_settings *ret)
{
    struct agent_settings settings = { 0 };
    size_t at = 0;
    unsigned port = 0;

    while (at < len && at < 5 && text[at] >= '0' && text[at] <= '9')
        port = port * 10 + (unsigned) (text[at++] - '0');
    if (port < 1 || port > 65535 || len != at + 1 + AGENT_SECRET_LEN + 1 || text[at] != ' ' ||
        text[len - 1] != '\n')
        return -EINVAL;
    settings.port = (uint16_t) port;
    memcpy(settings.secret, text + at + 1, AGENT_SECRET_LEN);
    for (size_t i = 0; i < AGENT_SECRET_LEN; i++)
        if (!is_hex(settings.secret[i]))
            return -EINVAL;
    *ret = settings;
    return 0;
}

static const char magic[AGENT_MAGIC_LEN] = AGENT_MAGIC; /* without the zero */

void agent_head_format(const char *secret, uint32_t command_len, char ret[static AGENT_HEAD_LEN])
{
    memcpy(ret, magic, sizeof magic);
    memcpy(ret + AGENT_MAGIC_LEN, secret, AGENT_SECRET_LEN);
    put_u32(ret + AGENT_MAGIC_LEN + AGENT_SECRET_LEN, command_len);
}

int agent_head_parse(const char head[static AGENT_HEAD_LEN], const char *secret,
                     uint32_t *ret_command_len)
{
    uint32_t len = get_u32(head + AGENT_MAGIC_LEN + AGENT_SECRET_LEN);
    volatile unsigned char differs = 0;

    if (memcmp(head, magic, sizeof magic) != 0)
        return -EPROTO;
    for (size_t i = 0; i < AGENT_SECRET_LEN; i++)
        differs |= (unsigned char) (head[AGENT_MAGIC_LEN + i] ^ secret[i]);
    if (differs)
        return -EACCES;
    if (len == 0 || len > AGENT_COMMAND_MAX)
        return -E2BIG;
    *ret_command_len = len;
    return 0;
}

void frame_format(enum frame_kind kind, uint32_t len, char ret[static FRAME_HEAD_LEN])
{
    ret[0] = (char) kind;
    put_u32(ret + 1, len);
}

int frame_parse(const char head[static FRAME_HEAD_LEN], enum frame_kind *ret_kind,
                uint32_t *ret_len)
{
    uint32_t len = get_u32(head + 1);

    if (head[0] < FRAME_STDOUT || head[0] > FRAME_EXIT || len > FRAME_MAX ||
        (head[0] == FRAME_EXIT && len != 4))
        return -EPROTO;
    *ret_kind = (enum frame_kind) head[0];
    *ret_len = len;
    return 0;
}

/* The next word of a line in [*P, END); its length, 0 at the end or before a comment. */
static size_t next_word(const char **p, const char *end, const char **word)
{
    while (*p < end && strchr(" \t\r", **p) && **p)
        (*p)++;
    *word = *p;
    while (*p < end && **p && !strchr(" \t\r#", **p))
        (*p)++;
    return (size_t) (*p - *word);
}

static int parse_address(const char *word, size_t len, struct in_addr *ret)
{
    char text[INET_ADDRSTRLEN];

    if (len >= sizeof text)
        return -EINVAL;
    memcpy(text, word, len);
    text[len] = '\0';
    return inet_pton(AF_INET, text, ret) == 1 ? 0 : -EINVAL;
}

static bool line_has(const char *p, const char *end, const char *name)
{
    size_t want = strlen(name);
    const char *word;

    for (size_t len; (len = next_word(&p, end, &word)) > 0;)
        if (len == want && memcmp(word, name, len) == 0)
            return true;
    return false;
}

int hosts_find(const char *text, size_t len, const char *name, struct in_addr *ret)
{
    const char *end = text + len;
    struct in_addr address;

    if (parse_address(name, strlen(name), ret) == 0)
        return 0;
    for (const char *line = text; line < end;) {
        const char *newline = memchr(line, '\n', (size_t) (end - line));
        const char *line_end = newline ? newline : end;
        const char *p = line, *word;
        size_t n = next_word(&p, line_end, &word);
        if (n && parse_address(word, n, &address) == 0 && line_has(p, line_end, name)) {
            *ret = address;
            return 0;
        }
        line = newline ? newline + 1 : end;
    }
    return -ENOENT;
}
