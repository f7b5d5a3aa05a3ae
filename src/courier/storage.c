/* storage.c - /storage of the project comes to a node that does not share it: its list, and of the files what is not
 * here yet
 *
 * A file that is changed while it is sent has another digest than the list says: then a new list is asked for. One
 * that never stands still keeps the task from its beginning, and is named.
 */
#include "courier/internal.h"

#include "base/alloc.h"
#include "os/clock.h"
#include "os/fd.h"
#include "storage/storage.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

enum { TRIES = 5 };

/* What is left free on the disk of the node, at least. */
#define RESERVE_SHARE 20 /* one part in so many */

struct fetching {
    const struct content *content;
    struct storage_list list;
    struct storage_strings strings;
    int64_t missing; /* bytes that are not here */
};

static int check_room(const struct fetching *f, struct error *err)
{
    struct statvfs fs;
    char needs[32], has[32];

    if (statvfs(f->content->spool, &fs) < 0)
        return 0;
    int64_t total = (int64_t) fs.f_blocks * (int64_t) fs.f_frsize;
    int64_t room = (int64_t) fs.f_bavail * (int64_t) fs.f_frsize - total / RESERVE_SHARE;
    if (f->missing <= room)
        return 0;
    return error_set(err, -ENOSPC,
                     "this node lacks %s of it, and its spool %s has room for %s: make room, or "
                     "declare a file system that the nodes share (setting storage)",
                     bytes_to_str(f->missing, needs), f->content->spool,
                     bytes_to_str(room > 0 ? room : 0, has));
}

static int count_missing(struct fetching *f, struct error *err)
{
    struct storage_entry e;
    size_t at = 0;
    int r;

    f->missing = 0;
    while ((r = storage_list_next(&f->list, &at, &f->strings, &e, err)) > 0)
        if (e.kind == STORAGE_FILE && !blob_matches(f->content->blobs, &e.sum, e.size_bytes))
            f->missing += e.size_bytes;
    return r < 0 ? r : check_room(f, err);
}

static int fetch_file(const struct fetching *f, const struct storage_entry *e, struct error *err)
{
    _cleanup_text_ struct text target = { 0 };

    text_add(&target, "storage/");
    content_add_path(&target, e->path);
    int r = content_fetch_blob(f->content, text_str(&target), &e->sum, err);
    if (r == -EBADMSG || r == -ENOENT)
        return error_set(err, -EBADMSG, "file '%.120s' is changed while it is sent", e->path);
    return r;
}

static int fetch_files(struct fetching *f, struct error *err)
{
    struct storage_entry e;
    size_t at = 0;
    int r = count_missing(f, err);

    while (r >= 0 && (r = storage_list_next(&f->list, &at, &f->strings, &e, err)) > 0)
        if (e.kind == STORAGE_FILE)
            r = fetch_file(f, &e, err);
    return r;
}

static int fetch_listed(const struct content *content, const struct sha256 *list,
                        int64_t *ret_missing, struct error *err)
{
    struct fetching *f = xnew(struct fetching);
    _cleanup_close_ int fd = blob_open(content->blobs, list, NULL);
    int r = fd < 0 ? error_set(err, fd, "its list: %s", strerror(-fd))
                   : storage_list_open(fd, &f->list, err);

    f->content = content;
    if (r >= 0)
        r = fetch_files(f, err);
    *ret_missing = f->missing;
    storage_list_done(&f->list);
    free(f);
    return r;
}

int storage_fetch(const struct content *content, struct task_push *push, struct error *err)
{
    char hex[SHA256_HEX_LEN + 1];
    int64_t began_us = clock_boot_us(), size = 0, missing = 0;
    struct sha256 list;
    int r = -EBADMSG;

    for (int i = 0; i < TRIES && r == -EBADMSG; i++) {
        r = content_fetch_list(content, "storage", &list, &size, err);
        if (r >= 0 && size > 0)
            r = fetch_listed(content, &list, &missing, err);
        push->bytes += missing;
    }
    if (r < 0)
        return error_context(err, r, "/storage");
    xstr_set(&push->list, size > 0 ? sha256_format(&list, hex) : NULL);
    push->time_us = clock_boot_us() - began_us;
    return 0;
}
