/* Indexes of an array: ascending, within bounds, and the same when they are written out one by one. */
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "workload/workload.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    _cleanup_free_ char *text = xstrndup((const char *) data, size);
    struct array_indexes indexes = { 0 };
    struct error err = { 0 };
    unsigned index = 0;

    if (array_indexes_parse(text, &indexes, &err) == 0) {
        assert(indexes.n > 0 && indexes.n <= 10000 && indexes.step > 0);
        for (size_t i = 1; i < indexes.n; i++)
            assert(indexes.list[i] > indexes.list[i - 1]);
    }
    array_indexes_done(&indexes);
    free(array_text_split(text, &index));
    return 0;
}
