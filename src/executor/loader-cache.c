/* loader-cache.c - the image's own list of libraries, made again with those that devices bring
 *
 * Where a machine keeps its driver's libraries is not where every image's loader looks, and programs ask the
 * list itself (`ldconfig -p`). The image's ldconfig writes what the image's loader reads, in a container
 * like the job's, so that a hostile image harms nobody but itself.
 */
#include "executor/internal.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define DIRECTORIES_MAX 32

/* Specifications of NVIDIA's own toolkit bring a hook that does it. */
static bool has_hook(const struct cdi_edits *edits)
{
    vec_foreach(&edits->hooks, hook)
        for (char **arg = hook->args; arg && *arg; arg++)
            if (strstr(*arg, "ldconfig") || strstr(*arg, "update-ldcache"))
                return true;
    return false;
}

static bool is_library(const char *path)
{
    const char *name = strrchr(path, '/');

    return name && strstr(name, ".so");
}

/* The directories that get libraries, each once; owned by the caller. */
static size_t find_directories(const struct cdi_edits *edits, char *ret[static DIRECTORIES_MAX])
{
    size_t n = 0;

    vec_foreach(&edits->mounts, mount) {
        if (!is_library(mount->target) || n == DIRECTORIES_MAX)
            continue;
        size_t len = (size_t) (strrchr(mount->target, '/') - mount->target);
        bool is_new = len > 0;
        for (size_t i = 0; i < n; i++)
            is_new &= strlen(ret[i]) != len || strncmp(ret[i], mount->target, len) != 0;
        if (is_new)
            ret[n++] = xstrndup(mount->target, len);
    }
    return n;
}

/* Links of the image end within it. */
static bool is_program(int root, const char *path)
{
    struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT };
    _cleanup_close_ int fd = (int) syscall(SYS_openat2, root, path, &how, sizeof how);
    struct stat st;

    return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & S_IXUSR);
}

static const char *find_ldconfig(const struct supervisor *s)
{
    static const char *const paths[] = { "/sbin/ldconfig", "/usr/sbin/ldconfig",
                                         "/usr/bin/ldconfig" };
    _cleanup_free_ char *rootfs = xasprintf("%s/rootfs", s->x->bundle);
    _cleanup_close_ int root = open(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);

    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (is_program(root, paths[i]))
            return paths[i];
    return NULL;
}

/* In the image's cache, besides what its own settings name. */
static int run_ldconfig(struct supervisor *s, const char *program, char *const *directories,
                        size_t n, struct error *err)
{
    const char *command[DIRECTORIES_MAX + 2] = { program };
    struct cdi_edits mounts = { 0 };
    const struct container_step step = {
        .command = command, .edits = &mounts, .is_root = true, .is_silent = true
    };

    for (size_t i = 0; i < n; i++)
        command[i + 1] = directories[i];
    mounts.mounts.items = s->edits.mounts.items;
    mounts.mounts.len = s->edits.mounts.len;
    return container_run(s, &step, err);
}

int loader_cache_make(struct supervisor *s, struct error *err)
{
    char *directories[DIRECTORIES_MAX];

    /* Image `host` has the machine's own list, in which the driver's libraries are. */
    if (!s->spec->image || has_hook(&s->edits))
        return 0;
    size_t n = find_directories(&s->edits, directories);
    if (n == 0)
        return 0;
    const char *program = find_ldconfig(s);
    int r = program ? run_ldconfig(s, program, directories, n, err) : 0;
    for (size_t i = 0; i < n; i++)
        free(directories[i]);
    if (!program)
        s->loader_cache = "the image has no ldconfig";
    else
        s->loader_cache = r == 0 ? "made" : "ldconfig failed";
    return r < 0 ? error_context(err, r, "%s", program) : 0;
}
