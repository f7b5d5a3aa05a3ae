/* devices.c - GPUs and RDMA adapters in a container: what CDI says of them, made by root
 *
 * Device nodes are made anew on a tmpfs of the supervisor and bound to their places: they belong to
 * whom the command runs as, whoever owns the machine's, and only those of the job's devices are
 * there. The device cgroup is opened for exactly their numbers.
 */
#include "executor/internal.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define RDMA_DIRECTORY "/dev/infiniband"
#define LISTED_MAX     1024

/* ---- before the start -------------------------------------------------------------------------- */

bool devices_are_wanted(const struct task_spec *spec)
{
    return spec->allocation->gpus || spec->workload_spec->rdma;
}

/* Where the kind is not known to who placed it ("=0"), it is what this machine has. */
static int name_gpus(const struct cdi_registry *registry, char **devices, struct error *err)
{
    int r = 0;

    for (char **device = devices; r >= 0 && device && *device; device++) {
        _cleanup_free_ char *name = NULL;
        if (**device == '=')
            r = cdi_gpu_name(registry, *device + 1, &name, err);
        if (name)
            xstr_set(device, name);
    }
    return r;
}

static int collect_gpus(struct supervisor *s, struct error *err)
{
    const struct allocation *a = s->spec->allocation;
    struct cdi_registry registry = { 0 };

    for (unsigned i = 0; a->gpus && a->gpus[i]; i++)
        if (!a->devices || !a->devices[i] || !*a->devices[i])
            return error_set(err, -ENODEV, "no CDI specification gives GPU %s to containers",
                             a->gpus[i]);
    cdi_load(s->x->cdi, &registry);
    int r = name_gpus(&registry, a->devices, err);
    if (r >= 0)
        r = cdi_collect(&registry, a->devices, &s->edits, err);
    cdi_registry_done(&registry);
    return r;
}

static int add_rdma(struct cdi_edits *edits, const char *driver_root, struct error *err)
{
    _cleanup_free_ char *path =
        xasprintf("%s" RDMA_DIRECTORY, str_equal(driver_root, "/") ? "" : driver_root);
    DIR *dir = opendir(path);
    size_t before = edits->nodes.len;

    for (struct dirent *e; dir && (e = readdir(dir));) {
        struct stat st;
        if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISCHR(st.st_mode))
            continue;
        const struct cdi_node node = { .path = xasprintf(RDMA_DIRECTORY "/%s", e->d_name),
                                       .host_path = xasprintf("%s/%s", path, e->d_name),
                                       .permissions = xstrdup("rw"),
                                       .mode = 0666 };
        vec_push(&edits->nodes, node);
    }
    if (dir)
        closedir(dir);
    if (edits->nodes.len == before)
        return error_set(err, -ENODEV, "the flavor gives RDMA, but there is no adapter in %s",
                         path);
    return 0;
}

static int make_node(struct supervisor *s, const char *directory, size_t i, struct error *err)
{
    struct cdi_node *node = &s->edits.nodes.items[i];
    /* Root inside may use it in any case; others only what is theirs. */
    uid_t uid = supervisor_uid(s, node->uid ? node->uid : s->user.uid);
    gid_t gid = supervisor_gid(s, node->gid ? node->gid : s->user.gid);
    mode_t type = node->type == 'b' ? S_IFBLK : S_IFCHR;
    char *path = xasprintf("%s/%zu", directory, i);

    if (mknod(path, type | 0600, makedev(node->major, node->minor)) < 0 ||
        chown(path, uid, gid) < 0 || chmod(path, (mode_t) node->mode) < 0) {
        int r = error_set(err, -errno, "device node %s: %s", node->path, strerror(errno));
        free(path);
        return r;
    }
    free(node->host_path);
    node->host_path = path;
    return 0;
}

