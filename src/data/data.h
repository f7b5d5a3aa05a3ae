/* data.h - trees of files as values: manifests (path, digest, size, executable) and ignore files */
#ifndef DATA_DATA_H
#define DATA_DATA_H

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/json.h"

struct manifest_entry {
    char *path; /* relative, '/'-separated, no "", ".", ".."; UTF-8; at most 4095 bytes */
    struct sha256 sum;
    int64_t size_bytes;
    bool executable;
    /* symbolic link: its target (relative, staying inside); then sum and size are zero */
    char *link;
};

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
/* NULL when absent. */
const struct manifest_entry *manifest_find(const struct manifest *m, const char *path);
/* Canonical bytes: one line an entry, "f|x|l SHA256 SIZE PATH\n" with the path percent-encoded
 * outside printable ASCII ("l - 0 PATH TARGET"); the digest of these bytes names the tree. Owned by
 * the caller. */
char *manifest_format(const struct manifest *m, size_t *ret_len);
int manifest_parse(const char *bytes, size_t len, struct manifest **ret, struct error *err);
json_t *manifest_to_json(const struct manifest *m);

/* .berthignore in the syntax of gitignore(5): comments, '!', trailing '/', '**', anchoring. */
struct ignore;
struct ignore *ignore_new(void);
void ignore_free(struct ignore *ig);
DEFINE_CLEANUP(struct ignore *, ignore_free);
/* Patterns of a file that lies in directory BASE ("" for the root). */
int ignore_add(struct ignore *ig, const char *base, const char *bytes, size_t len);
bool ignore_match(const struct ignore *ig, const char *path, bool directory);

#endif
