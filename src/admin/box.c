/* box.c - what is sealed for one machine */
#include "admin/box.h"

#include "base/alloc.h"
#include "base/base64.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SEALED_MAX = 6144 };

static int begin(struct error *err)
{
    return sodium_init() < 0 ? error_set(err, -EIO, "libsodium cannot start") : 0;
}

int box_make(const char *path, char public[static BOX_KEY_TEXT + 1], struct error *err)
{
    uint8_t pk[crypto_box_PUBLICKEYBYTES], sk[crypto_box_SECRETKEYBYTES];
    _cleanup_text_ struct text text = { 0 };

    int r = begin(err);
    if (r < 0)
        return r;
    (void) crypto_box_keypair(pk, sk);
    r = file_replace(AT_FDCWD, path, 0600, sk, sizeof sk, true, err);
    sodium_memzero(sk, sizeof sk);
    text_add_base64(&text, pk, sizeof pk);
    (void) snprintf(public, BOX_KEY_TEXT + 1, "%s", text_str(&text));
    return r;
}

/* The directory is the service's; what it puts there is not root's. */
static int open_key(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return -errno;
    bool is_ours = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
                   (st.st_mode & 077) == 0 && st.st_nlink == 1 &&
                   st.st_size == crypto_box_SECRETKEYBYTES;
    if (is_ours)
        return fd;
    (void) close(fd);
    return -EPERM;
}

bool box_is_there(const char *path)
{
    _cleanup_close_ int fd = open_key(path);

    return fd >= 0;
}

int box_seal(const char *public, const void *bytes, size_t n, char **ret, struct error *err)
{
    uint8_t pk[crypto_box_PUBLICKEYBYTES], sealed[SEALED_MAX];
    _cleanup_text_ struct text text = { 0 };
    size_t len = 0;

    int r = begin(err);
    if (r < 0)
        return r;
    if (base64_decode(public, pk, sizeof pk, &len) < 0 || len != sizeof pk)
        return error_set(err, -EINVAL, "'%s' is no public key", public);
    if (n + crypto_box_SEALBYTES > sizeof sealed)
        return error_set(err, -E2BIG, "%zu bytes are too many to seal", n);
    if (crypto_box_seal(sealed, bytes, n, pk) != 0)
        return error_set(err, -EINVAL, "'%s' is no public key that can be sealed for", public);
    text_add_base64(&text, sealed, n + crypto_box_SEALBYTES);
    *ret = xstrdup(text_str(&text));
    return 0;
}

int box_open(const char *path, const char *sealed, struct text *ret, struct error *err)
{
    uint8_t pk[crypto_box_PUBLICKEYBYTES], sk[crypto_box_SECRETKEYBYTES], box[SEALED_MAX],
        open[SEALED_MAX];
    size_t n = 0;

    int r = begin(err);
    if (r < 0)
        return r;
    _cleanup_close_ int fd = open_key(path);
    if (fd < 0)
        return error_set(err, fd, "%s: %s", path,
                         fd == -EPERM ? "is not root's alone" : strerror(-fd));
    r = read_full(fd, sk, sizeof sk);
    if (r < 0)
        return error_set(err, r, "%s: %s", path, strerror(-r));
    (void) crypto_scalarmult_base(pk, sk);
    if (base64_decode(sealed, box, sizeof box, &n) < 0 || n < crypto_box_SEALBYTES ||
        crypto_box_seal_open(open, box, n, pk, sk) != 0)
        r = error_set(err, -EBADMSG, "it was sealed for another machine, or changed on its way");
    else
        text_add_bytes(ret, open, n - crypto_box_SEALBYTES);
    sodium_memzero(sk, sizeof sk);
    sodium_memzero(open, sizeof open);
    return r;
}
