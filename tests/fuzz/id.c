/* Ids and digests have one text each, and no name is an id. */
#include "base/id.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/digest.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    _cleanup_free_ char *text = xstrndup((const char *) data, size);
    char buf[SHA256_HEX_LEN + 1];
    struct sha256 sum;
    struct id id;

    if (id_parse(text, &id) == 0)
        assert(strcmp(id_format(&id, buf), text) == 0 && !name_is_valid(text));
    if (sha256_parse(text, &sum) == 0)
        assert(strcmp(sha256_format(&sum, buf), text) == 0);
    return 0;
}
