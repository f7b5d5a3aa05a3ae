/* address.c - which address belongs to which slot and pair */
#include "network/internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

int address_parse(const char *text, uint32_t *ret)
{
    struct in_addr in;

    if (inet_pton(AF_INET, text, &in) != 1)
        return -EINVAL;
    *ret = ntohl(in.s_addr);
    return 0;
}

const char *address_format(uint32_t address, char buf[static 16])
{
    (void) snprintf(buf, 16, "%u.%u.%u.%u", address >> 24, address >> 16 & 255, address >> 8 & 255,
                    address & 255);
    return buf;
}

int cidr_parse(const char *text, struct cidr *ret)
{
    char address[16];
    const char *slash = strchr(text, '/');
    size_t len = slash ? (size_t) (slash - text) : strlen(text);
    long long prefix = 32;
    uint32_t base;

    if (len >= sizeof address)
        return -EINVAL;
    memcpy(address, text, len);
    address[len] = '\0';
    if (address_parse(address, &base) < 0 || (slash && str_to_i64(slash + 1, 0, 32, &prefix) < 0))
        return -EINVAL;
    uint32_t host_bits = prefix ? (uint32_t) (UINT64_C(0xffffffff) >> prefix) : UINT32_MAX;
    if (base & host_bits)
        return -EINVAL;
    *ret = (struct cidr){ .base = base, .prefix = (unsigned) prefix };
    return 0;
}

uint32_t pool_slot(const struct cidr *pool, unsigned slot) { return pool->base + slot; }

uint32_t pool_uplink(const struct cidr *pool, unsigned pair)
{
    return pool->base + (1U << (32 - SUBNET_PREFIX)) + 2 * pair;
}

unsigned pool_pairs(const struct cidr *pool)
{
    return ((1U << (32 - pool->prefix)) - (1U << (32 - SUBNET_PREFIX))) / 2;
}

void slot_mac(unsigned slot, uint8_t ret[static 6])
{
    /* 02: locally administered, so no vendor's range is touched. */
    const uint8_t mac[6] = { 0x02, 0xbe, 0x00, 0x00, (uint8_t) (slot >> 8), (uint8_t) slot };
    memcpy(ret, mac, sizeof mac);
}
