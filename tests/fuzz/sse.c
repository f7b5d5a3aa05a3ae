#include "http/http.h"

#include <string.h>

static int count(void *userdata, const char *id, const char *event, const char *data, size_t len)
{
    size_t *n = userdata;
    *n += len + 1;
    if (strlen(id) + strlen(event) > 1 << 20 || data[len])
        abort();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *) data;
    struct sse_reader whole = { 0 }, split = { 0 };
    size_t n = 0, m = 0;

    /* The same events at every split. */
    (void) sse_reader_feed(&whole, bytes, size, count, &n);
    for (size_t i = 0; i < size; i++)
        (void) sse_reader_feed(&split, bytes + i, 1, count, &m);
    if (n != m)
        abort();
    sse_reader_done(&whole);
    sse_reader_done(&split);
    return 0;
}
