/* list.h - what lies in a directory, as text: /storage of a project as it is sent to a node, and what a task did to
 * it there
 *
 * One line an entry: KIND MODE UID SUM SIZE BASE PATH [TARGET]
 *
 *     d   directory            f   file, SUM and SIZE are those of its bytes
 *     l   symbolic link        w   what was there is to be removed (of changes only)
 *
 * MODE is octal; UID counts from the first of the project's range; "-" stands for what an entry does not have.
 * SUM of a link is that of its target. BASE, of changes, is the SUM that was there when the task began. Bytes of paths
 * that are not printable ASCII are percent-encoded. Every entry comes behind its directory, those of a directory in
 * the order of their names' bytes. Times are no part of it, nor are hard links, ACLs or other attributes.
 */
#ifndef STORAGE_LIST_H
#define STORAGE_LIST_H

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/text.h"

#include <stddef.h>
#include <stdint.h>

#define STORAGE_PATH_MAX    4095
#define STORAGE_ENTRIES_MAX 1000000
#define STORAGE_DEPTH_MAX   100
#define STORAGE_UIDS        65536

enum storage_kind {
    STORAGE_DIRECTORY = 'd',
    STORAGE_FILE = 'f',
    STORAGE_LINK = 'l',
    STORAGE_REMOVED = 'w',
};

struct storage_entry {
    enum storage_kind kind;
    unsigned mode, uid;
    int64_t size_bytes;
    struct sha256 sum, base;
    bool has_base;
    const char *path; /* relative; no "", "." or ".." in it */
    const char *link; /* the target, whatever it is */
};

void storage_entry_format(struct text *t, const struct storage_entry *e);
/* Where the strings of an entry lie. */
struct storage_strings {
    char path[3 * STORAGE_PATH_MAX + 1], link[3 * STORAGE_PATH_MAX + 1];
};
/* LINE has no end. Pure; -EINVAL. */
int storage_entry_parse(const char *line, size_t len, struct storage_strings *strings,
                        struct storage_entry *ret, struct error *err);

/* Relative and with nothing in it that leads elsewhere? -EINVAL, -ENAMETOOLONG. */
int storage_path_check(const char *path, struct error *err);
/* The order of lists. */
int storage_path_compare(const char *a, const char *b);
/* Does PATH lie below DIRECTORY? */
bool storage_path_is_below(const char *path, const char *directory);

/* The bytes of a list, mapped: of a file that is only ever written by who made it. */
struct storage_list {
    const char *bytes;
    size_t len;
};
/* FD stays the caller's, and may be closed. */
int storage_list_open(int fd, struct storage_list *ret, struct error *err);
void storage_list_done(struct storage_list *list);
/* The entry at *AT, which moves on. 1; 0: the end. */
int storage_list_next(const struct storage_list *list, size_t *at, struct storage_strings *strings,
                      struct storage_entry *ret, struct error *err);
/* The entry before *AT, which moves back. 1; 0: the beginning. */
int storage_list_previous(const struct storage_list *list, size_t *at,
                          struct storage_strings *strings, struct storage_entry *ret,
                          struct error *err);
/* Where the first entry begins that does not come before PATH. */
size_t storage_list_seek(const struct storage_list *list, const char *path,
                         struct storage_strings *strings);
/* 1: the entry of PATH; 0: there is none. */
int storage_list_find(const struct storage_list *list, const char *path,
                      struct storage_strings *strings, struct storage_entry *ret);

#endif
