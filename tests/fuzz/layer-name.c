/* A path of a layer never leaves it, and says the same when it is read again. */
#include "image/image.h"

#include "base/alloc.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    _cleanup_free_ char *name = xstrndup((const char *) data, size);
    _cleanup_free_ char *path = layer_path(name);
    const char *hidden = NULL;

    if (!path)
        return 0;
    _cleanup_free_ char *again = layer_path(path);
    assert(again && strcmp(path, again) == 0 && path[0] != '/' && strlen(path) <= 4095);
    assert(!strstr(path, "//") && strncmp(path, "../", 3) != 0 && !strstr(path, "/../"));
    if (layer_mark(path, &hidden) == LAYER_WHITEOUT)
        assert(*hidden && !strchr(hidden, '/') && strcmp(hidden, "..") != 0);
    return 0;
}
