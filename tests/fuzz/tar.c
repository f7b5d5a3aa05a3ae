#include "base/tar.h"

#include <stdlib.h>

/* What comes out of the same bytes at every cut. */
static size_t parse(const char *bytes, size_t size, size_t step)
{
    struct tar_reader reader = { 0 };
    size_t sum = 0;

    for (size_t at = 0; at < size;) {
        struct tar_piece p;
        ssize_t n = tar_read(&reader, bytes + at, size - at < step ? size - at : step, &p);
        if (n < 0)
            break;
        if (p.found == TAR_ENTRY && !tar_path_is_safe(p.entry.path))
            abort();
        sum += p.found == TAR_ENTRY ? 1000 + p.entry.mode : p.found == TAR_DATA ? p.len : 0;
        at += (size_t) n;
    }
    tar_reader_done(&reader);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (parse((const char *) data, size, size) != parse((const char *) data, size, 7))
        abort();
    return 0;
}
