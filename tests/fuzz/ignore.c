/* An ignore file and, after its first NUL, a path. */
#include "data/data.h"

#include "base/alloc.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    _cleanup_(ignore_freep) struct ignore *ig = ignore_new();
    const char *text = (const char *) bytes;
    size_t patterns = strnlen(text, len);
    size_t rest = patterns < len ? len - patterns - 1 : 0;

    (void) ignore_add(ig, "", text, patterns);
    _cleanup_free_ char *path = xstrndup(rest ? text + patterns + 1 : "a/b", rest ? rest : 3);
    (void) ignore_match(ig, path, len & 1);
    return 0;
}
