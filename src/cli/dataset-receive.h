/* dataset-receive.h - small files of a version come in one answer, a page of them at a time */
#ifndef CLI_DATASET_RECEIVE_H
#define CLI_DATASET_RECEIVE_H

#include "cli/internal.h"

#include "data/data.h"

struct receiver;

/* Files go below TOP, which stays the caller's; SEEN is told of bytes that arrived. */
struct receiver *receiver_new(struct cli *cli, int top, void (*seen)(void *userdata, size_t n),
                              void *userdata);
void receiver_free(struct receiver *rx);
/* Is it small enough to come with others? */
bool receiver_takes(const struct manifest_entry *e);
/* It is there after the page has come: when that is full, or by receiver_flush(). */
int receiver_add(struct receiver *rx, const struct manifest_entry *e, struct error *err);
int receiver_flush(struct receiver *rx, struct error *err);

/* A file that arrives is written beside its place and renamed when it is whole. WRITE gets its descriptor. */
int receive_file(int top, const struct manifest_entry *e,
                 int (*write)(void *userdata, int fd, struct error *err), void *userdata,
                 struct error *err);
/* -EBADMSG unless GOT is what E promises. */
int receive_check(const struct manifest_entry *e, const struct sha256 *got, struct error *err);

#endif
