/* hardware.c - machines of a simulation from a hardware file */
#include "sim/hardware.h"

#include "base/alloc.h"
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

bool hardware_begins(FILE *file)
{
    int c;

    do
        c = getc(file);
    while (c != EOF && isspace(c));
    if (c != EOF)
        (void) ungetc(c, file);
    return c == '{';
}

int hardware_load(FILE *file, const char *name, struct hardware *ret, struct error *err)
{
    enum { STEP = 64 << 10 };
    _cleanup_text_ struct text all = { 0 };
    size_t n;

    *ret = (struct hardware){ 0 };
    do {
        n = fread(text_reserve(&all, STEP), 1, STEP, file);
        all.len += n;
    } while (n > 0 && all.len <= HARDWARE_BYTES_MAX);
    if (ferror(file))
        return error_set(err, -EIO, "%s: cannot be read: %s", name, strerror(errno));
    return hardware_read(text_str(&all), all.len, name, ret, err);
}

int hardware_room(struct capacity *capacity, const struct node *node, struct room *ret,
                  struct gpu_models *models, struct error *err)
{
    int64_t memory = node_ordinary_bytes(node) - node->reserved_memory_bytes;

    *models = (struct gpu_models){ 0 };
    *ret = (struct room){ .cpu_milli = (int32_t) node_usable_cores(node) * 1000,
                          .memory_mib = memory > 0 ? (int32_t) (memory >> 20) : 0 };
    vec_foreach(&node->gpus, gpu) {
        if (gpu->fault)
            continue;
        uint64_t model = capacity_model(capacity, gpu->model);
        if (!model)
            return error_set(err, -EBADMSG, "node %s has GPUs of a model that is the 65th",
                             node->name);
        ret->model |= model;
        models->gpu[ret->n_gpus] = model;
        ret->gpu[ret->n_gpus++] = CAPACITY_GPU;
    }
    return 0;
}
