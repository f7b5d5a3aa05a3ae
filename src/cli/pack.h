/* pack.h - a directory becomes a workspace: hashed here, sent where the project lacks it */
#ifndef CLI_PACK_H
#define CLI_PACK_H

#include "cli/internal.h"
#include "data/data.h"

#include <sys/stat.h>

struct pack {
    int dirfd;
    struct manifest *manifest; /* sealed */
    char *digest;              /* of the manifest, hex */
    char *commit;              /* of the git checkout that it is; NULL: none */
    bool dirty;                /* tracked files differ from the commit */
    size_t ignored;            /* files and directories that the ignore files leave out */
    struct text skipped; /* what cannot be sent, a line each: sockets, links that lead outside, … */
};

/* The ignore files are .berthignore where the directory has one, .gitignore else; .git never goes. */
int pack_directory(const char *path, struct pack *ret, struct error *err);
/* The same for a directory that is packed again and again: only files that have changed are read.
 * DIRECTORY is called for every directory that goes, before it is read ("" is the top). */
struct pack_again {
    struct pack_cache *cache;
    int (*directory)(void *userdata, const char *path, int dirfd, struct error *err);
    void *userdata;
};
int pack_directory_again(const char *path, const struct pack_again *again, struct pack *ret,
                         struct error *err);
void pack_done(struct pack *pack);

/* Send what is missing; the number and bytes of files that were sent. */
int pack_send(struct cli *cli, const struct pack *pack, size_t *ret_files, int64_t *ret_bytes,
              struct error *err);

/* ---- pack-cache.c: digests of files that were read before ------------------------------------------ */

struct pack_cache *pack_cache_new(void);
void pack_cache_free(struct pack_cache *cache);
/* CACHE may be NULL: nothing is known, nothing kept. */
bool pack_cache_find(const struct pack_cache *cache, const char *path, const struct stat *st,
                     struct sha256 *ret);
/* SUM is what was read between BEFORE and AFTER. */
void pack_cache_put(struct pack_cache *cache, const char *path, const struct stat *before,
                    const struct stat *after, const struct sha256 *sum);

#endif
