/* accept-encoding.c - which coding of a file a browser gets */
#include "base/alloc.h"
#include "base/cleanup.h"
#include "console/console.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const struct console_file file = {
        .bodies = { { .coding = "br" }, { .coding = "gzip" }, { .coding = NULL } }
    };
    _cleanup_free_ char *text = xstrndup((const char *) bytes, len);

    (void) console_choose(&file, text);
    (void) console_find(text);
    return 0;
}
