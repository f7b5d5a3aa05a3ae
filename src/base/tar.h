/* tar.h - archives of POSIX.1-2001 (pax): headers to write, and a reader that is fed piece by piece
 *
 * The reader takes files, directories and symbolic links with paths that stay below their root; it
 * refuses everything else. Bytes in names are kept as they are.
 */
#ifndef BASE_TAR_H
#define BASE_TAR_H

#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define TAR_BLOCK    512
#define TAR_PATH_MAX 4095

enum tar_kind { TAR_FILE, TAR_DIRECTORY, TAR_LINK };

struct tar_entry {
    enum tar_kind kind;
    const char *path;   /* relative; "." is the root itself */
    const char *target; /* of a link */
    int64_t size;       /* of a file */
    unsigned mode;      /* permission bits */
    int64_t mtime_s;
    bool more; /* of a file: the next entry, of the same path, goes on with it (a record of ours) */
};

/* The header blocks: with a pax record before them where a name or the size needs one. */
void tar_add_entry(struct text *out, const struct tar_entry *entry);
/* How many bytes of content will come, for whoever shows progress; before the first entry. */
void tar_add_total(struct text *out, int64_t bytes);
/* How many zero bytes fill the last block of a file. */
size_t tar_fill(int64_t size);
void tar_add_end(struct text *out);

enum tar_found { TAR_NOTHING, TAR_ENTRY, TAR_DATA, TAR_END };

/* All-zero is the beginning. */
struct tar_reader {
    unsigned char block[TAR_BLOCK];
    size_t have;
    char type;      /* of the header whose content comes */
    int64_t left;   /* of its content */
    size_t padding; /* after it */
    unsigned zeros; /* blocks */
    bool done;
    struct text records; /* pax */
    char *path, *target; /* of the entry; from records when they said so */
    int64_t size;        /* from a record; -1: none */
    bool has_size, more;
    int64_t total; /* 0: not said */
};

struct tar_piece {
    enum tar_found found;
    struct tar_entry entry; /* strings are the reader's, until the next call */
    const char *bytes;      /* of TAR_DATA: inside of what was given */
    size_t len;
    const char *reason; /* static, of an error */
};

/* Takes bytes up to the next find; returns how many, or -EBADMSG with a reason. At the end of the input
 * only TAR_END is whole. */
ssize_t tar_read(struct tar_reader *reader, const char *bytes, size_t len, struct tar_piece *ret);
void tar_reader_done(struct tar_reader *reader);

/* Relative, no empty part, no "..", not too long; "." alone is the root. */
bool tar_path_is_safe(const char *path);

#endif
