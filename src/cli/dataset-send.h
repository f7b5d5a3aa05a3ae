/* dataset-send.h - files of a directory go to the project's blobs, a page of them at a time, while the caller
 * hashes those of the next page
 */
#ifndef CLI_DATASET_SEND_H
#define CLI_DATASET_SEND_H

#include "cli/internal.h"

#include "base/digest.h"

struct sender;

struct sender_totals {
    int64_t files, bytes; /* that were sent: the project had the others */
    int64_t done_bytes;   /* sent or not needed */
};

/* Below TOP, which stays the caller's, as CLI does. Until sender_wait() the calls of CLI are the sender's. */
struct sender *sender_new(struct cli *cli, int top);
void sender_free(struct sender *s);
DEFINE_CLEANUP(struct sender *, sender_free);
/* A file for the page; a page that is full goes when the one before it has gone: then, and in
 * sender_wait(), WAITING (may be NULL) is called ten times a second. */
void sender_on_wait(struct sender *s, void (*waiting)(void *userdata), void *userdata);
int sender_add(struct sender *s, const char *path, const struct sha256 *sum, int64_t size_bytes,
               struct error *err);
/* All that was added has gone. */
int sender_wait(struct sender *s, struct error *err);
/* After sender_wait(). */
struct sender_totals sender_totals(const struct sender *s);
/* Those of totals, and what has gone of the page that is on its way. */
int64_t sender_done_bytes(const struct sender *s);

/* -EBUSY: PATH changed while it was pushed. */
int push_changed(const char *path, struct error *err);

#endif
