/* layer-name.c - names in a layer: paths beneath its root, and marks (OCI image-spec, layer.md) */
#include "image/unpack.h"

#include "base/alloc.h"
#include "base/text.h"

#include <string.h>

enum { PATH_BYTES_MAX = 4095, PART_MAX = 255 };

char *layer_path(const char *name)
{
    struct text t = { 0 };

    for (;;) {
        name += strspn(name, "/");
        size_t n = strcspn(name, "/");
        if (n == 0)
            break;
        if ((n == 2 && name[0] == '.' && name[1] == '.') || n > PART_MAX ||
            t.len + n + 1 > PATH_BYTES_MAX) {
            text_done(&t);
            return NULL;
        }
        if (n > 1 || name[0] != '.') {
            if (t.len)
                text_add_char(&t, '/');
            text_add_bytes(&t, name, n);
        }
        name += n;
    }
    return text_take(&t);
}

enum layer_mark layer_mark(const char *path, const char **ret_name)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;

    if (!str_starts(name, ".wh."))
        return LAYER_PLAIN;
    if (str_equal(name, ".wh..wh..opq"))
        return LAYER_OPAQUE;
    *ret_name = name + strlen(".wh.");
    /* .wh..wh.plnk and its kind are aufs' own; "." and ".." can be no name. */
    if (str_starts(*ret_name, ".wh.") || str_equal(*ret_name, ".") || str_equal(*ret_name, "..") ||
        !**ret_name)
        return LAYER_IGNORED;
    return LAYER_WHITEOUT;
}
