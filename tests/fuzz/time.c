/* A time that parses, formats and parses again as the same point. */
#include "base/time.h"
#include "base/alloc.h"
#include "base/cleanup.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    _cleanup_free_ char *text = xstrndup((const char *) data, size);
    char buf[TIME_TEXT_LEN + 1];
    int64_t us, again;

    if (time_parse(text, &us) < 0 || us >= INT64_C(253402300800000000))
        return 0;
    assert(time_parse(time_format(us, buf), &again) == 0 && again == us);
    return 0;
}
