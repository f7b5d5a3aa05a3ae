/* pack.c - the tables of the packing experiment: machines up to a line of '=', requests below */
#include "base/alloc.h"
#include "placement/placement.h"
#include "sim/sim.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    const unsigned char *cut = memmem(data, size, "=\n", 2);

    if (!cut || cut == data || cut + 2 == data + size)
        return 0;
    FILE *nodes = fmemopen((void *) (uintptr_t) data, (size_t) (cut - data), "r");
    FILE *asks = fmemopen((void *) (uintptr_t) (cut + 2), (size_t) (data + size - cut - 2), "r");
    const struct pack_file files[] = { { nodes, "nodes" }, { asks, "asks" }, { NULL, "-" } };
    struct pack_counts counts;
    struct error err = { 0 };

    if (pack_run(&files[0], &files[1], &files[2], &score_yield, &counts, &err) == 0)
        assert(counts.gpu_milli_taken <= counts.gpu_milli &&
               counts.n_placed + counts.n_refused == counts.n_arrived);
    (void) fclose(nodes);
    (void) fclose(asks);
    return 0;
}
