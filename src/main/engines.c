/* engines.c - from settings to an engine */
#include "main/engines.h"

#include "base/alloc.h"
#include "base/time.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

enum { FLAVORS_MAX = 32 };

bool engine_is_slurm(const struct settings *settings)
{
    return str_equal(settings->engine, "slurm");
}

/* This executable: where nodes have it, unless the operator says otherwise. */
static int own_program(char **ret, struct error *err)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);

    if (n < 0)
        return error_set(err, -errno, "/proc/self/exe: %s", strerror(errno));
    *ret = xstrndup(path, (size_t) n);
    return 0;
}

static int open_slurm(const struct settings *settings, struct loop *loop, struct engine *local,
                      struct engine **ret, struct error *err)
{
    _cleanup_free_ char *program = xstrdup(settings->node_program);
    _cleanup_free_ char *url = settings->home_url ? xstrdup(settings->home_url)
                                                  : xasprintf("http://%s", settings->listen[0]);
    int r = program ? 0 : own_program(&program, err);
    if (r < 0) {
        engine_free(local);
        return r;
    }
    const struct engine_slurm_options options = {
        .loop = loop,
        .state = settings->state,
        .conf = settings->slurm_conf,
        .bin = settings->slurm_bin,
        .prefix = settings->slurm_prefix,
        .partition = settings->slurm_partition,
        .account = settings->slurm_account,
        .program = program,
        .home_url = url,
        .poll_us = settings->slurm_poll * US_PER_S,
        .reuse_us = settings->slurm_reuse * US_PER_S,
        .local = local,
    };
    return engine_slurm_new(&options, ret, err);
}

int engine_open(const struct settings *settings, struct loop *loop, int launcher_fd,
                struct engine **ret, struct error *err)
{
    const struct engine_local_options options = {
        .loop = loop,
        .state = settings->state,
        .runtime = settings->runtime,
        .launcher_fd = launcher_fd,
    };
    struct engine *local;
    int r = engine_local_new(&options, &local, err);
    if (r < 0)
        return r;
    if (engine_is_slurm(settings))
        return open_slurm(settings, loop, local, ret, err);
    *ret = local;
    return 0;
}

/* ---- flavors ------------------------------------------------------------------------------------- */

static bool is_known(struct lifecycle *lc, const char *name)
{
    const struct flavor *const *flavors;
    size_t n;

    lifecycle_flavors(lc, &flavors, &n);
    for (size_t i = 0; i < n; i++)
        if (str_equal(flavors[i]->name, name))
            return true;
    return false;
}

/* A batch system gives a core to one job: nothing is shared there. */
static void add_defaults(const struct settings *settings, struct lifecycle *lc,
                         const struct node *node)
{
    struct flavor *defaults[FLAVORS_MAX];
    size_t n = flavor_defaults(node, defaults, FLAVORS_MAX);

    for (size_t i = 0; i < n; i++)
        if (is_known(lc, defaults[i]->name) || (defaults[i]->shared && engine_is_slurm(settings)))
            flavor_free(defaults[i]);
        else
            lifecycle_add_flavor(lc, defaults[i]);
}

int engine_add_flavors(const struct settings *settings, struct lifecycle *lc,
                       const struct node *node, struct error *err)
{
    const struct node *const *nodes;
    size_t n_nodes;

    lifecycle_nodes(lc, &nodes, &n_nodes);
    if (!settings->flavors && node)
        add_defaults(settings, lc, node);
    for (size_t i = 0; !settings->flavors && i < n_nodes; i++)
        add_defaults(settings, lc, nodes[i]);
    for (size_t i = 0; i < json_array_size(settings->flavors); i++) {
        struct flavor *flavor = NULL;
        int r = flavor_from_json(json_array_get(settings->flavors, i), &flavor, err);
        if (r >= 0 && flavor->shared && engine_is_slurm(settings)) {
            r = error_set(err, -EINVAL, "flavor %s is shared, and Slurm gives a core to one job",
                          flavor->name);
            flavor_free(flavor);
        }
        if (r < 0)
            return error_context(err, r, "setting flavors[%zu]", i);
        lifecycle_add_flavor(lc, flavor);
    }
    return 0;
}
