/* What is known of a scheduler, printed, says the same; and whatever it says can be looked ahead from. */
#include "placement/placement.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    _cleanup_json_ json_t *json = NULL, *out = NULL, *again = NULL;
    _cleanup_(snapshot_freep) struct snapshot *s = NULL, *copy = NULL;

    if (json_parse((const char *) data, size, &json, NULL) < 0 ||
        snapshot_from_json(json, &s, NULL) < 0)
        return 0;
    out = snapshot_to_json(s);
    assert(snapshot_from_json(out, &copy, NULL) == 0);
    again = snapshot_to_json(copy);
    assert(json_equal(out, again));
    struct forecast forecast;
    forecast_run(s, &(const struct forecast_options){ 1000000, 20 }, &forecast);
    forecast_done(&forecast);
    return 0;
}
