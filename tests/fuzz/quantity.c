/* Sizes and durations: never negative, and the text for people fits its buffer. */
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/text.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    _cleanup_free_ char *text = xstrndup((const char *) data, size);
    char buf[32];
    long long n;

    if (str_to_bytes(text, &n) == 0)
        assert(n >= 0 && bytes_to_str(n, buf)[0]);
    if (str_to_seconds(text, &n) == 0)
        assert(n >= 0 && seconds_to_str(n, buf)[0]);
    return 0;
}
