#include "http/http.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_text_ struct text bytes = { 0 }, escaped = { 0 }, back = { 0 };
    struct url url;

    text_add_bytes(&bytes, data, size);
    if (url_parse(text_str(&bytes), &url, NULL) == 0 &&
        (!url.host || (!url.port && !url.unix_path)))
        abort();
    url_done(&url);
    /* What was escaped is the same again when decoded, as a segment and in a query. */
    url_encode(&escaped, text_str(&bytes), size % 2);
    if (url_decode(text_str(&escaped), escaped.len, size % 3 == 0, &back) < 0 ||
        strcmp(text_str(&back), text_str(&bytes)) != 0)
        abort();
    return 0;
}
