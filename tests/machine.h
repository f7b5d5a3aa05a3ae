/* machine.h - a machine of the test's own: a tree of /sys, /proc and /dev below a directory */
#ifndef TESTS_MACHINE_H
#define TESTS_MACHINE_H

#include "tests/tap.h"

#include "base/alloc.h"
#include "base/text.h"
#include "os/fd.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>

/* Where it lies; NULL: there is none. */
static char *root;

static inline void machine_make(void)
{
    ok(mkdir_temporary("/tmp", "berth-machine", &root, NULL) == 0);
}

static inline void machine_drop(void)
{
    ok(remove_tree(AT_FDCWD, root, NULL) == 0);
    free(root);
    root = NULL;
}

/* A file with CONTENT at the path that FMT says, without its first slash. */
__attribute__((format(printf, 2, 3))) static inline void put(const char *content, const char *fmt,
                                                             ...)
{
    _cleanup_text_ struct text path = { 0 };
    va_list ap;

    text_addf(&path, "%s/", root);
    va_start(ap, fmt);
    text_addv(&path, fmt, ap);
    va_end(ap);
    _cleanup_free_ char *parent =
        xstrndup(path.data, (size_t) (strrchr(path.data, '/') - path.data));
    ok(mkdir_all(AT_FDCWD, parent, 0755, NULL) == 0);
    ok(file_replace(AT_FDCWD, path.data, 0644, content, strlen(content), false, NULL) == 0);
}

#endif
