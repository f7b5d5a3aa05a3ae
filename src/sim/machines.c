/* machines.c - machines from a table or a hardware file */
#include "sim/machines.h"

#include "base/alloc.h"
#include "base/text.h"
#include "sim/csv.h"
#include "sim/hardware.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_LEN_MAX = 255, MACHINES_MAX = 100000 };

enum { NODE_NAME, NODE_CPU, NODE_MEMORY, NODE_GPUS, NODE_MODEL };
static const char *const node_columns[] = { "sn", "cpu_milli", "memory_mib", "gpu", "model", NULL };

void machines_read_done(struct machines_read *machines)
{
    map_free(machines->by_name);
    vec_foreach(&machines->names, name)
        free(*name);
    vec_done(&machines->names);
    vec_done(&machines->models);
}

int machines_model(struct capacity *capacity, const struct csv *csv, unsigned i, const char *name,
                   uint64_t *ret, struct error *err)
{
    uint64_t bit = capacity_model(capacity, name);

    if (!bit)
        return csv_wrong(csv, i, "one of at most 64 models in all", err);
    *ret |= bit;
    return 0;
}

static void keep_machine(struct machines_read *machines, struct capacity *capacity,
                         const char *name, const struct room *size)
{
    char *owned = xstrdup(name);

    vec_push(&machines->names, owned);
    (void) map_set_str(machines->by_name, name, owned);
    (void) capacity_add(capacity, size);
    machines->gpu_milli += size->n_gpus * CAPACITY_GPU;
}

static int add_machine(struct machines_read *machines, struct capacity *capacity,
                       const struct csv *csv, struct error *err)
{
    const char *name = csv_field(csv, NODE_NAME), *model = csv_field(csv, NODE_MODEL);
    struct room size = { 0 };
    int64_t cpu, memory, gpus;

    if (!*name || strlen(name) > NAME_LEN_MAX)
        return csv_wrong(csv, NODE_NAME, "a name of 1 to 255 bytes", err);
    int r = csv_int(csv, NODE_CPU, 0, MACHINE_CPU_MILLI_MAX, &cpu, err);
    if (r >= 0)
        r = csv_int(csv, NODE_MEMORY, 0, MACHINE_MEMORY_MIB_MAX, &memory, err);
    if (r >= 0)
        r = csv_int(csv, NODE_GPUS, 0, CAPACITY_GPUS_MAX, &gpus, err);
    if (r >= 0 && gpus > 0)
        r = *model ? machines_model(capacity, csv, NODE_MODEL, model, &size.model, err)
                   : csv_wrong(csv, NODE_MODEL, "the name of the GPUs", err);
    if (r < 0)
        return r;
    size.cpu_milli = (int32_t) cpu;
    size.memory_mib = (int32_t) memory;
    size.n_gpus = (uint16_t) gpus;
    for (unsigned i = 0; i < size.n_gpus; i++)
        size.gpu[i] = CAPACITY_GPU;
    if (map_get_str(machines->by_name, name))
        return csv_wrong(csv, NODE_NAME, "a name that no other machine has", err);
    if (machines->names.len == MACHINES_MAX)
        return csv_wrong(csv, NODE_NAME, "one of at most 100,000 machines", err);
    keep_machine(machines, capacity, name, &size);
    return 0;
}

/* The number of the site, block or leaf NAME within number OUTER; where machine I stands in none, one that no other has. */
static uint32_t number_of(struct map *parts, uint32_t outer, const char *name, size_t i)
{
    if (!name)
        return (UINT32_MAX >> 1) + (uint32_t) i;
    _cleanup_free_ char *key = xasprintf("%u %s", outer, name);
    uintptr_t number = (uintptr_t) map_get_str(parts, key);
    if (number == 0) {
        number = map_len(parts) + 1;
        (void) map_set_str(parts, key, (void *) number);
    }
    return (uint32_t) number;
}

static void stand(struct capacity *capacity, struct map *parts, const struct node *node, size_t i)
{
    struct spot spot = { .site = number_of(parts, 0, node->site, i) };

    spot.block = number_of(parts, spot.site, node->block, i);
    spot.leaf = number_of(parts, spot.block, node->leaf, i);
    capacity_stand(capacity, i, &spot);
}

static bool is_mixed(const struct room *size) { return size->model & (size->model - 1); }

static int read_hardware(struct machines_read *machines, struct capacity *capacity,
                         const struct pack_file *file, struct error *err)
{
    _cleanup_(hardware_done) struct hardware hardware = { 0 };
    _cleanup_(map_freep) struct map *parts = map_new();
    bool has_mixed = false;

    int r = hardware_load(file->file, file->name, &hardware, err);
    for (size_t i = 0; i < hardware.nodes.len && r >= 0; i++) {
        const struct node *node = hardware.nodes.items[i];
        struct gpu_models models;
        struct room size;
        r = hardware_room(capacity, node, &size, &models, err);
        if (r < 0)
            return error_context(err, r, "%s", file->name);
        keep_machine(machines, capacity, node->name, &size);
        vec_push(&machines->models, models);
        has_mixed |= is_mixed(&size);
        capacity_close(capacity, i, node->cordoned || node->fault);
        stand(capacity, parts, node, i);
    }
    if (!has_mixed)
        vec_done(&machines->models);
    return r;
}

int machines_read(struct machines_read *ret, const struct pack_file *file,
                  struct capacity *capacity, struct error *err)
{
    _cleanup_(csv_freep) struct csv *csv = NULL;

    ret->by_name = map_new();
    ret->capacity = capacity;
    if (hardware_begins(file->file))
        return read_hardware(ret, capacity, file, err);
    int r = csv_new(file->file, file->name, node_columns, &csv, err);

    while (r >= 0 && (r = csv_next(csv, err)) > 0)
        r = add_machine(ret, capacity, csv, err);
    if (r >= 0 && ret->names.len == 0)
        r = error_set(err, -EBADMSG, "%s: names no machine", file->name);
    return r;
}
