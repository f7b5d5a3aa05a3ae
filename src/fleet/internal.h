/* internal.h - what the files of fleet/ share: parts of a node and their JSON form */
#ifndef FLEET_INTERNAL_H
#define FLEET_INTERNAL_H

#include "fleet/fleet.h"

void gpu_done(struct gpu *gpu);
void nic_done(struct nic *nic);

/* Arrays of all that NODE has of a kind. */
json_t *gpus_to_json(const struct node *node);
json_t *nics_to_json(const struct node *node);
json_t *partitions_to_json(const struct node *node);

/* One item each, appended to NODE. Partitions name GPUs by position: read those first. */
int read_gpu(struct node *node, const json_t *json, struct error *err);
int read_nic(struct node *node, const json_t *json, struct error *err);
int read_partition(struct node *node, const json_t *json, struct error *err);

/* A whole number of 0 to MAX, or of 0 bytes and more; 0 when it is not there. */
int node_read_unsigned(const json_t *json, const char *key, unsigned max, unsigned *ret,
                       struct error *err);
int node_read_bytes(const json_t *json, const char *key, int64_t *ret, struct error *err);

/* Of a flavor: a size written by people, 268435456 or 256Mi; what goes with its GPUs, read when all else is. */
int flavor_read_bytes(const json_t *json, const char *key, int64_t *ret, struct error *err);
int flavor_read_ratio(const json_t *json, struct flavor *flavor, struct error *err);
void flavor_put_ratio(json_t *json, const struct flavor *flavor);

#endif