static int make_nodes(struct supervisor *s, struct error *err)
{
    _cleanup_free_ char *directory = xasprintf("%s/dev", s->x->bundle);

    if (mkdir(directory, 0711) < 0 ||
        mount("tmpfs", directory, "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0711,size=1m") < 0)
        return error_set(err, -errno, "%s: %s", directory, strerror(errno));
    for (size_t i = 0; i < s->edits.nodes.len; i++) {
        int r = make_node(s, directory, i, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static bool is_below(const char *path, const char *directory)
{
    size_t len = strlen(directory);

    return strncmp(path, directory, len) == 0 && (path[len] == '/' || !path[len]);
}

static bool is_bound(const struct image *image, const char *path)
{
    vec_foreach(&image->binds, bind)
        if (str_equal(bind->source, bind->target) && is_below(path, bind->target))
            return true;
    return false;
}

/* The image shows the machine's own directory there. Either the file is in its place, or it cannot be put
 * there, but is seen under its own name. */
static bool is_shown(const struct image *image, const struct cdi_mount *mount)
{
    struct stat source, target;

    if (!is_bound(image, mount->target))
        return false;
    if (stat(mount->target, &target) < 0)
        return is_bound(image, mount->source);
    return stat(mount->source, &source) == 0 && source.st_dev == target.st_dev &&
           source.st_ino == target.st_ino;
}

static void drop_shown_mounts(struct supervisor *s)
{
    struct cdi_edits all = s->edits;

    s->edits.mounts.items = NULL;
    s->edits.mounts.len = s->edits.mounts.cap = 0;
    struct cdi_edits dropped = { 0 };
    vec_foreach(&all.mounts, mount) {
        if (is_shown(s->image, mount))
            vec_push(&dropped.mounts, *mount);
        else
            vec_push(&s->edits.mounts, *mount);
    }
    vec_done(&all.mounts);
    cdi_edits_done(&dropped);
}

/* Pinned memory counts against RLIMIT_MEMLOCK. The supervisor's own limit is what crun may give. */
static void raise_memlock(void)
{
    const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };

    (void) setrlimit(RLIMIT_MEMLOCK, &unlimited);
}

int devices_make(struct supervisor *s, struct error *err)
{
    int r = 0;

    if (!devices_are_wanted(s->spec))
        return 0;
    raise_memlock();
    if (s->spec->allocation->gpus)
        r = collect_gpus(s, err);
    if (r >= 0 && s->spec->workload_spec->rdma)
        r = add_rdma(&s->edits, s->x->driver_root, err);
    if (r >= 0)
        r = cdi_edits_fill(&s->edits, err);
    if (r >= 0 && s->x->mode->own_devices)
        r = make_nodes(s, err);
    drop_shown_mounts(s);
    return r;
}

/* ---- config.json (pure) ------------------------------------------------------------------------ */

static json_t *bind_mount(const char *target, const char *source, const char *const *options)
{
    json_t *json = json_object(), *list = json_array();

    json_put_str(json, "destination", target);
    json_put_str(json, "type", "bind");
    json_put_str(json, "source", source);
    for (; *options; options++)
        (void) json_array_append_new(list, json_string(*options));
    json_put(json, "options", list);
    return json;
}

static bool has_option(char *const *options, const char *option)
{
    for (; *options; options++)
        if (str_equal(*options, option))
            return true;
    return false;
}

static json_t *mount_of(const struct cdi_mount *mount)
{
    static const char *const none[] = { NULL };
    bool is_bind = !mount->type || !*mount->type || str_equal(mount->type, "bind") ||
                   str_equal(mount->type, "none");
    json_t *json = bind_mount(mount->target, mount->source, none);
    json_t *options = json_object_get(json, "options");

    if (is_bind && !has_option(mount->options, "bind") && !has_option(mount->options, "rbind"))
        (void) json_array_append_new(options, json_string("bind"));
    for (char **option = mount->options; *option; option++)
        (void) json_array_append_new(options, json_string(*option));
    (void) json_array_append_new(options, json_string("nosuid"));
    (void) json_array_append_new(options, json_string("nodev"));
    if (!is_bind)
        json_put_str(json, "type", mount->type);
    return json;
}

static json_t *rule_of(const struct cdi_node *node)
{
    const char type[2] = { node->type, '\0' };
    json_t *json = json_object();

    json_put(json, "allow", json_true());
    json_put_str(json, "type", type);
    json_put_int(json, "major", node->major);
    json_put_int(json, "minor", node->minor);
    json_put_str(json, "access", node->permissions);
    return json;
}

static json_t *strings_of(char *const *list)
{
    json_t *array = json_array();

    for (; *list; list++)
        (void) json_array_append_new(array, json_string(*list));
    return array;
}

static void add_hook(json_t *hooks, const struct cdi_hook *hook)
{
    json_t *list = json_object_get(hooks, hook->point), *json = json_object();

    if (!list) {
        list = json_array();
        json_put(hooks, hook->point, list);
    }
    json_put_str(json, "path", hook->path);
    if (hook->args)
        json_put(json, "args", strings_of(hook->args));
    if (hook->env)
        json_put(json, "env", strings_of(hook->env));
    if (hook->timeout_s)
        json_put_int(json, "timeout", hook->timeout_s);
    (void) json_array_append_new(list, json);
}

void devices_put(const struct cdi_edits *edits, json_t *config)
{
    static const char *const node_options[] = { "bind", "rw", "nosuid", "noexec", NULL };
    json_t *mounts = json_object_get(config, "mounts"), *hooks = json_object();
    json_t *resources = json_object_get(json_object_get(config, "linux"), "resources");
    json_t *rules = json_object_get(resources, "devices");

    vec_foreach(&edits->nodes, node) {
        (void) json_array_append_new(mounts, bind_mount(node->path, node->host_path, node_options));
        (void) json_array_append_new(rules, rule_of(node));
    }
    vec_foreach(&edits->mounts, mount)
        (void) json_array_append_new(mounts, mount_of(mount));
    vec_foreach(&edits->hooks, hook)
        add_hook(hooks, hook);
    if (json_object_size(hooks))
        json_put(config, "hooks", hooks);
    else
        json_decref(hooks);
}

/* ---- what the kernel says ---------------------------------------------------------------------- */

/* Those that every container has. */
static bool is_usual(const char *path)
{
    static const char *const usual[] = { "/dev/null",    "/dev/zero", "/dev/full",    "/dev/random",
                                         "/dev/urandom", "/dev/tty",  "/dev/console", "/dev/ptmx" };

    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (str_equal(path, usual[i]))
            return true;
    return str_starts(path, "/dev/pts/");
}

/* The nodes below FD (closed here), which shows PATH inside. */
static void list_nodes(int fd, const char *path, unsigned depth, json_t *list)
{
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

    if (!dir) {
        safe_close(fd);
        return;
    }
    for (struct dirent *e; json_array_size(list) < LISTED_MAX && (e = readdir(dir));) {
        _cleanup_free_ char *name = xasprintf("%s/%s", path, e->d_name);
        struct stat st;
        if (e->d_name[0] == '.' || fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (S_ISDIR(st.st_mode) && depth > 0)
            list_nodes(openat(dirfd(dir), e->d_name,
                              O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
                       name, depth - 1, list);
        if ((S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) && !is_usual(name)) {
            _cleanup_free_ char *text =
                xasprintf("%s %c %u:%u", name, S_ISBLK(st.st_mode) ? 'b' : 'c', major(st.st_rdev),
                          minor(st.st_rdev));
            (void) json_array_append_new(list, json_string(text));
        }
    }
    closedir(dir);
}

json_t *devices_read(struct supervisor *s)
{
    _cleanup_free_ char *path = xasprintf("/proc/%d/root/dev", (int) s->container.pid);
    _cleanup_free_ char *rules =
        cgroup_read(&s->x->cgroups, CGROUP_DEVICES, s->name, "devices.list", NULL);
    json_t *json = json_object(), *nodes = json_array(), *list = json_array();
    char *save = NULL;

    list_nodes(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), "/dev", 3, nodes);
    json_put(json, "devices", nodes);
    for (char *line = rules ? strtok_r(rules, "\n", &save) : NULL; line;
         line = strtok_r(NULL, "\n", &save))
        (void) json_array_append_new(list, json_string(line));
    if (rules)
        json_put(json, "device_rules", list);
    else
        json_decref(list);
    json_put_str(json, "loader_cache", s->loader_cache);
    return json;
}
