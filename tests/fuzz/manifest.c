/* Whatever parses is canonical: formatting it gives the same bytes. */
#include "data/data.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    _cleanup_(manifest_freep) struct manifest *m = NULL;
    size_t n;

    if (manifest_parse((const char *) bytes, len, &m, NULL) < 0)
        return 0;
    _cleanup_free_ char *text = manifest_format(m, &n);
    if (n != len || memcmp(text, bytes, n) != 0)
        __builtin_trap();
    return 0;
}
