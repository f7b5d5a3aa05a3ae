/* Names and paths of a cache are whole strings within it. */
#include "gpu/gpu.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

struct bounds {
    const char *begin, *end;
};

static void check(void *userdata, const char *name, const char *path)
{
    const struct bounds *in = userdata;

    assert(name >= in->begin && name + strlen(name) < in->end);
    assert(path >= in->begin && path + strlen(path) < in->end);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct bounds in = { (const char *) data, (const char *) data + size };

    (void) ld_cache_parse(in.begin, size, check, &in);
    return 0;
}
