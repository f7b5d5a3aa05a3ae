/* dataset.h - what the commands of datasets share: a version's manifest, fetched and checked */
#ifndef CLI_DATASET_H
#define CLI_DATASET_H

#include "blob/blob.h"
#include "cli/internal.h"

struct dataset_manifest {
    char *name; /* "corpus@3": the version that was meant, whatever is pushed meanwhile */
    int64_t files, size_bytes;
    struct manifest_file *file;
};

/* TEXT is NAME, NAME@VERSION or NAME@sha256:DIGEST. The manifest lies in a file without a name. */
int dataset_manifest_fetch(struct cli *cli, const char *text, struct dataset_manifest *ret,
                           struct error *err);
void dataset_manifest_done(struct dataset_manifest *m);

/* SHA-256 of what can be read from FD; SEEN may be NULL and is told how many bytes there were so far. */
int dataset_hash(int fd, struct hasher *hasher, void (*seen)(void *userdata, size_t n),
                 void *userdata, struct sha256 *ret);

#endif
