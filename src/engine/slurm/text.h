/* text.h - what Slurm's commands print, read by pure functions
 *
 * Of squeue only fields are asked for that no user chooses the text of, but for the names of the jobs of our own
 * account, and those come last. In the lines of scontrol the first `Key=` counts: what people may have
 * written (names, comments, reasons) comes after what is read here, or is the last that is read.
 * Seen with 22.05; fields that are not there have their zero value, unknown ones are passed over.
 */
#ifndef ENGINE_SLURM_TEXT_H
#define ENGINE_SLURM_TEXT_H

#include "base/error.h"
#include "base/id.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- jobs ---------------------------------------------------------------------------------------- */

enum slurm_state {
    SLURM_UNKNOWN, /* a word that is not known here: the job may be alive */
    SLURM_PENDING,
    SLURM_RUNNING, /* or about to be, or suspended, or ending */
    SLURM_COMPLETED,
    SLURM_FAILED,
    SLURM_CANCELLED,
    SLURM_TIMEOUT, /* also past its deadline */
    SLURM_NODE_FAIL,
    SLURM_PREEMPTED,
    SLURM_OUT_OF_MEMORY,
};

/* "RUNNING", "CANCELLED by 1000", "COMPLETING", … */
enum slurm_state slurm_state_parse(const char *word, size_t len);
bool slurm_state_is_final(enum slurm_state state);

/* What `sbatch --parsable` answers: "JOB" or "JOB;CLUSTER", perhaps after lines of a site's own. */
int slurm_parse_submitted(const char *text, size_t len, uint32_t *ret, struct error *err);

/* One line of `squeue -o SLURM_OWN_FORMAT`. */
#define SLURM_OWN_FORMAT "%A|%T|%r|%j"
struct slurm_own {
    uint32_t job;
    enum slurm_state state;
    char reason[96]; /* "Resources", "JobHeldUser"; printable */
    struct id task;
};
/* false: not a job whose name is PREFIX-TASK. */
bool slurm_parse_own(const char *line, size_t len, const char *prefix, struct slurm_own *ret);

/* One line of `squeue -o SLURM_OTHERS_FORMAT`: what somebody's job holds, on each of its nodes. */
#define SLURM_OTHERS_FORMAT "%A|%N|%D|%C|%m|%b"
struct slurm_held {
    uint32_t job;
    const char *nodes; /* inside of the line, of NODES_LEN bytes */
    size_t nodes_len;
    unsigned cpus, gpus; /* on each node */
    int64_t memory_bytes;
};
bool slurm_parse_held(const char *line, size_t len, struct slurm_held *ret);

/* One line of `scontrol -o show job`. */
struct slurm_job {
    uint32_t job;
    enum slurm_state state;
    char reason[96];
    char node[64];
    int exit_code, exit_signal;
    unsigned restarts;
    bool ran; /* for a second or more */
};
int slurm_parse_job(const char *text, size_t len, struct slurm_job *ret, struct error *err);

/* ---- machines ------------------------------------------------------------------------------------ */

/* One line of `scontrol -o show node`. */
struct slurm_node {
    char name[64];
    unsigned cpus, sockets, threads; /* usable CPUs; sockets; CPUs a core */
    unsigned gpus;
    char gpu_model[64]; /* "" where gres.conf names no type */
    int64_t memory_bytes, disk_bytes;
    char kernel[96];
    bool usable;
    char fault[160]; /* why not: "drained: bad memory [root@2026-…]" */
};
/* -EINVAL: it is no such line, or makes no sense. */
int slurm_parse_node(const char *text, size_t len, struct slurm_node *ret, struct error *err);

/* How many GPUs "gpu:a100:4(S:0-1),shard:8", "gres:gpu:1", "gres/gpu=2" are; MODEL may be NULL. */
unsigned slurm_parse_gpus(const char *text, size_t len, char model[64]);
/* "4000M", "2G", "1500" (MiB) as bytes; -1: none of these. */
int64_t slurm_parse_memory(const char *text, size_t len);

/* Call EACH with every name of "node[1-3,07],login"; at most MAX. The number of names, -EINVAL, -E2BIG. */
int slurm_each_node(const char *list, size_t len, unsigned max,
                    void (*each)(void *userdata, const char *name), void *userdata);

/* ---- errors -------------------------------------------------------------------------------------- */

/* Does this word of a command mean that Slurm is not there now, and that it may be asked again? */
bool slurm_is_away(const char *text);
/* What may be behind it, to be added; "" where nothing is known. */
const char *slurm_hint(const char *text);
/* The first line of TEXT that says something, without the program's name, fit to be shown. */
void slurm_words(const char *text, size_t len, char *ret, size_t size);

#endif
