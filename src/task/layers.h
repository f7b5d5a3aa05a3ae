/* layers.h - what the server may ask of the keeper of unpacked layers
 *
 * The keeper is a small root process beside the launcher (executor/layers.c). It holds STATE/layers/HEX,
 * one directory for each layer that was ever unpacked, HEX being the digest of the unpacked tar. Files in
 * it belong to a range of uids of their own, which is nobody's on the machine: container uid U is
 * LAYERS_UID + U on disk, mapped to the project's range where it is mounted.
 */
#ifndef TASK_LAYERS_H
#define TASK_LAYERS_H

#include "base/digest.h"

#include <stdint.h>

/* Descriptors that a request may have. */
#define LAYERS_FDS 2

/* The last range below 2^31. */
#define LAYERS_UID UINT32_C(0x7fff0000)

enum layers_op {
    /* Make sure that STATE/layers/LAYER is there. Descriptor: the packed layer, read from its beginning.
     * Its bytes are looked at also when the layer is there: only who has them may use it.
     * A second descriptor says that the layer is still on its way: a pipe that gives one byte when all of
     * PACKED_SIZE is there and has the digest that it must have, and ends without when it never will. */
    LAYERS_UNPACK = 1,
    /* Remove every layer that is not listed and that no task uses. Descriptor: a file of COUNT digests
     * of 32 bytes. */
    LAYERS_COLLECT,
    /* Only look at the bytes of the descriptor, as for LAYERS_UNPACK; nothing is made of them. */
    LAYERS_CHECK,
    /* Is the layer there? It counts as used then, and stays for LAYERS_MIN_AGE_S; else -ENOENT. */
    LAYERS_LOOK,
    /* Remove what was used least recently, and by no task now, until BYTES_MAX are left; negative: as many as is
     * sane for the disk. */
    LAYERS_SHED,
    /* Sweep the rest of STATE: what killed tasks left, and files and trees by digest until BYTES_MAX are left;
     * negative: as many as is sane for the disk. */
    LAYERS_SWEEP,
};

/* Who has been told that a layer is there has so much time to mount it. */
#define LAYERS_MIN_AGE_S 600

/* One packet each way, of fixed size. SERIAL comes back in the answer. */
struct layers_request {
    uint32_t op;
    uint32_t count;
    uint64_t serial;
    struct sha256 layer;
    int64_t packed_size, entries_max, bytes_max, ratio_max;
};

struct layers_answer {
    uint64_t serial;
    int32_t code; /* 0 or negative errno */
    uint32_t reserved;
    int64_t entries, bytes; /* COLLECT: layers that were removed, and that are still in use */
    char text[232];
};

#endif
