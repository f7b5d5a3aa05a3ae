/* pack.c - the packing experiment */
#include "sim/pack.h"

#include "base/alloc.h"
#include "base/text.h"
#include "sim/csv.h"
#include "sim/machines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { INDEX_MAX = 1000000000 };

enum { ASK_INDEX, ASK_CPU, ASK_MEMORY, ASK_GPUS, ASK_MILLI, ASK_MODELS };
static const char *const ask_columns[] = { "idx",       "cpu_milli", "memory_mib", "num_gpu",
                                           "gpu_milli", "?gpu_spec", NULL };

struct pack {
    struct capacity *capacity;
    const struct pack_file *out;
    struct machines_read machines;
    uint8_t *indexes; /* a bit for each idx that came */
    size_t indexes_len;
    struct pack_counts counts;
};

static void pack_done(struct pack *pack)
{
    machines_read_done(&pack->machines);
    capacity_free(pack->capacity);
    free(pack->indexes);
}

/* Is IDX new? Memory is that of the largest, a bit each. */
static bool index_is_new(struct pack *pack, int64_t idx)
{
    size_t at = (size_t) idx / 8;
    uint8_t bit = (uint8_t) (1 << idx % 8);

    if (at >= pack->indexes_len) {
        size_t len = at * 2 + 4096;
        pack->indexes = xrealloc(pack->indexes, len);
        memset(pack->indexes + pack->indexes_len, 0, len - pack->indexes_len);
        pack->indexes_len = len;
    }
    bool is_new = !(pack->indexes[at] & bit);
    pack->indexes[at] |= bit;
    return is_new;
}

/* "V100M16|V100M32": any of them would do. */
static int read_models(struct pack *pack, const struct csv *csv, uint64_t *ret, struct error *err)
{
    _cleanup_free_ char *names = xstrdup(csv_field(csv, ASK_MODELS));
    char *save = NULL;
    int r = 0;

    for (char *name = strtok_r(names, "|", &save); r >= 0 && name;
         name = strtok_r(NULL, "|", &save))
        r = machines_model(pack->capacity, csv, ASK_MODELS, name, ret, err);
    return r;
}

static int read_gpus(struct pack *pack, const struct csv *csv, struct ask *ask, struct error *err)
{
    int64_t gpus, milli;
    int r = csv_int(csv, ASK_GPUS, 0, CAPACITY_GPUS_MAX, &gpus, err);

    if (r < 0 || gpus == 0)
        return r;
    ask->gpus = (uint16_t) gpus;
    r = csv_int(csv, ASK_MILLI, 1, CAPACITY_GPU, &milli, err);
    if (r < 0)
        return r;
    ask->gpu_milli = (uint16_t) milli;
    return read_models(pack, csv, &ask->models, err);
}

static int read_ask(struct pack *pack, const struct csv *csv, int64_t *idx, struct ask *ask,
                    struct error *err)
{
    int64_t cpu, memory;

    int r = csv_int(csv, ASK_INDEX, 0, INDEX_MAX, idx, err);
    if (r >= 0 && !index_is_new(pack, *idx))
        r = csv_wrong(csv, ASK_INDEX, "a number that no row before has", err);
    if (r >= 0)
        r = csv_int(csv, ASK_CPU, 0, MACHINE_CPU_MILLI_MAX, &cpu, err);
    if (r >= 0)
        r = csv_int(csv, ASK_MEMORY, 0, MACHINE_MEMORY_MIB_MAX, &memory, err);
    if (r < 0)
        return r;
    *ask = (struct ask){ .cpu_milli = (int32_t) cpu, .memory_mib = (int32_t) memory };
    return read_gpus(pack, csv, ask, err);
}

static void write_choice(const struct pack *pack, int64_t idx, const struct choice *choice)
{
    FILE *out = pack->out->file;

    if (!out)
        return;
    (void) fprintf(out, "%lld,%s,", (long long) idx,
                   choice ? pack->machines.names.items[choice->node] : "");
    const char *dash = "";
    for (uint32_t gpus = choice ? choice->gpus : 0; gpus; gpus &= gpus - 1, dash = "-")
        (void) fprintf(out, "%s%d", dash, __builtin_ctz(gpus));
    (void) putc('\n', out);
}

static void arrive(struct pack *pack, int64_t idx, const struct ask *ask)
{
    struct choice choice;
    int64_t milli = ask->gpus * ask->gpu_milli;

    pack->counts.n_arrived++;
    pack->counts.gpu_milli_arrived += milli;
    capacity_learn(pack->capacity, ask);
    bool placed = capacity_choose(pack->capacity, ask, &choice);
    if (placed)
        capacity_take(pack->capacity, ask, &choice);
    write_choice(pack, idx, placed ? &choice : NULL);
    if (!placed) {
        pack->counts.n_refused++;
        return;
    }
    pack->counts.n_placed++;
    pack->counts.gpu_milli_taken += milli;
}

static int read_arrivals(struct pack *pack, const struct pack_file *file, struct error *err)
{
    _cleanup_(csv_freep) struct csv *csv = NULL;
    int r = csv_new(file->file, file->name, ask_columns, &csv, err);

    while (r >= 0 && (r = csv_next(csv, err)) > 0) {
        struct ask ask;
        int64_t idx;
        r = read_ask(pack, csv, &idx, &ask, err);
        if (r >= 0)
            arrive(pack, idx, &ask);
    }
    return r;
}

static int finish(const struct pack_file *out, struct error *err)
{
    if (out->file && (fflush(out->file) != 0 || ferror(out->file)))
        return error_set(err, -EIO, "%s: cannot be written: %s", out->name, strerror(errno));
    return 0;
}

int pack_run(const struct pack_file *nodes, const struct pack_file *arrivals,
             const struct pack_file *out, const struct score *score, struct pack_counts *ret,
             struct error *err)
{
    _cleanup_(pack_done) struct pack pack = { .capacity = capacity_new(score), .out = out };

    if (out->file)
        (void) fputs("idx,node_sn,gpu_ids\n", out->file);
    int r = machines_read(&pack.machines, nodes, pack.capacity, err);
    machines_tell_models(&pack.machines, pack.capacity);
    pack.counts.gpu_milli = pack.machines.gpu_milli;
    if (r >= 0)
        r = read_arrivals(&pack, arrivals, err);
    *ret = pack.counts;
    return r < 0 ? r : finish(out, err);
}
