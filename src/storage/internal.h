/* internal.h - what the files of storage/ share */
#ifndef STORAGE_INTERNAL_H
#define STORAGE_INTERNAL_H

#include "base/vec.h"
#include "storage/storage.h"

#include <sys/stat.h>

#define CHUNK_BYTES     (256 * 1024)
#define TEMPORARY_START ".berth-landing-" /* names of files that are not whole yet */

struct names {
    VEC(char *) all;
};
/* Of the entries of DIRFD, in the order of their bytes. */
int names_read(int dirfd, struct names *ret, struct error *err);
void names_done(struct names *names);

/* A list on its way to a file. */
struct list_writer {
    int fd;
    struct text out;
    int64_t n;
};
int list_writer_add(struct list_writer *w, const struct storage_entry *e, struct error *err);
int list_writer_end(struct list_writer *w, struct error *err);

/* PATH grows by NAME; returns the length to go back to. */
size_t path_enter(struct text *path, const char *name);
void path_leave(struct text *path, size_t len);

/* The target of the link NAME; owned by the caller, NULL when it cannot be read. */
char *link_read(int dirfd, const char *name);
struct sha256 link_sum(const char *target);
/* A file without a name in the directory PATH, in memory where there can be none. */
int file_unnamed(int dirfd, const char *path);
/* A directory below DIRFD to be read. Negative errno. */
int directory_open(int dirfd, const char *name);

#endif
