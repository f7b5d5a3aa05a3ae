#include "base/digest.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

const char *sha256_format(const struct sha256 *sum, char buf[static SHA256_HEX_LEN + 1])
{
    hex_encode(sum->bytes, sizeof sum->bytes, buf);
    return buf;
}

int sha256_parse(const char *hex, struct sha256 *ret)
{
    struct sha256 sum;

    if (strlen(hex) != SHA256_HEX_LEN || hex_decode(hex, sum.bytes, sizeof sum.bytes) < 0)
        return -EINVAL;
    *ret = sum;
    return 0;
}

bool sha256_equal(const struct sha256 *a, const struct sha256 *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}
