/* hash.h - SHA-256 (FIPS 180-4) through OpenSSL's EVP with a prefetched digest, and SHA-1 */
#ifndef OS_HASH_H
#define OS_HASH_H

#include "base/cleanup.h"
#include "base/digest.h"

#include <stddef.h>

struct hasher;

struct hasher *hasher_new(void);
void hasher_free(struct hasher *h);
DEFINE_CLEANUP(struct hasher *, hasher_free);
void hasher_add(struct hasher *h, const void *bytes, size_t n);
/* The digest of what was added; the hasher starts anew. */
struct sha256 hasher_end(struct hasher *h);

struct sha256 sha256_of(const void *bytes, size_t n);

/* Only for protocols that are made with it (RFC 6455, 4.2.2); it protects nothing. */
#define SHA1_LEN 20
void sha1_of(const void *bytes, size_t n, unsigned char ret[static SHA1_LEN]);
#endif
