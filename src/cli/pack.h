/* pack.h - a directory becomes a workspace: hashed here, sent where the project lacks it */
#ifndef CLI_PACK_H
#define CLI_PACK_H

#include "cli/internal.h"
#include "data/data.h"

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
void pack_done(struct pack *pack);

/* Send what is missing; the number and bytes of files that were sent. */
int pack_send(struct cli *cli, const struct pack *pack, size_t *ret_files, int64_t *ret_bytes,
              struct error *err);

#endif
