/* storage.h - /storage of a project where the nodes share no file system: sent to a node by digest, and what a task
 * did there brought back (docs/design/0014)
 *
 *     home: scan → list        node: tree (hard links to blobs) below an overlay, whose upper layer the task writes
 *     home: land ← changes     node: the upper layer as a list of changes and blobs
 *
 * All of it blocks. What lies in these directories was written by others: nothing is followed, everything is opened
 * beneath its root, and what is neither file, directory nor link is left out and counted.
 */
#ifndef STORAGE_STORAGE_H
#define STORAGE_STORAGE_H

#include "blob/blob.h"
#include "storage/list.h"

#include <sys/types.h>

struct storage_counts {
    int64_t files, bytes;
    int64_t left_out; /* sockets, devices, names that are not UTF-8, what cannot be read */
};

/* ---- home ----------------------------------------------------------------------------------------------- */

struct storage_scan {
    int root;
    uint32_t uid_base; /* the project's; others are taken for its first */
    int index;     /* of the last scan: what has not changed since is not read again; -1: none */
    int new_index; /* -1: none is written */
    int out;       /* takes the list */
};
int storage_scan(const struct storage_scan *options, struct storage_counts *ret, struct error *err);

struct storage_land {
    int root;
    uint32_t uid_base;
    bool own_ids;     /* uids are the project's range; else everything is this process's */
    const char *name; /* of the task, in the names of what lost: FILE.conflict-NAME */
    struct blob_store *blobs;
    const struct storage_list *changes;
};
/* Make the changes. A file that is not what it was when the task began stays as it is, and the task's comes beside
 * it; what others changed is not removed. TOLD gets a line for each. The same again changes nothing. */
int storage_land(const struct storage_land *options, struct text *told, struct storage_counts *ret,
                 struct error *err);

/* ---- a node --------------------------------------------------------------------------------------------- */

struct storage_tree {
    struct blob_store *blobs; /* has every file of the list */
    const struct sha256 *list;
    const struct id *project;
    uint32_t uid_base;
    bool
        own_ids; /* as root: owners are the project's range, but its first is the owner of the blobs */
};
/* The directory that the list means, read-only for everybody, made if it is not there; an O_PATH descriptor. */
int storage_tree_open(const struct storage_tree *tree, int *ret_fd, struct error *err);
/* How it is called in STATE/trees. */
void storage_tree_name(const struct sha256 *list, const struct id *project, struct sha256 *ret);

struct storage_changes {
    int upper;         /* the upper layer of an overlay above the tree of LIST */
    const char *xattr; /* says of a directory that nothing below is seen through it */
    const struct storage_list *list;
    uint32_t uid_base;
    bool own_ids;
    struct blob_store *blobs;
};
/* A manifest, stored as a blob, of the list of changes ("changes") and of every file in it ("files/SUM"). 0: there are
 * no changes; 1. */
int storage_changes(const struct storage_changes *options, struct sha256 *ret,
                    struct storage_counts *ret_counts, struct error *err);

/* Parts of this header in files of their own. */
#include "storage/keeper.h"

#endif
