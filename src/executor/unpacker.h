/* unpacker.h - the process that reads the archive of a layer: a user namespace of its own, no network, no
 * other process to see, and its root is the new directory
 */
#ifndef EXECUTOR_UNPACKER_H
#define EXECUTOR_UNPACKER_H

#include "base/digest.h"
#include "base/error.h"
#include "image/image.h"

#include <sys/types.h>

/* Whose the files of a layer are. */
struct layer_owner {
    bool one; /* all are of the calling account; else a range of uids, of root's choice */
    /* How an overlay knows a directory that hides what lies below. */
    const char *opaque_mark;
};
/* As root: the uids from LAYERS_UID, mapped where a layer is mounted. */
extern const struct layer_owner layer_owner_range;
/* As any account, in a user namespace of one uid. */
extern const struct layer_owner layer_owner_account;

struct layer_unpack {
    int blob, arriving; /* as image_unpack() takes them; the caller's */
    int64_t packed_size;
    struct sha256 layer;
    struct unpack_limits limits;
    struct layer_owner owner;
};

struct unpacker {
    pid_t pid;
    int report; /* memory; -1: none is running */
    int root;   /* -1: it only looks; the caller's */
    struct layer_owner owner;
};

/* WHAT is borrowed for the call. */
int unpacker_start(const struct layer_unpack *what, int root, struct unpacker *ret,
                   struct error *err);
/* Its end, with what it says of it; also marks the directories that hide others. */
int unpacker_wait(struct unpacker *u, struct unpack_result *ret, struct error *err);

#endif
