/* layer-store.h - a directory of unpacked layers, each named by the digest of its tar; the keeper's on a machine
 * with a launcher, and the account's own in a step
 *
 * A layer appears under its name when it is whole and on the disk, or not at all. How many bytes it has is in its
 * xattr, when it was used last is its root's time of access. Who has it mounted holds a shared lock on it.
 */
#ifndef EXECUTOR_LAYER_STORE_H
#define EXECUTOR_LAYER_STORE_H

#include "executor/unpacker.h"

/* Make it in the directory ASIDE, and then visible. Where it is there already its bytes are looked at, and it
 * stays as it is. */
int layer_make(int layers, const char *aside, const struct layer_unpack *what,
               struct unpack_result *ret, struct error *err);
/* Look at the bytes only. */
int layer_check(const struct layer_unpack *what, struct unpack_result *ret, struct error *err);

/* 1: it is there, and counts as used now. */
int layer_touch(int layers, const struct sha256 *layer);
/* 1: it is gone; 0: somebody uses it. */
int layer_remove(int layers, const char *name, struct error *err);
/* Remove those that were used least recently until the others have BYTES_MAX; none that is in use, or was less
 * than MIN_AGE_S ago. */
/* How much may be kept: WANTED bytes, or what is sane for the disk when that is 0. */
int64_t layers_bytes_max(int layers, int64_t wanted);
int layers_shed(int layers, int64_t bytes_max, int64_t min_age_s, struct error *err);

#endif
