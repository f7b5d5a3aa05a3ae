#include "http/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *) data, *reason;
    struct http_head head;
    struct http_chunks chunks = { 0 };
    struct http_slice piece;
    bool done = false;

    ssize_t n = http_parse_request(bytes, size, &head, &reason);
    if (n > (ssize_t) size)
        abort();
    (void) http_parse_response(bytes, size, &head, &reason);
    for (size_t at = 0; at < size && !done; at += (size_t) n) {
        n = http_chunks_next(&chunks, bytes + at, size - at, &piece, &done);
        if (n <= 0)
            break;
    }
    _cleanup_text_ struct text out = { 0 };
    (void) url_decode(bytes, size, true, &out);
    return 0;
}
