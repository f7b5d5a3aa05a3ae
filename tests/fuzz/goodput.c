/* goodput.c - the table of failures */
#include "base/alloc.h"
#include "base/vec.h"
#include "sim/sim.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct goodput_mix mix = { 0 };
    struct goodput_figures f;
    struct error err = { 0 };

    if (size == 0)
        return 0;
    FILE *file = fmemopen((void *) (uintptr_t) data, size, "r");
    if (goodput_read(&(const struct pack_file){ file, "mix" }, &mix, &err) == 0) {
        const struct goodput_options o = { 100, 1, 2, 1e-7, 3, goodput_defaults };
        goodput_run(&o, &mix, &f);
        assert(f.ettr >= 0 && f.ettr <= 1);
    }
    vec_done(&mix);
    (void) fclose(file);
    return 0;
}
