/* blob.h - content-addressed files and the read-only trees made of them
 *
 * STATE/blobs/ab/cdef…   0644, named by SHA-256; STATE/blobs/tmp for arrivals
 * STATE/trees/DIGEST/    hard links to blobs keyed (sha-256, executable bit), copied past the link
 *                        limit; an executable blob lies beside the plain one as NAME.x (0755).
 *                        Their owner may write: in a container's overlay he is root, who changes a copy
 */
#ifndef BLOB_BLOB_H
#define BLOB_BLOB_H

#include "base/cleanup.h"
#include "base/id.h"
#include "data/data.h"
#include "os/hash.h"

#include <stdbool.h>

struct blob_store;

/* Opens or makes STATE/blobs and STATE/trees. May be used by any number of processes at once. */
int blob_store_open(const char *state, struct blob_store **ret, struct error *err);
void blob_store_close(struct blob_store *bs);
DEFINE_CLEANUP(struct blob_store *, blob_store_close);

/* Bytes that arrive: written to a temporary file and hashed on the way. */
struct blob_writer;
int blob_writer_new(struct blob_store *bs, struct blob_writer **ret, struct error *err);
int blob_writer_add(struct blob_writer *w, const void *bytes, size_t n, struct error *err);
/* Rename into place (already there: dropped). EXPECTED (may be NULL) that differs: -EBADMSG. With SYNC the bytes are on
 * disk when this returns. */
int blob_writer_end(struct blob_writer *w, const struct sha256 *expected, bool sync,
                    struct sha256 *ret, int64_t *ret_size, struct error *err);
/* One that goes on after FROM bytes: what a project has sent of a large file is kept when its writer is
 * dropped or the process dies, until nothing was added for an hour. Blocks while it reads them again.
 * -EBUSY while another writes it, -ESTALE when there is less. */
struct blob_part {
    struct id project;
    struct sha256 sum; /* as promised */
    int64_t from;
};
int blob_writer_resume(struct blob_store *bs, const struct blob_part *part,
                       struct blob_writer **ret, struct error *err);
/* How much of it there is; 0: nothing. */
int64_t blob_part_size(struct blob_store *bs, const struct blob_part *part);
/* Drops what was not ended, unless that can go on. */
void blob_writer_free(struct blob_writer *w);
DEFINE_CLEANUP(struct blob_writer *, blob_writer_free);

/* The whole of a small blob, whose digest is EXPECTED (else -EBADMSG). Not on disk before blob_sync(). */
int blob_put(struct blob_store *bs, const void *bytes, size_t n, const struct sha256 *expected,
             struct error *err);

/* A read-only descriptor, -ENOENT when absent. */
int blob_open(struct blob_store *bs, const struct sha256 *sum, int64_t *ret_size);
/* Its executable form, a file of its own beside it; -ENOENT while nobody needed it. */
int blob_open_executable(struct blob_store *bs, const struct sha256 *sum, int64_t *ret_size);
bool blob_has(struct blob_store *bs, const struct sha256 *sum);
/* The same, and it stays: it is touched, so that it is not removed as one that nobody needs. */
bool blob_use(struct blob_store *bs, const struct sha256 *sum);
/* Is it there, with this size? */
bool blob_matches(struct blob_store *bs, const struct sha256 *sum, int64_t size);
/* What was written without SYNC is on disk when this returns. */
int blob_sync(struct blob_store *bs, struct error *err);
/* The whole of a small blob. */
int blob_read(struct blob_store *bs, const struct sha256 *sum, size_t limit, struct text *ret,
              struct error *err);

/* What nobody needs any more. A blob or tree that is asked for is touched, under a lock that its removal
 * takes as well: so what was not touched since BEFORE_US, long before KEEP was made, is not on its way to
 * be kept. Returns the number removed and adds to *RET_BYTES. May be called from any thread. */
struct blob_sweep {
    int64_t before_us;
    bool (*keep)(const void *userdata, const struct sha256 *sum);
    const void *userdata;
};
enum { BLOB_SHARDS = 256 };
int blob_sweep(struct blob_store *bs, unsigned shard, const struct blob_sweep *sweep,
               int64_t *ret_bytes, struct error *err);
int tree_sweep(struct blob_store *bs, const struct blob_sweep *sweep, struct error *err);

/* The directory of the tree named by the manifest, made if it is not there yet (atomically by
 * rename; two makers at once are fine). RET_FD is an O_PATH descriptor of it. */
int tree_open(struct blob_store *bs, const struct manifest *m, const struct sha256 *name,
              int *ret_fd, struct error *err);

/* The same by the manifest in the blob store, read as a stream: trees of any size. */
int tree_open_blob(struct blob_store *bs, const struct sha256 *name, int *ret_fd,
                   struct error *err);
/* The same for a tree that no manifest describes: FILL puts all that is in it into the directory ROOT. */
struct tree_form {
    int (*fill)(void *userdata, int root, struct error *err);
    void *userdata;
};
int tree_open_form(struct blob_store *bs, const struct sha256 *name, const struct tree_form *form,
                   int *ret_fd, struct error *err);
/* The file of E (whose path is for messages) as NAME in DIRFD: a hard link, a copy where that cannot be. */
int blob_link(struct blob_store *bs, const struct manifest_entry *e, int dirfd, const char *name,
              struct error *err);
/* Its bytes into the empty file TO, sharing their blocks where the file system can. */
int blob_copy(struct blob_store *bs, const struct sha256 *sum, int to, struct error *err);

/* A manifest on disk, read entry by entry and checked on the way (data.h). */
struct manifest_file;
/* Takes FD. */
struct manifest_file *manifest_file_new(int fd);
int manifest_file_open(struct blob_store *bs, const struct sha256 *sum, struct manifest_file **ret,
                       struct error *err);
void manifest_file_free(struct manifest_file *f);
DEFINE_CLEANUP(struct manifest_file *, manifest_file_free);
/* 1: an entry, valid until the next call; 0: the end. */
int manifest_file_next(struct manifest_file *f, const struct manifest_entry **ret,
                       struct error *err);
/* Where the next line begins; and go to such a place, forgetting what came before. */
int64_t manifest_file_offset(const struct manifest_file *f);
void manifest_file_seek(struct manifest_file *f, int64_t offset);
/* 1: the entry of PATH; 0: there is none. Moves. */
int manifest_file_find(struct manifest_file *f, const char *path, const struct manifest_entry **ret,
                       struct error *err);
const struct manifest_reader *manifest_file_reader(const struct manifest_file *f);

/* Hash and store the regular files below DIRFD (RESOLVE_BENEATH | NO_SYMLINKS; links, devices,
 * sockets and holes in permission are left out and counted), in bounded memory. */
int blob_collect(struct blob_store *bs, int dirfd, int64_t limit_bytes, struct manifest **ret,
                 size_t *ret_skipped, struct error *err);

#endif
