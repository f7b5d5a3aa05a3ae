/* Bookings of a replay, one a line, and the weights of their groups in the first. */
#include "base/alloc.h"
#include "base/text.h"
#include "sim/queue-bookings.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    char *text = xstrndup((const char *) data, size), *save = NULL;
    const char *weights = strtok_r(text, "\n", &save), *texts[8];
    struct queue_bookings bookings = { 0 };
    struct queue_groups groups = { 0 };
    struct error err = { 0 }, wrong = { 0 };
    size_t n = 0;

    while (n < 8 && (texts[n] = strtok_r(NULL, "\n", &save)))
        n++;
    if (queue_bookings_read(&bookings, texts, n, &groups, &err) < 0)
        assert(str_starts(err.text, "--booking: "));
    else
        vec_foreach(&bookings.list, one)
            assert(one->until_us > one->from_us && (one->gpus == 0) != (one->nodes == 0));
    if (weights && queue_groups_weigh(&groups, weights, &wrong) < 0)
        assert(str_starts(wrong.text, "--weights: "));
    queue_bookings_done(&bookings);
    queue_groups_done(&groups);
    free(text);
    return 0;
}
