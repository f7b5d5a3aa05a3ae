/* counters.c - text that the kernel prints about a network namespace */
#include "network/internal.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>

#include <stdio.h>

#define SNMP_LIMIT (64 * 1024)

/* The value under the column NAME: /proc/net/snmp has a line of names, then a line of values,
 * both beginning with "GROUP:". */
static int counter(const char *text, const char *group, const char *name, uint64_t *ret)
{
    const char *names = strstr(text, group);
    const char *values = names ? strchr(names, '\n') : NULL;
    if (!values || strncmp(++values, group, strlen(group)) != 0)
        return -EINVAL;

    char *save_name = NULL, *save_value = NULL;
    _cleanup_free_ char *name_line = xstrndup(names, strcspn(names, "\n"));
    _cleanup_free_ char *value_line = xstrndup(values, strcspn(values, "\n"));
    const char *n = strtok_r(name_line, " ", &save_name);
    const char *v = strtok_r(value_line, " ", &save_value);
    while (n && v && strcmp(n, name) != 0) {
        n = strtok_r(NULL, " ", &save_name);
        v = strtok_r(NULL, " ", &save_value);
    }
    long long number;
    if (!n || !v || str_to_i64(v, 0, INT64_MAX, &number) < 0)
        return -EINVAL;
    *ret = (uint64_t) number;
    return 0;
}

int network_parse_failures(const char *snmp, size_t len, struct network_failures *ret)
{
    struct network_failures f = { 0 };
    _cleanup_free_ char *text = xstrndup(snmp, len);

    if (counter(text, "Ip:", "OutNoRoutes", &f.no_route) < 0 ||
        counter(text, "Icmp:", "InDestUnreachs", &f.unreachable) < 0)
        return -EINVAL;
    *ret = f;
    return 0;
}

int network_failures_of(int pid, struct network_failures *ret)
{
    char path[64];
    _cleanup_text_ struct text text = { 0 };

    (void) snprintf(path, sizeof path, "/proc/%d/net/snmp", pid);
    int r = file_read(AT_FDCWD, path, SNMP_LIMIT, &text, NULL);
    return r < 0 ? r : network_parse_failures(text_str(&text), text.len, ret);
}

/* Iface Destination Gateway Flags RefCnt Use Metric Mask …: numbers are hex in network order. */
static bool is_default(char *line, const char **ret_name)
{
    char *save = NULL;
    const char *field[8];
    unsigned n = 0;

    for (char *f = strtok_r(line, " \t", &save); f && n < 8; f = strtok_r(NULL, " \t", &save))
        field[n++] = f;
    if (n < 8 || strcmp(field[1], "00000000") != 0 || strcmp(field[7], "00000000") != 0)
        return false;
    /* RTF_UP without RTF_REJECT */
    unsigned long flags = strtoul(field[3], NULL, 16);
    if (!(flags & 1) || (flags & 0x200) || strlen(field[0]) >= IFNAMSIZ)
        return false;
    *ret_name = field[0];
    return true;
}

/* A name that can stand in a ruleset; the kernel allows more. */
static bool is_plain_name(const char *name)
{
    return name[0] && name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                        "0123456789-_.@")] == '\0';
}

static bool has_way(const struct ways_out *ways, const char *name)
{
    for (unsigned i = 0; i < ways->n; i++)
        if (strcmp(ways->names[i], name) == 0)
            return true;
    return false;
}

void ways_out_parse(const char *bytes, size_t len, struct ways_out *ret)
{
    _cleanup_free_ char *text = xstrndup(bytes, len);
    char *save = NULL;
    const char *name;

    *ret = (struct ways_out){ 0 };
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        if (ret->n < WAYS_MAX && is_default(line, &name) && is_plain_name(name) &&
            !str_starts(name, UPLINK_PREFIX) && !has_way(ret, name))
            memcpy(ret->names[ret->n++], name, strlen(name) + 1);
}

bool ways_out_equal(const struct ways_out *a, const struct ways_out *b)
{
    if (a->n != b->n)
        return false;
    for (unsigned i = 0; i < a->n; i++)
        if (!has_way(b, a->names[i]))
            return false;
    return true;
}
