/* resolv.conf, /proc/net/route, /proc/PID/net/snmp and ranges: names and numbers come out whole. */
#include "base/alloc.h"
#include "network/internal.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    _cleanup_free_ char *text = xstrndup((const char *) data, size);
    struct resolv resolv = { 0 };
    struct network_failures failures;
    struct ways_out ways;
    struct cidr range;

    resolv_parse((const char *) data, size, &resolv);
    assert(resolv.n_servers <= RESOLV_MAX && strlen(resolv.search) < sizeof resolv.search);
    for (unsigned i = 0; i < resolv.n_servers; i++)
        assert(resolv.servers[i] >> 24 != 127);
    ways_out_parse((const char *) data, size, &ways);
    for (unsigned i = 0; i < ways.n; i++)
        assert(ways.names[i][0] && strlen(ways.names[i]) < IFNAMSIZ && !strchr(ways.names[i], '"'));
    if (cidr_parse(text, &range) == 0)
        assert(range.prefix <= 32);
    (void) network_parse_failures((const char *) data, size, &failures);
    (void) network_is_unused(text, text, text);
    return 0;
}
