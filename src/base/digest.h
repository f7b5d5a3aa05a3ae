/* digest.h - a SHA-256 digest as a value (os/hash.h computes it) */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <stdbool.h>
#include <stdint.h>

#define SHA256_HEX_LEN 64

struct sha256 {
    uint8_t bytes[32];
};

/* Lower-case hex; BUF is filled and returned. */
const char *sha256_format(const struct sha256 *sum, char buf[static SHA256_HEX_LEN + 1]);
/* -EINVAL unless HEX is exactly 64 lower-case hex digits. */
int sha256_parse(const char *hex, struct sha256 *ret);
bool sha256_equal(const struct sha256 *a, const struct sha256 *b);

#endif
