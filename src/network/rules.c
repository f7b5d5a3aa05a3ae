/* rules.c - the two rulesets: of a router and of the machine's side
 *
 * Each is one nft transaction that makes the table anew, so that loading it again brings new
 * settings without a moment in which nothing is filtered.
 */
#include "network/internal.h"

/* Never beyond the router: "this network", loopback, link-local with the clouds' metadata
 * services, multicast, reserved and broadcast (RFC 6890). */
static const char always_blocked[] = "0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 224.0.0.0/3";

static void add_cidr(struct text *out, const struct cidr *cidr)
{
    char buf[16];

    text_addf(out, "%s/%u", address_format(cidr->base, buf), cidr->prefix);
}

static void add_names(struct text *out, const char *set, const struct ways_out *names)
{
    text_addf(out, "    set %s { type ifname;", set);
    for (unsigned i = 0; i < names->n; i++)
        text_addf(out, "%s\"%s\"", i ? ", " : " elements = { ", names->names[i]);
    text_add(out, names->n ? " }; }\n" : " }\n");
}

static void add_sets(const struct rules_router *r, struct text *out)
{
    char buf[16];

    text_addf(out,
              "    set blocked { type ipv4_addr; flags interval; auto-merge; elements = { %s, ",
              always_blocked);
    add_cidr(out, &r->pool);
    for (size_t i = 0; i < r->n_blocked; i++) {
        text_add(out, ", ");
        add_cidr(out, &r->blocked[i]);
    }
    text_add(out, " }; }\n    set resolvers { type ipv4_addr;");
    for (size_t i = 0; i < r->n_resolvers; i++)
        text_addf(out, "%s%s", i ? ", " : " elements = { ", address_format(r->resolvers[i], buf));
    text_add(out, r->n_resolvers ? " }; }\n" : " }\n");
}

/* A frame enters the bridge only with the MAC and IP of the leg through which it came. All legs
 * that can be are listed beforehand, so an attempt's start does not run nft. */
static void add_legs(const struct rules_router *r, struct text *out)
{
    char buf[16];

    text_add(out, "table bridge berth {}\ndelete table bridge berth\ntable bridge berth {\n"
                  "    set legs { typeof iifname . ether saddr . ip saddr; elements = {\n");
    for (unsigned slot = SLOT_MIN; slot <= SLOT_MAX; slot++)
        text_addf(out, "\"v%u\" . 02:be:00:00:%02x:%02x . %s,\n", slot, slot >> 8, slot & 255,
                  address_format(pool_slot(&r->pool, slot), buf));
    text_add(out, "    }; }\n"
                  "    chain prerouting {\n"
                  "        type filter hook prerouting priority -300; policy drop;\n"
                  "        iifname . ether saddr . ip saddr @legs accept\n"
                  "        iifname . ether saddr . arp saddr ip @legs accept\n"
                  "    }\n"
                  "}\n");
}

void rules_router(const struct rules_router *r, struct text *out)
{
    char buf[16];

    text_add(out, "table inet berth {}\ndelete table inet berth\ntable inet berth {\n");
    add_sets(r, out);
    text_addf(out,
              "    chain input {\n"
              "        type filter hook input priority filter; policy drop;\n"
              "        iifname \"br0\" reject with icmpx admin-prohibited\n"
              "    }\n"
              "    chain forward {\n"
              "        type filter hook forward priority filter; policy drop;\n"
              "        ct state established,related accept\n"
              "        iifname != \"br0\" drop\n"
              "        ip saddr != %s/%u drop\n"
              "        ip daddr @resolvers meta l4proto { tcp, udp } th dport 53 accept\n"
              "        ip daddr @blocked reject with icmpx admin-prohibited\n"
              "        oifname \"up*\" ct state new accept\n"
              "    }\n"
              "    chain postrouting {\n"
              "        type nat hook postrouting priority srcnat; policy accept;\n"
              "        oifname \"up*\" masquerade\n"
              "    }\n"
              "}\n",
              address_format(r->pool.base, buf), SUBNET_PREFIX);
    add_legs(r, out);
}

void rules_machine(const struct cidr *pool, const struct ways_out *ways,
                   const struct ways_out *opened, struct text *out)
{
    /* Another server's pool may be there already, and "opened" is what machine_restore() needs:
     * so these sets are added to and only the chains are made anew. */
    text_add(out, "table inet berth {\n"
                  "    set pools { type ipv4_addr; flags interval; auto-merge; elements = { ");
    add_cidr(out, pool);
    text_add(out, " }; }\n");
    add_names(out, "opened", opened);
    text_add(out, "    set ways_out { type ifname; }\n"
                  "    chain prerouting { type filter hook prerouting priority raw; }\n"
                  "    chain input { type filter hook input priority -10; }\n"
                  "    chain forward { type filter hook forward priority -10; }\n"
                  "    chain postrouting { type nat hook postrouting priority srcnat; }\n"
                  "}\n"
                  "flush table inet berth\n"
                  "flush set inet berth ways_out\n"
                  "table inet berth {\n");
    add_names(out, "ways_out", ways);
    /* Before conntrack and DNAT: what is the machine's own address now cannot become another's. */
    text_add(out, "    chain prerouting {\n"
                  "        iifname != \"" UPLINK_PREFIX "*\" accept\n"
                  "        ip saddr != @pools drop\n"
                  "        meta nfproto != ipv4 drop\n"
                  "        fib daddr type { local, broadcast, anycast, multicast } "
                  "reject with icmpx admin-prohibited\n"
                  "    }\n"
                  "    chain input {\n"
                  "        iifname \"" UPLINK_PREFIX "*\" drop\n"
                  "    }\n"
                  "    chain forward {\n"
                  "        iifname \"" UPLINK_PREFIX "*\" oifname @ways_out accept\n"
                  "        iifname \"" UPLINK_PREFIX "*\" reject with icmpx admin-prohibited\n"
                  "        oifname \"" UPLINK_PREFIX "*\" ct state established,related accept\n"
                  "        oifname \"" UPLINK_PREFIX "*\" drop\n"
                  "        iifname @opened drop\n"
                  "    }\n"
                  "    chain postrouting {\n"
                  "        ip saddr @pools oifname @ways_out masquerade\n"
                  "    }\n"
                  "}\n");
}
