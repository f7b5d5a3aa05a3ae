/* What was parsed reads back the same from its canonical form. */
#include "data/data.h"

#include "base/alloc.h"
#include "base/text.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    _cleanup_free_ char *text = xstrndup((const char *) data, size);
    struct image_reference ref, again;

    if (image_reference_parse(text, &ref, NULL) < 0)
        return 0;
    _cleanup_free_ char *canonical = image_reference_format(&ref);
    assert(image_reference_parse(canonical, &again, NULL) == 0);
    _cleanup_free_ char *same = image_reference_format(&again);
    assert(str_equal(canonical, same));
    image_reference_done(&ref);
    image_reference_done(&again);
    return 0;
}
