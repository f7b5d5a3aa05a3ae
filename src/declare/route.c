/* route.c - from method and path to endpoint
 *
 * A linear walk over a few dozen templates, segment by segment: below a microsecond, and the table
 * needs no order. A literal segment wins over a parameter.
 */
#include "declare/internal.h"

#include <errno.h>
#include <string.h>

static const char *const method_names[] = { "GET", "POST", "PUT", "PATCH", "DELETE" };

/* Does PATH have the form of TEMPLATE? How many literal segments did match? -1: no. */
static int match_path(const char *template, const char *path, size_t len, struct declare_match *ret)
{
    const char *end = path + len;
    size_t n_params = 0;
    int literals = 0;

    while (*template == '/') {
        if (path == end || *path != '/')
            return -1;
        template ++, path++;
        size_t want = strcspn(template, "/");
        bool rest = want > 2 && template[want - 2] == '*';
        const char *slash = rest ? NULL : memchr(path, '/', (size_t) (end - path));
        size_t got = (size_t) ((slash ? slash : end) - path);
        if (*template == '{') {
            if (got == 0)
                return -1;
            ret->params[n_params].start = path;
            ret->params[n_params++].len = got;
        } else if (got != want || memcmp(template, path, want) != 0) {
            return -1;
        } else {
            literals++;
        }
        template += want;
        path += got;
    }
    return path == end ? literals : -1;
}

static unsigned method_bit(const char *method)
{
    for (unsigned i = 0; i < sizeof method_names / sizeof *method_names; i++)
        if (strcmp(method_names[i], method) == 0)
            return 1u << i;
    return 0;
}

/* Methods that some endpoint of this path takes. */
static unsigned methods_of(const char *path, size_t path_len)
{
    unsigned methods = 0;

    for (size_t i = 0; i < declare_n_endpoints; i++) {
        struct declare_match match;
        if (match_path(declare_endpoints[i].path, path, path_len, &match) >= 0)
            methods |= method_bit(declare_endpoints[i].method);
    }
    return methods;
}

int declare_route(const char *method, const char *path, size_t path_len, struct declare_match *ret)
{
    struct declare_match best = { 0 };
    int most = -1;

    if (strcmp(method, "HEAD") == 0)
        method = "GET";
    for (size_t i = 0; i < declare_n_endpoints; i++) {
        struct declare_match match = { .endpoint = &declare_endpoints[i] };
        if (strcmp(match.endpoint->method, method) != 0)
            continue;
        int literals = match_path(match.endpoint->path, path, path_len, &match);
        if (literals > most)
            best = match, most = literals;
    }
    best.methods = most < 0 ? methods_of(path, path_len) : 0;
    *ret = best;
    if (best.endpoint)
        return 0;
    return best.methods ? -EOPNOTSUPP : -ENOENT;
}
