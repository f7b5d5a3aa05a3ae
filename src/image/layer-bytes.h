/* layer-bytes.h - the bytes of a layer without their packing, made and hashed by a thread beside the one
 * that makes files of them
 *
 * The packed bytes may still be on their way: they are read as the file grows.
 */
#ifndef IMAGE_LAYER_BYTES_H
#define IMAGE_LAYER_BYTES_H

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/error.h"

#include <sys/types.h>

struct layer_bytes;

/* BLOB: a file, plain or packed by gzip or zstd, read from where it stands. ARRIVING: -1 when it is whole;
 * else a pipe that gives one byte once it is, and ends without one when it never will be. Both stay the
 * caller's, and open until layer_bytes_free(). */
int layer_bytes_open(int blob, int arriving, struct layer_bytes **ret, struct error *err);
void layer_bytes_free(struct layer_bytes *b);
DEFINE_CLEANUP(struct layer_bytes *, layer_bytes_free);

/* How many bytes *RET has, until the next call; 0 at the end. -EBADMSG: it is broken; -ECANCELED: it
 * will never be whole. */
ssize_t layer_bytes_next(struct layer_bytes *b, const void **ret, struct error *err);

/* The digest of all of them, at their end. */
struct sha256 layer_bytes_sum(struct layer_bytes *b);

#endif
