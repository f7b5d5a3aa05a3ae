#include "main/seal.h"
#include "tests/tap.h"

#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

TEST(what_is_sealed_opens_again_after_a_restart)
{
    char dir[] = "/tmp/berth-seal-XXXXXX";
    ok(mkdtemp(dir) != NULL);
    struct error err = { 0 };
    _cleanup_(seal_freep) struct seal *seal = NULL;
    ok(seal_open(dir, &seal, &err) == 0);

    _cleanup_free_ uint8_t *sealed = NULL;
    size_t len = 0;
    seal_close(seal, "s3cret", &sealed, &len);
    ok(len > 6 && !memmem(sealed, len, "s3cret", 6));

    _cleanup_(seal_freep) struct seal *again = NULL;
    ok(seal_open(dir, &again, &err) == 0);
    _cleanup_free_ char *value = NULL;
    ok(seal_reveal(again, sealed, len, &value) == 0);
    is_str(value, "s3cret");

    sealed[len - 1] ^= 1;
    _cleanup_free_ char *other = NULL;
    ok(seal_reveal(again, sealed, len, &other) == -EBADMSG);
    ok(!other);

    char path[64];
    snprintf(path, sizeof path, "%s/secret.key", dir);
    struct stat st;
    ok(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
    unlink(path);
    rmdir(dir);
}

TAP_MAIN
