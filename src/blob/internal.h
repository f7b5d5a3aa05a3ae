/* internal.h - what the files of the blob store share */
#ifndef BLOB_INTERNAL_H
#define BLOB_INTERNAL_H

#include "blob/blob.h"

#include <stddef.h>
#include <sys/types.h>

struct blob_store {
    int blobs; /* STATE/blobs */
    int tmp;   /* STATE/blobs/tmp */
    int trees; /* STATE/trees */
    uid_t uid; /* who owns STATE: what root makes belongs to it as well */
    gid_t gid;
};

#define BLOB_NAME_LEN (SHA256_HEX_LEN + 1) /* ab/cdef… */
#define TMP_NAME_LEN  32

/* Name of a blob below STATE/blobs, with ".x" for the executable one. BUF is filled and returned. */
const char *blob_name(const struct sha256 *sum, bool executable,
                      char buf[static BLOB_NAME_LEN + 3]);
/* A name that nobody else uses. */
void tmp_name(char buf[static TMP_NAME_LEN]);
/* Give what root made to the owner of the state. */
int store_own(const struct blob_store *bs, int fd);
/* A new file in STATE/blobs/tmp, locked as long as it is open so that no other process sweeps it. */
int tmp_open(struct blob_store *bs, char name[static TMP_NAME_LEN], int *ret_fd, struct error *err);
/* Move a complete file of SIZE bytes from tmp to its name, making the directory if need be; it is
 * dropped when the blob is there already. */
int tmp_commit(struct blob_store *bs, const char *tmp, const char *name, int64_t size,
               struct error *err);
/* Lock DIR, below DIRFD, against or for removal (LOCK_SH, LOCK_EX); unlocked when the descriptor is closed.
 * Failure leaves errno, too. */
int blob_lock(int dirfd, const char *dir, int how);
/* The file of a blob is there and has this size (a power loss may leave a name without its bytes
 * when they were not synced). */
bool blob_is_whole(struct blob_store *bs, const char *name, int64_t size);

/* Bytes for a new file, in order; FD stays the caller's. What a multiple of 4096 separates may be skipped. */
struct sink {
    int fd;
    int64_t at;   /* of what was given so far */
    char *buffer; /* aligned; NULL: not past the page cache */
    size_t len;   /* in it */
    bool was_tried;
};
int sink_write(struct sink *s, const void *bytes, size_t n);
int sink_skip(struct sink *s, size_t n);
/* What was given is in the file, though not on disk. */
int sink_end(struct sink *s);
void sink_done(struct sink *s);

#endif
