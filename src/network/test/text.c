/* What network/ computes and parses without touching a network. */
#include "network/internal.h"
#include "tests/tap.h"

TEST(a_range_has_no_host_bits)
{
    struct cidr c;

    ok(cidr_parse("10.113.0.0/16", &c) == 0 && c.base == 0x0a710000 && c.prefix == 16);
    ok(cidr_parse("192.0.2.7", &c) == 0 && c.prefix == 32);
    ok(cidr_parse("0.0.0.0/0", &c) == 0 && c.prefix == 0);
    ok(cidr_parse("10.113.0.1/16", &c) < 0);
    ok(cidr_parse("10.113.0.0/33", &c) < 0);
    ok(cidr_parse("10.113.0.0/", &c) < 0);
    ok(cidr_parse("10.113.0/16", &c) < 0);
    ok(cidr_parse("fd00::/8", &c) < 0);
    ok(cidr_parse("", &c) < 0);
    ok(cidr_parse("100000000000000000000.0.0.0/8", &c) < 0);
}

TEST(slots_and_uplinks_of_the_smallest_pool_do_not_overlap)
{
    const struct cidr pool = { .base = 0x0a710000, .prefix = 20 };
    char buf[16];

    is_str(address_format(pool_slot(&pool, 1), buf), "10.113.0.1");
    is_str(address_format(pool_slot(&pool, SLOT_MAX), buf), "10.113.3.254");
    is_str(address_format(pool_uplink(&pool, 0), buf), "10.113.4.0");
    ok(pool_pairs(&pool) == (4096 - 1024) / 2);
    is_str(address_format(pool_uplink(&pool, pool_pairs(&pool) - 1) + 1, buf), "10.113.15.255");
}

TEST(settings_name_what_is_wrong)
{
    struct error err = { 0 };
    struct network_settings s = { .pool = "10.113.0.0/21" };

    ok(network_settings_check(&s, &err) < 0 && strstr(err.text, "10.113.0.0/21"));
    s = (struct network_settings){ .pool = "10.113.0.0/16",
                                   .blocked = (const char *[]){ "10.0.0.1/8", NULL } };
    ok(network_settings_check(&s, &err) < 0 && strstr(err.text, "10.0.0.1/8"));
    s = (struct network_settings){ .pool = "10.113.0.0/16",
                                   .dns = (const char *[]){ "127.0.0.53", NULL } };
    ok(network_settings_check(&s, &err) < 0 && strstr(err.text, "127.0.0.53"));
    s.dns = (const char *[]){ "192.0.2.53", NULL };
    ok(network_settings_check(&s, &err) == 0);
}

TEST(resolvers_on_loopback_are_of_no_use_to_a_container)
{
    static const char conf[] = "# made by hand\n"
                               "nameserver 127.0.0.53\n"
                               "nameserver\t192.0.2.53 \r\n"
                               "nameserver fd00::1\n"
                               "nameserver 192.0.2.54\n"
                               "search old.example\n"
                               "search example.com $(reboot) b.example\n"
                               "options edns0\n"
                               "nameserver 192.0.2.55\n"
                               "nameserver 192.0.2.56";
    struct resolv r = { 0 };

    resolv_parse(conf, sizeof conf - 1, &r);
    ok(r.n_servers == 3);
    ok(r.servers[0] == 0xc0000235 && r.servers[2] == 0xc0000237);
    is_str(r.search, "example.com b.example");
}

TEST(default_routes_name_the_ways_out)
{
    static const char routes[] =
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "eth0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
        "wlan0\t00000000\t010200C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n"
        "eth1\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
        "bth0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n"
        "eth2\t00000000\t00000000\t0201\t0\t0\t0\t00000000\t0\t0\t0\n"
        "e\"x;\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n";
    struct ways_out w;

    ways_out_parse(routes, sizeof routes - 1, &w);
    ok(w.n == 2);
    is_str(w.names[0], "eth0");
    is_str(w.names[1], "wlan0");
}

TEST(failures_are_found_by_the_name_of_their_column)
{
    static const char snmp[] = "Ip: Forwarding OutNoRoutes DefaultTTL\n"
                               "Ip: 2 17 64\n"
                               "Icmp: InMsgs InErrors InDestUnreachs\n"
                               "Icmp: 5 0 3\n";
    struct network_failures f;

    ok(network_parse_failures(snmp, sizeof snmp - 1, &f) == 0);
    ok(f.no_route == 17 && f.unreachable == 3);
    ok(network_parse_failures(snmp, 40, &f) < 0);
    ok(network_parse_failures("", 0, &f) < 0);
}

#define DEV(lo_sent, eth0_sent)                                                                    \
    "Inter-|   Receive   |  Transmit\n face |bytes packets\n"                                      \
    "    lo: 0 0 0 0 0 0 0 0 " lo_sent " 0 0 0 0 0 0\n"                                            \
    "  eth0: 90 2 0 0 0 0 0 0 " eth0_sent " 0 0 0 0 0 0\n"
#define SOCKETS(used, waiting)                                                                     \
    "sockets: used " used "\nTCP: inuse 0 orphan 9 tw " waiting " alloc 9\n"
#define SNMP(no_route) "Ip: OutNoRoutes\nIp: " no_route "\nIcmp: InDestUnreachs\nIcmp: 0\n"

TEST(a_namespace_is_unused_when_nothing_was_sent_failed_or_is_open)
{
    ok(network_is_unused(DEV("0 0", "0 0"), SOCKETS("0", "0"), SNMP("0")));
    ok(!network_is_unused(DEV("60 1", "0 0"), SOCKETS("0", "0"), SNMP("0")));
    ok(!network_is_unused(DEV("0 0", "42 1"), SOCKETS("0", "0"), SNMP("0")));
    ok(!network_is_unused(DEV("0 0", "0 0"), SOCKETS("1", "0"), SNMP("0")));
    ok(!network_is_unused(DEV("0 0", "0 0"), SOCKETS("0", "1"), SNMP("0")));
    ok(!network_is_unused(DEV("0 0", "0 0"), SOCKETS("0", "0"), SNMP("1")));
    ok(!network_is_unused("", SOCKETS("0", "0"), SNMP("0")));
    ok(!network_is_unused(DEV("0 0", "0 0"), "", SNMP("0")));
    ok(!network_is_unused(DEV("0 0", "0 0"), SOCKETS("0", "0"), ""));
    ok(!network_is_unused("eth0: 1 2 3", SOCKETS("0", "0"), SNMP("0")));
}

TEST(rules_name_every_range_once_and_every_leg)
{
    _cleanup_text_ struct text out = { 0 };
    const struct cidr blocked = { .base = 0xcb007180, .prefix = 25 };
    const uint32_t resolver = 0xc0000235;
    const struct rules_router r = { .pool = { .base = 0x0a710000, .prefix = 16 },
                                    .blocked = &blocked,
                                    .n_blocked = 1,
                                    .resolvers = &resolver,
                                    .n_resolvers = 1 };

    rules_router(&r, &out);
    ok(strstr(out.data, "169.254.0.0/16") != NULL);
    ok(strstr(out.data, "203.0.113.128/25") != NULL);
    ok(strstr(out.data, "192.0.2.53") != NULL);
    ok(strstr(out.data, "\"v2\" . 02:be:00:00:00:02 . 10.113.0.2") != NULL);
    ok(strstr(out.data, "\"v1022\" . 02:be:00:00:03:fe . 10.113.3.254") != NULL);
}

TAP_MAIN
