/* archive.h - libarchive, loaded when it is needed
 *
 * Only children that read archives load it: the one that unpacks a layer, and the one that takes an
 * image out of a file.
 */
#ifndef IMAGE_ARCHIVE_H
#define IMAGE_ARCHIVE_H

#include "base/error.h"

#include <archive.h>
#include <archive_entry.h>

struct libarchive {
    typeof(&archive_read_new) read_new;
    typeof(&archive_read_free) read_free;
    typeof(&archive_read_support_filter_gzip) filter_gzip;
    typeof(&archive_read_support_filter_zstd) filter_zstd;
    typeof(&archive_read_support_format_tar) format_tar;
    typeof(&archive_read_support_format_raw) format_raw;
    typeof(&archive_read_support_format_empty) format_empty;
    typeof(&archive_read_open_fd) open_fd;
    typeof(&archive_read_open) open;
    typeof(&archive_read_next_header) next_header;
    typeof(&archive_read_data) data;
    typeof(&archive_read_data_block) data_block;
    typeof(&archive_error_string) error_string;
    typeof(&archive_entry_pathname) pathname;
    typeof(&archive_entry_hardlink) hardlink;
    typeof(&archive_entry_symlink) symlink;
    typeof(&archive_entry_filetype) filetype;
    typeof(&archive_entry_perm) perm;
    typeof(&archive_entry_size) size;
    typeof(&archive_entry_uid) uid;
    typeof(&archive_entry_gid) gid;
    typeof(&archive_entry_mtime) mtime;
    typeof(&archive_entry_mtime_nsec) mtime_nsec;
    typeof(&archive_entry_xattr_reset) xattr_reset;
    typeof(&archive_entry_xattr_next) xattr_next;
};

/* Loaded once and kept; -ENOENT when this machine has no libarchive. The calling thread gets a
 * UTF-8 locale: without one names beyond ASCII end the reading. */
int archive_load(const struct libarchive **ret, struct error *err);

#endif
