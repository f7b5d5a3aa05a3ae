/* Lines that may be a record's: what they are told of is never more than a planner takes. */
#include "placement/placement.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    _cleanup_(replay_freep) struct replay *replay = replay_new();
    const char *at = (const char *) data, *end;

    while ((end = memchr(at, '\n', size))) {
        size_t len = (size_t) (end - at);
        if (replay_line(replay, at, len, NULL))
            break;
        at += len + 1;
        size -= len + 1;
    }
    return 0;
}
