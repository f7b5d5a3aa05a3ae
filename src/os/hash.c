/* hash.c - SHA-256 through EVP; the digest is fetched once (fetching costs more than a short hash) */
#include "os/hash.h"

#include "base/alloc.h"

#include <openssl/evp.h>
#include <stdlib.h>

struct hasher {
    EVP_MD_CTX *ctx;
};

static const EVP_MD *sha256_md(void)
{
    static EVP_MD *md;
    EVP_MD *seen = __atomic_load_n(&md, __ATOMIC_ACQUIRE);

    if (seen)
        return seen;
    EVP_MD *fetched = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (!fetched)
        abort();
    if (__atomic_compare_exchange_n(&md, &seen, fetched, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return fetched;
    EVP_MD_free(fetched);
    return seen;
}

static void begin(struct hasher *h)
{
    if (EVP_DigestInit_ex2(h->ctx, sha256_md(), NULL) != 1)
        abort();
}

struct hasher *hasher_new(void)
{
    struct hasher *h = xnew(struct hasher);
    h->ctx = EVP_MD_CTX_new();
    if (!h->ctx)
        abort();
    begin(h);
    return h;
}

void hasher_free(struct hasher *h)
{
    if (!h)
        return;
    EVP_MD_CTX_free(h->ctx);
    free(h);
}

void hasher_add(struct hasher *h, const void *bytes, size_t n)
{
    if (EVP_DigestUpdate(h->ctx, bytes, n) != 1)
        abort();
}

struct sha256 hasher_end(struct hasher *h)
{
    struct sha256 sum;
    if (EVP_DigestFinal_ex(h->ctx, sum.bytes, NULL) != 1)
        abort();
    begin(h);
    return sum;
}

struct sha256 sha256_of(const void *bytes, size_t n)
{
    _cleanup_(hasher_freep) struct hasher *h = hasher_new();
    hasher_add(h, bytes, n);
    return hasher_end(h);
}

void sha1_of(const void *bytes, size_t n, unsigned char ret[static SHA1_LEN])
{
    if (EVP_Q_digest(NULL, "SHA1", NULL, bytes, n, ret, NULL) != 1)
        abort();
}
