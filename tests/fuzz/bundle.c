/* A head that parses is the only spelling of what it says. */
#include "data/data.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct bundle_head head;
    _cleanup_text_ struct text t = { 0 };
    ssize_t n = bundle_head_parse((const char *) bytes, len, &head);

    if (n <= 0)
        return 0;
    bundle_head_format(&t, &head);
    if (t.len != (size_t) n || memcmp(t.data, bytes, t.len) != 0)
        __builtin_trap();
    return 0;
}
