/* hardware.h - a fleet as a file: sites, fabric blocks, leaves, and the machines that stand there
 *
 *     { "machines": { "hgx": { "numas": [ { "id": 0, "socket": 0, "cpus": "0-55,112-167", "threads": 2, "memory": "1Ti" }, … ],
 *                              "gpus": [ { "model": "H100", "memory": "80Gi", "numa": 0, "pcie": "r0/s0", "module": 1 }, … ],
 *                              "islands": [ "0-7" ], "nics": [ … ], "partitions": [ … ] },
 *                     "hgx-6": { "like": "hgx", "without_gpus": "2,5" } },
 *       "sites": [ { "name": "a", "blocks": [ { "name": "b1", "leaves": [ { "name": "l1",
 *                    "nodes": [ { "name": "n[01-16]", "machine": "hgx" } ] } ] } ] } ] }
 *
 * docs/simulate.md has every field. A machine may be LIKE another one and say anew what differs; a node may, too. Nodes stand on
 * any level, or on none. Whatever is wrong is told with file, line, field and what would be right.
 */
#ifndef FLEET_HARDWARE_H
#define FLEET_HARDWARE_H

#include "base/error.h"
#include "base/vec.h"

struct node;

enum {
    HARDWARE_BYTES_MAX = 64 << 20, /* of the file */
    HARDWARE_NODES_MAX = 100000,
    HARDWARE_CORES_MAX = 2 << 20, /* of all nodes: a name such as n[1-100000] is short */
    HARDWARE_GPUS_MAX = 16,       /* of a machine */
};

struct hardware {
    VEC(struct node *) nodes; /* owned, in the file's order */
};

/* Read LEN bytes of a file that errors call NAME. RET is owned by the caller; empty on failure. */
int hardware_read(const char *bytes, size_t len, const char *name, struct hardware *ret,
                  struct error *err);
void hardware_done(struct hardware *hardware);

#endif
