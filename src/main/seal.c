/* seal.c - secrets at rest */
#include "main/seal.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>

struct seal {
    uint8_t key[crypto_secretbox_KEYBYTES];
};

enum {
    NONCE_LEN = crypto_secretbox_NONCEBYTES,
    EXTRA_LEN = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES,
};

static int make_key(struct seal *seal, const char *path, struct error *err)
{
    randombytes_buf(seal->key, sizeof seal->key);
    return file_replace(AT_FDCWD, path, 0600, seal->key, sizeof seal->key, true, err);
}

int seal_open(const char *state, struct seal **ret, struct error *err)
{
    if (sodium_init() < 0)
        return error_set(err, -EIO, "libsodium cannot start");

    _cleanup_free_ char *path = xasprintf("%s/secret.key", state);
    _cleanup_(seal_freep) struct seal *seal = xnew(struct seal);
    _cleanup_text_ struct text bytes = { 0 };
    int r = file_read(AT_FDCWD, path, sizeof seal->key, &bytes, err);
    if (r == -ENOENT) {
        r = make_key(seal, path, err);
    } else if (r >= 0 && bytes.len != sizeof seal->key) {
        r = error_set(err, -EBADMSG, "%s has %zu bytes, not %zu: restore it from a backup", path,
                      bytes.len, sizeof seal->key);
    } else if (r >= 0) {
        memcpy(seal->key, bytes.data, sizeof seal->key);
        sodium_memzero(bytes.data, bytes.len);
    }
    if (r < 0)
        return r;
    *ret = take_ptr(seal);
    return 0;
}

void seal_free(struct seal *seal)
{
    if (!seal)
        return;
    sodium_memzero(seal->key, sizeof seal->key);
    free(seal);
}

void seal_close(const struct seal *seal, const char *value, uint8_t **ret, size_t *ret_len)
{
    size_t n = strlen(value);
    uint8_t *out = xcalloc(1, n + EXTRA_LEN);

    randombytes_buf(out, NONCE_LEN);
    crypto_secretbox_easy(out + NONCE_LEN, (const uint8_t *) value, n, out, seal->key);
    *ret = out;
    *ret_len = n + EXTRA_LEN;
}

int seal_reveal(const struct seal *seal, const uint8_t *sealed, size_t len, char **ret)
{
    if (len < EXTRA_LEN)
        return -EBADMSG;
    _cleanup_free_ char *value = xcalloc(1, len - EXTRA_LEN + 1);
    if (crypto_secretbox_open_easy((uint8_t *) value, sealed + NONCE_LEN, len - NONCE_LEN, sealed,
                                   seal->key) != 0)
        return -EBADMSG;
    *ret = take_ptr(value);
    return 0;
}

void seal_token(const struct seal *seal, const struct id *attempt, unsigned epoch,
                char buf[static TASK_TOKEN_LEN + 1])
{
    _Static_assert(TASK_TOKEN_LEN == 2 * crypto_auth_BYTES, "the token is the hash in hex");
    uint8_t message[sizeof attempt->bytes + sizeof epoch], sum[crypto_auth_BYTES];

    memcpy(message, attempt->bytes, sizeof attempt->bytes);
    memcpy(message + sizeof attempt->bytes, &epoch, sizeof epoch);
    crypto_auth(sum, message, sizeof message, seal->key);
    hex_encode(sum, sizeof sum, buf);
}
