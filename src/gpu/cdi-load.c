/* cdi-load.c - the machine's CDI specifications: which files count, and which wins
 *
 * What a specification names is mounted and run as root: a file counts only when root alone can
 * change it, and that takes every directory on the way to it.
 */
#include "gpu/internal.h"

#include "os/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_MAX  (1 << 20)
#define FILES_MAX 256

/* The machine's root, which owns "/": 0, or nobody where this process has a namespace of users without it. */
static uid_t root_uid(void)
{
    enum { NOBODY = 65534 };
    struct stat st;

    return lstat("/", &st) == 0 && st.st_uid == NOBODY ? NOBODY : 0;
}

/* In a sticky directory (/tmp) others can add names, but not replace those of root. */
static bool only_root_writes(const struct stat *st, uid_t root)
{
    bool sticky = S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX);

    return st->st_uid == root && (sticky || !(st->st_mode & (S_IWGRP | S_IWOTH)));
}

int path_check_trusted(const char *path, struct error *err)
{
    _cleanup_free_ char *real = realpath(path, NULL);
    uid_t root = root_uid();
    struct stat st;

    if (!real)
        return error_set(err, -errno, "%s: %s", path, strerror(errno));
    for (char *p = real;; p++) {
        if (*p && *p != '/')
            continue;
        char end = *p;
        *p = '\0';
        const char *part = *real ? real : "/";
        if (lstat(part, &st) < 0)
            return error_set(err, -errno, "%s: %s", part, strerror(errno));
        if (!only_root_writes(&st, root))
            return error_set(err, -EPERM,
                             "%s: others than root can change it; chown root %s && chmod go-w %s",
                             part, part, part);
        *p = end;
        if (!end)
            return 0;
    }
}

static int read_spec(const char *path, struct cdi_spec **ret, struct error *err)
{
    _cleanup_text_ struct text text = { 0 };

    int r = path_check_trusted(path, err);
    if (r >= 0)
        r = file_read(AT_FDCWD, path, FILE_MAX, &text, err);
    if (r >= 0)
        r = cdi_parse(text_str(&text), text.len, ret, err);
    return r;
}

/* A hook is as trusted as who can change its program. */
static int check_hooks(const struct cdi_edits *edits, struct error *err)
{
    vec_foreach(&edits->hooks, hook) {
        /* startContainer is run inside the container: its path is not the machine's. */
        int r = str_equal(hook->point, "startContainer") ? 0 : path_check_trusted(hook->path, err);
        if (r < 0)
            return error_context(err, r, "hook");
    }
    return 0;
}

static int check_all_hooks(const struct cdi_spec *spec, struct error *err)
{
    int r = check_hooks(&spec->edits, err);

    vec_foreach(&spec->devices, device)
        if (r >= 0)
            r = check_hooks(&device->edits, err);
    return r;
}

static void load_file(const char *path, unsigned priority, struct cdi_registry *registry)
{
    _cleanup_(cdi_spec_freep) struct cdi_spec *spec = NULL;
    struct cdi_problem problem = { 0 };

    int r = read_spec(path, &spec, &problem.why);
    if (r >= 0)
        r = check_all_hooks(spec, &problem.why);
    if (r < 0) {
        problem.path = xstrdup(path);
        vec_push(&registry->problems, problem);
        return;
    }
    spec->path = xstrdup(path);
    spec->priority = priority;
    vec_push(&registry->specs, take_ptr(spec));
}

static int is_spec(const struct dirent *entry)
{
    return entry->d_name[0] != '.' &&
           (str_ends(entry->d_name, ".json") || str_ends(entry->d_name, ".yaml"));
}

static void load_directory(const char *directory, unsigned priority, struct cdi_registry *registry)
{
    struct dirent **entries = NULL;
    int n = scandir(directory, &entries, is_spec, alphasort);

    for (int i = 0; i < n; i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", directory, entries[i]->d_name);
        if (i < FILES_MAX)
            load_file(path, priority, registry);
        free(entries[i]);
    }
    free(entries);
}

void cdi_load(const char *const *directories, struct cdi_registry *ret)
{
    *ret = (struct cdi_registry){ 0 };
    for (unsigned i = 0; directories && directories[i]; i++)
        load_directory(directories[i], i, ret);
}

void cdi_registry_done(struct cdi_registry *registry)
{
    vec_foreach(&registry->specs, spec)
        cdi_spec_free(*spec);
    vec_foreach(&registry->problems, problem)
        free(problem->path);
    vec_done(&registry->specs);
    vec_done(&registry->problems);
}

static const struct cdi_device *find_device(const struct cdi_spec *spec, const char *name)
{
    size_t kind = strlen(spec->kind);

    if (strncmp(name, spec->kind, kind) != 0 || name[kind] != '=')
        return NULL;
    vec_foreach(&spec->devices, device)
        if (str_equal(device->name, name + kind + 1))
            return device;
    return NULL;
}

static bool is_gpu(const char *kind)
{
    const char *class = strchr(kind, '/');

    return class && str_equal(class, "/gpu");
}

int cdi_gpu_name(const struct cdi_registry *registry, const char *index, char **ret,
                 struct error *err)
{
    const char *kind = NULL;

    vec_foreach(&registry->specs, spec) {
        _cleanup_free_ char *name = xasprintf("%s=%s", (*spec)->kind, index);
        if (!is_gpu((*spec)->kind) || !find_device(*spec, name))
            continue;
        if (kind && !str_equal(kind, (*spec)->kind))
            return error_set(err, -ENOTUNIQ, "GPU %s of this machine may be %s or %s", index, kind,
                             (*spec)->kind);
        kind = (*spec)->kind;
    }
    if (!kind)
        return error_set(err, -ENOENT,
                         "no CDI specification of this machine (/etc/cdi, /run/cdi) has a GPU %s",
                         index);
    *ret = xasprintf("%s=%s", kind, index);
    return 0;
}

int cdi_find(const struct cdi_registry *registry, const char *name,
             const struct cdi_spec **ret_spec, const struct cdi_device **ret_device,
             struct error *err)
{
    const struct cdi_spec *found = NULL;

    vec_foreach(&registry->specs, spec) {
        const struct cdi_device *device = find_device(*spec, name);
        if (!device)
            continue;
        if (found && found->priority == (*spec)->priority)
            return error_set(err, -ENOTUNIQ, "CDI device %s is in %s and in %s; keep one", name,
                             found->path, (*spec)->path);
        found = *spec;
        *ret_device = device;
    }
    if (!found)
        return error_set(err, -ENOENT, "no CDI specification has a device %s", name);
    *ret_spec = found;
    return 0;
}

int cdi_collect(const struct cdi_registry *registry, char *const *names, struct cdi_edits *ret,
                struct error *err)
{
    VEC(const struct cdi_spec *) seen = { 0 };
    int r = 0;

    for (char *const *name = names; r >= 0 && name && *name; name++) {
        const struct cdi_spec *spec = NULL;
        const struct cdi_device *device = NULL;
        bool is_new = true;
        r = cdi_find(registry, *name, &spec, &device, err);
        if (r < 0)
            break;
        vec_foreach(&seen, other)
            is_new &= *other != spec;
        if (is_new) {
            vec_push(&seen, spec);
            edits_add(ret, &spec->edits);
        }
        edits_add(ret, &device->edits);
    }
    vec_done(&seen);
    return r;
}
