/* archive.c - load libarchive */
#include "image/archive.h"

#include <dlfcn.h>
#include <errno.h>
#include <locale.h>
#include <stddef.h>
#include <string.h>

#define FUNCTION(field, name)                                                                      \
    {                                                                                              \
        name, offsetof(struct libarchive, field)                                                   \
    }

static const struct {
    const char *name;
    size_t offset;
} functions[] = {
    FUNCTION(read_new, "archive_read_new"),
    FUNCTION(read_free, "archive_read_free"),
    FUNCTION(filter_gzip, "archive_read_support_filter_gzip"),
    FUNCTION(filter_zstd, "archive_read_support_filter_zstd"),
    FUNCTION(format_tar, "archive_read_support_format_tar"),
    FUNCTION(format_raw, "archive_read_support_format_raw"),
    FUNCTION(format_empty, "archive_read_support_format_empty"),
    FUNCTION(open_fd, "archive_read_open_fd"),
    FUNCTION(open, "archive_read_open"),
    FUNCTION(next_header, "archive_read_next_header"),
    FUNCTION(data, "archive_read_data"),
    FUNCTION(data_block, "archive_read_data_block"),
    FUNCTION(error_string, "archive_error_string"),
    FUNCTION(pathname, "archive_entry_pathname"),
    FUNCTION(hardlink, "archive_entry_hardlink"),
    FUNCTION(symlink, "archive_entry_symlink"),
    FUNCTION(filetype, "archive_entry_filetype"),
    FUNCTION(perm, "archive_entry_perm"),
    FUNCTION(size, "archive_entry_size"),
    FUNCTION(uid, "archive_entry_uid"),
    FUNCTION(gid, "archive_entry_gid"),
    FUNCTION(mtime, "archive_entry_mtime"),
    FUNCTION(mtime_nsec, "archive_entry_mtime_nsec"),
    FUNCTION(xattr_reset, "archive_entry_xattr_reset"),
    FUNCTION(xattr_next, "archive_entry_xattr_next"),
};

static int load(struct libarchive *ret)
{
    void *library = dlopen("libarchive.so.13", RTLD_NOW | RTLD_LOCAL);

    if (!library)
        return -ENOENT;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *symbol = dlsym(library, functions[i].name);
        if (!symbol)
            return -ENOENT;
        memcpy((char *) ret + functions[i].offset, &symbol, sizeof symbol);
    }
    return 0;
}

int archive_load(const struct libarchive **ret, struct error *err)
{
    static struct libarchive loaded;

    *ret = &loaded;
    if (loaded.read_new)
        return 0;
    struct libarchive fresh = { 0 };
    if (load(&fresh) < 0)
        return error_set(err, -ENOENT,
                         "this machine has no libarchive.so.13; install it: apt-get install "
                         "libarchive13");
    locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t) 0);
    if (locale)
        (void) uselocale(locale);
    loaded = fresh;
    return 0;
}
