/* unpack.h - one layer's tar into a directory, for a child that holds no privilege outside it
 *
 * The caller has entered a user namespace of its own, without network, and made the directory its root:
 * what follows from a mistake here stays there. Names are still resolved beneath the root, and what an
 * overlay or an image has no use for is refused or left out:
 *
 *     `..` in names, owners above 65535, entries and bytes beyond the limits     refused
 *     hard links to what is not in the layer                                     refused
 *     device nodes, extended attributes other than user.* and capabilities, and those of overlays
 *     (user.overlay.*)                                                           left out
 *     .wh.NAME                                                                   a whiteout, char 0:0
 *     .wh..wh..opq                                                               reported: OPAQUE
 */
#ifndef IMAGE_UNPACK_H
#define IMAGE_UNPACK_H

#include "base/digest.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct unpack_limits {
    int64_t entries_max;
    int64_t bytes_max; /* of the unpacked tar */
    int64_t ratio_max; /* unpacked to packed, beyond the first 64 MiB */
};

struct unpack_result {
    int64_t entries, bytes;
    int64_t devices; /* nodes that were left out */
};

struct unpack_options {
    int blob;            /* a tar, plain or packed by gzip or zstd */
    int arriving;        /* -1: the blob is whole; else as layer_bytes_open() takes it */
    int64_t packed_size; /* that a blob on its way will have */
    int root;            /* -1: only look at digest and limits */
    struct sha256 layer; /* that its unpacked bytes must have */
    struct unpack_limits limits;
    /* Whoever calls is the only one there is: all files are its own, and directories can be written by it, so that
     * it can remove them. */
    bool one_owner;
    /* A directory that hides what lies below it. */
    void (*opaque)(void *userdata, const char *path);
    void *userdata;
};

/* Starts one thread. -EBADMSG: broken, or not what was promised; -E2BIG: beyond a limit; -ENOSPC;
 * -ECANCELED: the rest of the blob will not come. */
int image_unpack(const struct unpack_options *options, struct unpack_result *ret,
                 struct error *err);

/* What must be loaded before there is another root. */
int image_unpack_prepare(struct error *err);

/* A name from a tar as a path below the root: without leading "/" and "./", no empty or "." parts.
 * "" is the root itself. Owned by the caller; NULL: it has `..` in it or is too long. Pure. */
char *layer_path(const char *name);

enum layer_mark { LAYER_PLAIN, LAYER_WHITEOUT, LAYER_OPAQUE, LAYER_IGNORED };
/* What the last part of a path means; *RET_NAME: what a whiteout hides (within PATH). Pure. */
enum layer_mark layer_mark(const char *path, const char **ret_name);

#endif
