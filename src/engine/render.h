/* render.h - the files of a Slurm cluster made of the machines that Berth knows; pure
 *
 * Every line that decides something says why. A site that has Slurm needs none of it.
 */
#ifndef ENGINE_RENDER_H
#define ENGINE_RENDER_H

#include "base/text.h"
#include "fleet/fleet.h"

struct render_node {
    const struct node *node;
    const char *rack; /* NULL: not known */
};

struct render_cluster {
    const char *name;       /* of the cluster */
    const char *controller; /* host of slurmctld */
    const struct render_node *nodes;
    size_t n_nodes;
    const char *controller_address; /* NULL: every machine resolves its name */
};

/* Begins every file that is made here. */
extern const char render_mark[];
/* "slurm.conf", "gres.conf", "cgroup.conf", "topology.conf"; NULL at the end. */
extern const char *const render_files[];
/* Add the text of the file of that name to OUT; false: nothing of the kind is needed (gres.conf without GPUs,
 * topology.conf without racks). */
bool render_file(const struct render_cluster *cluster, const char *file, struct text *out);

#endif
