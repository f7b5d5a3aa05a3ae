/* A batch script: refused with words, or read to options that can be read and a request that can be made. */
#include "cli/batch.h"
#include "base/alloc.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    const struct batch_names names = { .job = "1", .name = "n", .node = "m", .user = "u" };
    const struct batch_script script = { .name = "s", .text = "t" };
    batch_options options = { 0 };
    struct error err = { 0 };
    struct batch b = { 0 };
    int r = batch_script_parse((const char *) data, size, &options, &err);

    if (r >= 0) {
        r = batch_read(&options, &b, &err);
        if (r >= 0 && b.output)
            free(batch_pattern(b.output, &names));
        if (r >= 0)
            batch_request(&b, &script);
        batch_done(&b);
    }
    batch_options_done(&options);
    assert(r >= 0 || err.text[0]);
    return 0;
}
