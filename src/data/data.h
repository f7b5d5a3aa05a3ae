/* data.h - trees of files as values: manifests (path, digest, size, executable) and ignore files */
#ifndef DATA_DATA_H
#define DATA_DATA_H

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/json.h"
#include "data/image.h"

#include <sys/types.h>

struct manifest_entry {
    char *path; /* relative, '/'-separated, no "", ".", ".."; UTF-8; at most 4095 bytes */
    struct sha256 sum;
    int64_t size_bytes;
    bool executable;
    /* symbolic link: its target (relative, staying inside); then sum and size are zero */
    char *link;
};

/* A path, and a link of a path, that a tree may have; -EINVAL, -ENAMETOOLONG, -EILSEQ, -EXDEV. */
int manifest_path_check(const char *path, struct error *err);
int manifest_link_check(const char *path, const char *target, struct error *err);

/* Sorted by path (bytes), no path twice, no path below a file. */
struct manifest {
    struct manifest_entry *entries;
    size_t n;
    size_t cap;
    int64_t size_bytes; /* of all */
};

struct manifest *manifest_new(void);
void manifest_free(struct manifest *m);
DEFINE_CLEANUP(struct manifest *, manifest_free);
/* Copies. Entries may come in any order; manifest_seal() sorts and checks. */
int manifest_add(struct manifest *m, const char *path, const struct sha256 *sum, int64_t size_bytes,
                 bool executable, const char *link, struct error *err);
int manifest_seal(struct manifest *m, struct error *err);
/* Add what MORE has at paths that *INTO has not. -ENOTDIR and the like, with *INTO as it was, when a file of
 * one lies where the other has a directory. */
int manifest_merge(struct manifest **into, const struct manifest *more, struct error *err);
/* NULL when absent. */
const struct manifest_entry *manifest_find(const struct manifest *m, const char *path);
/* Canonical bytes: one line an entry, "f|x|l SHA256 SIZE PATH\n" with the path percent-encoded
 * outside printable ASCII ("l - 0 PATH TARGET"); the digest of these bytes names the tree. Owned by
 * the caller. */
char *manifest_format(const struct manifest *m, size_t *ret_len);
int manifest_parse(const char *bytes, size_t len, struct manifest **ret, struct error *err);
json_t *manifest_to_json(const struct manifest *m);
json_t *manifest_entry_to_json(const struct manifest_entry *e);

/* Trees that are too large to hold: one line at a time, in memory that does not grow with them. */
#define MANIFEST_LINE_MAX 25000 /* with its end */
/* The line of E, with its end. */
void manifest_format_line(struct text *t, const struct manifest_entry *e);
/* Reads lines in order and checks all that manifest_parse() checks, except the number of entries. */
struct manifest_reader;
struct manifest_reader *manifest_reader_new(void);
void manifest_reader_free(struct manifest_reader *reader);
DEFINE_CLEANUP(struct manifest_reader *, manifest_reader_free);
/* The first line of BYTES: how many bytes it took (0: it has no end yet) and its entry, which is valid
 * until the next call; a negative errno for a line that is not canonical or not in order. */
ssize_t manifest_reader_next(struct manifest_reader *reader, const char *bytes, size_t len,
                             const struct manifest_entry **ret, struct error *err);
/* Of the lines read so far. */
int64_t manifest_reader_entries(const struct manifest_reader *reader);
int64_t manifest_reader_size(const struct manifest_reader *reader);
/* Go on at a line that is known to follow LAST_PATH; what lies before was checked by somebody else. */
void manifest_reader_resume(struct manifest_reader *reader, const char *last_path);

/* .berthignore in the syntax of gitignore(5): comments, '!', trailing '/', '**', anchoring. */
struct ignore;
struct ignore *ignore_new(void);
void ignore_free(struct ignore *ig);
DEFINE_CLEANUP(struct ignore *, ignore_free);
/* Patterns of a file that lies in directory BASE ("" for the root). */
int ignore_add(struct ignore *ig, const char *base, const char *bytes, size_t len);
bool ignore_match(const struct ignore *ig, const char *path, bool directory);

/* Parts of this header in files of their own. */
#include "data/bundle.h"
#include "data/dataset.h"

#endif
