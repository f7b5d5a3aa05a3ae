/* Whatever parses is canonical: formatting it gives the same bytes, and its path leads nowhere else. */
#include "storage/list.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct storage_strings strings;
    _cleanup_text_ struct text text = { 0 };
    struct storage_entry e;

    if (len == 0 || storage_entry_parse((const char *) bytes, len, &strings, &e, NULL) < 0)
        return 0;
    storage_entry_format(&text, &e);
    if (text.len != len + 1 || memcmp(text.data, bytes, len) != 0 ||
        storage_path_check(e.path, NULL) < 0)
        __builtin_trap();
    return 0;
}
