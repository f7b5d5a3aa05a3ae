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

bool engine_is_by_account(const struct settings *settings)
{
    return engine_is_slurm(settings) && str_equal(settings->slurm_identity, "account");
}

int engine_slurm_site(const struct settings *settings, struct slurm_site *ret, struct error *err)
{
    char *program = xstrdup(settings->node_program);
    int r = program ? 0 : own_program(&program, err);

    if (r < 0)
        return r;
    *ret = (struct slurm_site){
        .conf = settings->slurm_conf,
        .bin = settings->slurm_bin,
        .prefix = settings->slurm_prefix,
        .partition = settings->slurm_partition,
        .account = settings->slurm_account,
        .program = program,
        .home_ca = settings->home_ca,
        .takes_next = settings->slurm_reuse > 0,
        .home_url = settings->home_url ? xstrdup(settings->home_url)
                                       : xasprintf("http://%s", settings->listen[0]),
    };
    return 0;
}

void engine_slurm_site_done(const struct slurm_site *site)
{
    free((char *) (uintptr_t) site->program);
    free((char *) (uintptr_t) site->home_url);
}

static int open_slurm(const struct settings *settings, struct loop *loop, struct engine *local,
                      struct engine **ret, struct error *err)
{
    struct engine_slurm_options options = {
        .loop = loop,
        .state = settings->state,
        .by_account = engine_is_by_account(settings),
        .poll_us = settings->slurm_poll * US_PER_S,
        .reuse_us = settings->slurm_reuse * US_PER_S,
        .gang_wait_us = settings->slurm_gang_wait * US_PER_S,
        .local = local,
    };
    int r = engine_slurm_site(settings, &options.site, err);

    if (r < 0) {
        engine_free(local);
        return r;
    }
    r = engine_slurm_new(&options, ret, err);
    engine_slurm_site_done(&options.site);
    return r;
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
    /* Those whose disk is known first: a share of one that is only assumed would fit nowhere else. */
    for (size_t i = 0; !settings->flavors && i < n_nodes; i++)
        if (nodes[i]->disk_free_bytes > 0)
            add_defaults(settings, lc, nodes[i]);
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
