/* scan.h - a directory in the order of its manifest, whatever its size
 *
 * Memory holds the names of the directories that are open, nothing else of the tree.
 */
#ifndef CLI_SCAN_H
#define CLI_SCAN_H

#include "base/error.h"

#include <sys/stat.h>

struct scan_item {
    const char *path; /* relative to the top; "" for the top itself */
    const char *name; /* in DIRFD */
    int dirfd;
    const struct stat *st;
    const char *link; /* target of a symbolic link; NULL: none */
};

/* ITEM is called for every regular file and link in the order of manifests, for every directory before
 * what it holds, and for what is neither (by ST): a negative errno ends the walk. */
typedef int (*scan_f)(void *userdata, const struct scan_item *item, struct error *err);
int scan_directory(int top, scan_f item, void *userdata, struct error *err);

#endif
