#include "cli/term.h"

#include "base/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* No sequence but colours and erasing gets through, no control character, and cuts do not matter. */
static void clean(const uint8_t *data, size_t size, size_t step, struct text *out)
{
    struct log_cleaner cleaner = { .utf8 = true };

    for (size_t at = 0; at < size; at += step)
        log_clean(&cleaner, (const char *) data + at, size - at < step ? size - at : step, out);
    log_clean_end(&cleaner, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_text_ struct text once = { 0 }, cut = { 0 };

    clean(data, size, size + 1, &once);
    clean(data, size, 3, &cut);
    if (!str_equal(text_str(&once), text_str(&cut)) || strlen(text_str(&once)) != once.len)
        abort();
    for (const char *p = strchr(text_str(&once), '\033'); p; p = strchr(p + 1, '\033'))
        if (p[1] != '[' || !strchr("mK", p[2 + strspn(p + 2, "0123456789;:")]))
            abort();
    if (strstr(text_str(&once), "\xc2\x9b"))
        abort();
    return 0;
}
