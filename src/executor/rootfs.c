/* rootfs.c - what a container sees, mounted in its supervisor's own mount namespace
 *
 *     BUNDLE            tmpfs: config.json, crun's state; gone with the supervisor
 *     BUNDLE/rootfs     overlay: the image's skeleton and layers below, a private layer above
 *       /usr …          read-only binds of the image's allow-list
 *       /workspace      overlay over the submitted tree, or a directory of the private layer
 *       /storage /artifacts   of the project and of the job, in the project's range of uids
 *       /sys            of the container's network namespace, read-only
 *       /run/berth      of a gang: BUNDLE/gang, read-only
 *
 * The private layer is STATE/running/ATTEMPT. Paths below STATE are opened beneath it without
 * following links: what lies there was written by others.
 */
#include "executor/internal.h"

#include "agent/agent.h"
#include "base/alloc.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

static int fail(struct error *err, const char *what)
{
    int r = errno ? -errno : -EIO;

    return error_set(err, r, "%s: %s", what, strerror(-r));
}

/* Whom the command runs as, outside. */
static struct owner user_of(const struct supervisor *s, mode_t mode)
{
    return (struct owner){ supervisor_uid(s, s->user.uid), supervisor_gid(s, s->user.gid), mode };
}

/* A directory below DIR, made if it is not there, owned by the project. */
static int own_directory(int dir, const char *path, const struct owner *owner, int *ret_fd,
                         struct error *err)
{
    _cleanup_free_ char *parent = xstrdup(path);
    bool made = false;

    for (char *p = strchr(parent, '/');; p = strchr(p + 1, '/')) {
        if (p)
            *p = '\0';
        made = mkdirat(dir, parent, 0711) == 0;
        if (!made && errno != EEXIST)
            return fail(err, parent);
        if (!p)
            break;
        *p = '/';
    }
    int fd = open_beneath_nosymlink(dir, path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return error_set(err, fd, "%s: %s", path, strerror(-fd));
    if (made && (fchown(fd, owner->uid, owner->gid) < 0 || fchmod(fd, owner->mode) < 0)) {
        int r = fail(err, path);
        safe_close(fd);
        return r;
    }
    *ret_fd = fd;
    return 0;
}

int rootfs_attach(int fd, uint64_t attributes, int userns, int at, const char *target,
                  struct error *err)
{
    struct mount_attr attr = { .attr_set = attributes | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV };

    if (userns >= 0) {
        attr.attr_set |= MOUNT_ATTR_IDMAP;
        attr.userns_fd = (uint64_t) userns;
    }
    _cleanup_close_ int tree =
        open_tree(fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof attr) < 0 ||
        move_mount(tree, "", at, target,
                   MOVE_MOUNT_F_EMPTY_PATH | (*target ? 0 : MOVE_MOUNT_T_EMPTY_PATH)) < 0)
        return fail(err, *target ? target : "mounting");
    return 0;
}

static int attach(int fd, uint64_t attributes, int userns, const char *target, struct error *err)
{
    return rootfs_attach(fd, attributes, userns, AT_FDCWD, target, err);
}

static int mount_bundle(struct supervisor *s, struct error *err)
{
    const char *bundle = s->x->bundle;

    if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ||
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0 ||
        mount("tmpfs", bundle, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0711,size=16m") < 0)
        return fail(err, "mounting");
    _cleanup_free_ char *rootfs = xasprintf("%s/rootfs", bundle);
    _cleanup_free_ char *tree = xasprintf("%s/tree", bundle);
    s->crun_root = xasprintf("%s/crun", bundle);
    if (mkdir(rootfs, 0711) < 0 || mkdir(tree, 0711) < 0 || mkdir(s->crun_root, 0711) < 0 ||
        chmod(rootfs, 0711) < 0)
        return fail(err, bundle);
    return 0;
}

/* STATE/running/ATTEMPT; what lies there is of a supervisor that was killed before it started anything. */
static int make_private(struct supervisor *s, struct error *err)
{
    int r = mkdirat(s->x->running_fd, s->name, 0711);

    if (r < 0 && errno == EEXIST && remove_tree(s->x->running_fd, s->name, err) == 0)
        r = mkdirat(s->x->running_fd, s->name, 0711);
    return r < 0 ? fail(err, "making the attempt's own directory") : 0;
}

int rootfs_layer(struct supervisor *s, const char *name, const struct owner *owner,
                 struct error *err)
{
    _cleanup_free_ char *upper = xasprintf("%s/%s", s->name, name);
    _cleanup_free_ char *work = xasprintf("%s/%s.work", s->name, name);

    if (mkdirat(s->x->running_fd, upper, owner->mode) < 0 ||
        mkdirat(s->x->running_fd, work, 0700) < 0 ||
        fchownat(s->x->running_fd, upper, owner->uid, owner->gid, 0) < 0 ||
        fchownat(s->x->running_fd, work, owner->uid, owner->gid, 0) < 0 ||
        fchmodat(s->x->running_fd, upper, owner->mode, 0) < 0)
        return fail(err, "making the writable layer");
    return 0;
}

/* Paths go by descriptors: ':' and ',' in them would be taken as syntax. LOWER: top first. What a layer says
 * of the one below is always said in the same way, whatever this kernel was built to prefer. */
int rootfs_overlay(struct supervisor *s, const int *lower, size_t n, const char *layer,
                   const char *target, struct error *err)
{
    _cleanup_text_ struct text below = { 0 };
    _cleanup_free_ char *upper = xasprintf("%s/%s", s->name, layer);
    _cleanup_free_ char *work = xasprintf("%s/%s.work", s->name, layer);
    _cleanup_close_ int upper_fd =
        open_beneath_nosymlink(s->x->running_fd, upper, O_PATH | O_DIRECTORY, 0);
    _cleanup_close_ int work_fd =
        open_beneath_nosymlink(s->x->running_fd, work, O_PATH | O_DIRECTORY, 0);
    for (size_t i = 0; i < n; i++)
        text_addf(&below, "%s/proc/self/fd/%d", i ? ":" : "", lower[i]);
    _cleanup_free_ char *options =
        xasprintf("lowerdir=%s,upperdir=/proc/self/fd/%d,workdir=/proc/self/fd/%d,volatile,"
                  "metacopy=off,redirect_dir=nofollow%s",
                  text_str(&below), upper_fd, work_fd, s->x->mode->own_ids ? "" : ",userxattr");

    if (mount("overlay", target, "overlay", MS_NOSUID | MS_NODEV, options) < 0)
        return fail(err, "mounting the overlay");
    return 0;
}

static int write_file(int dir, const char *path, uid_t owner, const char *content,
                      struct error *err)
{
    _cleanup_close_ int fd = openat(dir, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

    if (fd < 0 || fchown(fd, owner, owner) < 0 || write_full(fd, content, strlen(content)) < 0)
        return fail(err, path);
    return 0;
}

static char *machine_file(const char *path)
{
    _cleanup_text_ struct text text = { 0 };

    (void) file_read(AT_FDCWD, path, 1 << 20, &text, NULL);
    return text_take(&text);
}

/* Who is in the machine's network finds names as the machine does. A gang's own come when all are known. */
static char *hosts_for(const struct supervisor *s)
{
    const char *hostname = s->spec->gang ? NULL : s->hostname;

    if (s->launch->netns >= 0)
        return image_hosts(hostname, s->launch->net.address);
    _cleanup_free_ char *own = image_hosts(hostname, NULL);
    _cleanup_free_ char *machine = machine_file("/etc/hosts");
    return xasprintf("%s%s", own, machine);
}

static char *resolv_for(const struct supervisor *s)
{
    enum network_policy policy = NETWORK_NONE;

    if (s->launch->netns < 0)
        return machine_file("/etc/resolv.conf");
    (void) network_policy_parse(s->spec->network, &policy);
    return network_resolv_conf(s->x->network, policy);
}

/* No link of an image can stand there. */
static int make_gang_point(int top, const struct owner *owner, struct error *err)
{
    _cleanup_close_ int run = -1, dir = -1;

    int r = own_directory(top, "run", owner, &run, err);
    return r < 0 ? r : own_directory(top, &AGENT_DIR[1], owner, &dir, err);
}

/* The files of this task alone: a layer of their own, in memory, so they need no mounts. */
static int write_own_files(struct supervisor *s, int *ret_layer, struct error *err)
{
    uid_t base = s->spec->uid_base;
    const struct owner owner = { base, base, 0755 };
    _cleanup_free_ char *layer = xasprintf("%s/task", s->x->bundle);
    _cleanup_free_ char *hosts = hosts_for(s);
    _cleanup_free_ char *name = image_hostname(s->hostname);
    _cleanup_free_ char *resolv = resolv_for(s);
    _cleanup_close_ int dir = -1, top = -1;

    int r = 0;
    if (mkdir(layer, 0755) < 0 || chown(layer, base, base) < 0)
        r = fail(err, layer);
    top = open(layer, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r >= 0)
        r = own_directory(top, "etc", &owner, &dir, err);
    if (r >= 0)
        r = write_file(dir, "hosts", base, hosts, err);
    if (r >= 0)
        r = write_file(dir, "hostname", base, name, err);
    if (r >= 0)
        r = write_file(dir, "resolv.conf", base, resolv, err);
    if (r >= 0 && s->spec->gang)
        r = make_gang_point(top, &owner, err);
    if (r >= 0)
        *ret_layer = take_fd(&top);
    return r;
}

/* The machine's own programs: the skeleton, and read-only binds. */
static int mount_host(struct supervisor *s, int own, const char *rootfs, struct error *err)
{
    _cleanup_close_ int skeleton =
        open(s->launch->range->skeleton, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (skeleton < 0)
        return fail(err, s->launch->range->skeleton);

    int r = rootfs_overlay(s, (const int[2]){ own, skeleton }, 2, "root", rootfs, err);
    vec_foreach(&s->image->binds, bind) {
        if (r < 0)
            break;
        _cleanup_free_ char *target = xasprintf("%s%s", rootfs, bind->target);
        _cleanup_close_ int source = open(bind->source, O_PATH | O_CLOEXEC);
        r = source < 0 ? fail(err, bind->source)
                       : attach(source, MOUNT_ATTR_RDONLY, -1, target, err);
    }
    return r;
}

/* Layers of an image. Above them lie the mount points, so that no link of the image can stand there; below
 * them what every program expects and an image may lack. */
static int mount_image(struct supervisor *s, int own, const char *rootfs, struct error *err)
{
    int lower[OCI_LAYERS_MAX + 2] = { own };
    _cleanup_free_ char *base = xasprintf("%s/base", s->x->bundle);
    _cleanup_free_ char *tmp = xasprintf("%s/tmp", base);
    uid_t uid = s->spec->uid_base;

    if (mkdir(base, 0755) < 0 || chown(base, uid, uid) < 0 || mkdir(tmp, 01777) < 0 ||
        chown(tmp, uid, uid) < 0 || chmod(tmp, 01777) < 0)
        return fail(err, base);
    int r = layers_mount(s, lower + 1, err);
    if (r < 0)
        return r;
    size_t n = s->own_image->layers.len;
    lower[n + 1] = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC);
    r = lower[n + 1] < 0 ? fail(err, base) : rootfs_overlay(s, lower, n + 2, "root", rootfs, err);
    for (size_t i = 1; i < n + 2; i++)
        safe_close(lower[i]);
    return r < 0 ? r : image_user_of(s, rootfs, err);
}

static int make_mount_points(int own, uid_t owner, struct error *err)
{
    static const char *const names[] = {
        "proc", "sys", "dev", "workspace", "storage", "artifacts"
    };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (mkdirat(own, names[i], 0755) < 0 || fchownat(own, names[i], owner, owner, 0) < 0)
            return fail(err, names[i]);
    return 0;
}

static int mount_root(struct supervisor *s, const char *rootfs, struct error *err)
{
    const struct owner base = { s->spec->uid_base, s->spec->uid_base, 0755 };
    _cleanup_close_ int own = -1;

    int r = make_private(s, err);
    if (r >= 0)
        r = rootfs_layer(s, "root", &base, err);
    if (r >= 0)
        r = write_own_files(s, &own, err);
    if (r < 0)
        return r;
    s->image = s->x->image;
    if (!s->spec->image)
        return mount_host(s, own, rootfs, err);
    r = make_mount_points(own, s->spec->uid_base, err);
    return r < 0 ? r : mount_image(s, own, rootfs, err);
}

static int open_manifest(struct supervisor *s, struct sha256 *ret_name, struct manifest **ret,
                         struct error *err)
{
    _cleanup_text_ struct text text = { 0 };

    if (sha256_parse(s->spec->workspace_tree, ret_name) < 0)
        return error_set(err, -EINVAL, "workspace: '%s' is no digest", s->spec->workspace_tree);
    int r = blob_read(s->blobs, ret_name, 256 << 20, &text, err);
    if (r >= 0)
        r = manifest_parse(text_str(&text), text.len, ret, err);
    return r < 0 ? error_context(err, r, "workspace") : 0;
}

static int mount_workspace(struct supervisor *s, const char *target, struct error *err)
{
    const struct owner owner = user_of(s, 0755);
    const struct userns_map map = { s->x->owner, s->x->group, owner.uid, 1 };
    _cleanup_(manifest_freep) struct manifest *manifest = NULL;
    _cleanup_close_ int tree = -1, lower = -1, own_userns = -1;
    int userns = s->launch->range->owner_userns;
    _cleanup_free_ char *at = xasprintf("%s/tree", s->x->bundle);
    struct sha256 name;

    if (!s->spec->workspace_tree)
        return s->user.uid && chown(target, owner.uid, owner.gid) < 0 ? fail(err, target) : 0;
    int r = open_manifest(s, &name, &manifest, err);
    /* What was sent belongs to whom the command runs as. */
    if (r >= 0 && s->user.uid != 0 && s->x->mode->own_ids) {
        r = userns_make(&map, &own_userns, err);
        userns = own_userns;
    }
    if (r >= 0)
        r = tree_open(s->blobs, manifest, &name, &tree, err);
    if (r >= 0)
        r = rootfs_layer(s, "workspace", &owner, err);
    if (r >= 0)
        r = attach(tree, MOUNT_ATTR_RDONLY, userns, at, err);
    if (r < 0)
        return error_context(err, r, "workspace");
    lower = open(at, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return lower < 0 ? fail(err, at) : rootfs_overlay(s, &lower, 1, "workspace", target, err);
}

/* What many tasks write at once. */
static int mount_storage(struct supervisor *s, const char *target, struct error *err)
{
    const struct owner all = { s->spec->uid_base, s->spec->uid_base, 0755 };
    char project[ID_TEXT_LEN + 1];
    const char *below = "";
    _cleanup_close_ int root = -1, fd = -1;

    int r = storage_open_root(s, &root, &below, err);
    if (r < 0)
        return r;
    _cleanup_free_ char *storage =
        xasprintf("%s%s/storage", below, id_format(&s->spec->project, project));
    r = own_directory(root, storage, &all, &fd, err);
    /* Jobs of one project may run as different users, where these are more than one outside. */
    if (r >= 0 && s->user.uid != 0 && s->x->mode->own_ids && fchmod(fd, 0777) < 0)
        r = fail(err, storage);
    if (r >= 0 && s->spec->storage && s->spec->storage->measure)
        storage_measure(s, fd);
    return r < 0 ? r : attach(fd, 0, -1, target, err);
}

static int mount_shared(struct supervisor *s, const char *rootfs, struct error *err)
{
    _cleanup_free_ char *artifacts = results_path(s);
    _cleanup_free_ char *at_storage = xasprintf("%s/storage", rootfs);
    _cleanup_free_ char *at_artifacts = xasprintf("%s/artifacts", rootfs);
    const struct owner owner = user_of(s, 0755);
    int r = s->spec->push ? storage_mount_pushed(s, at_storage, err)
                          : mount_storage(s, at_storage, err);
    if (r >= 0 && s->spec->artifacts)
        r = results_bring(s, &owner, err);
    if (r >= 0)
        r = own_directory(s->x->state_fd, artifacts, &owner, &s->artifacts, err);
    if (r >= 0)
        r = attach(s->artifacts, 0, -1, at_artifacts, err);
    return r;
}

/* In the machine's network a new one cannot be made: its own, with all that is mounted below it. */
static int bind_sys(const char *target, struct error *err)
{
    struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
                                           MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC };
    _cleanup_close_ int tree =
        open_tree(AT_FDCWD, "/sys", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

    if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof attr) < 0 ||
        move_mount(tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return fail(err, target);
    return 0;
}

/* sysfs shows the network devices of the namespace in which it is mounted. */
static int mount_sys(struct supervisor *s, const char *target, struct error *err)
{
    if (s->launch->netns < 0) /* the supervisor's network, or the machine's */
        return mount("sysfs", target, "sysfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) <
                       0
                   ? bind_sys(target, err)
                   : 0;
    if (setns(s->launch->netns, CLONE_NEWNET) < 0)
        return fail(err, "entering the container's network");
    int r = mount("sysfs", target, "sysfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0
                ? fail(err, target)
                : 0;
    if (setns(s->own_netns, CLONE_NEWNET) < 0)
        return fail(err, "leaving the container's network");
    return r;
}

static int write_agent(int dir, uid_t owner, struct error *err)
{
    _cleanup_close_ int fd =
        openat(dir, AGENT_PROGRAM_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);

    if (fd < 0 || fchown(fd, owner, owner) < 0 ||
        write_full(fd, agent_program, agent_program_size) < 0)
        return fail(err, AGENT_PROGRAM);
    return 0;
}

/* What gang.c writes once the peers are known is seen inside, and is in memory alone: a secret is among it. */
static int mount_gang(struct supervisor *s, const char *rootfs, struct error *err)
{
    uid_t base = s->spec->uid_base;
    _cleanup_free_ char *source = xasprintf("%s/gang", s->x->bundle);
    _cleanup_free_ char *target = xasprintf("%s%s", rootfs, AGENT_DIR);
    _cleanup_close_ int dir = -1;

    if (mkdir(source, 0755) < 0 || chown(source, base, base) < 0)
        return fail(err, source);
    dir = open(source, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return fail(err, source);
    int r = s->spec->workload_spec->mpi ? write_agent(dir, base, err) : 0;
    return r < 0 ? r : attach(dir, MOUNT_ATTR_RDONLY, -1, target, err);
}

int rootfs_make(struct supervisor *s, struct error *err)
{
    _cleanup_free_ char *rootfs = xasprintf("%s/rootfs", s->x->bundle);
    _cleanup_free_ char *workspace = xasprintf("%s/workspace", rootfs);
    _cleanup_free_ char *sys = xasprintf("%s/sys", rootfs);

    int r = mount_bundle(s, err);
    if (r >= 0)
        r = mount_root(s, rootfs, err);
    if (r >= 0)
        r = mount_workspace(s, workspace, err);
    if (r >= 0)
        r = mount_shared(s, rootfs, err);
    if (r >= 0)
        r = datasets_mount(s, rootfs, err);
    if (r >= 0)
        r = mount_sys(s, sys, err);
    if (r >= 0 && s->spec->gang)
        r = mount_gang(s, rootfs, err);
    return r;
}

void rootfs_remove(struct supervisor *s)
{
    /* The mounts end with the namespace; to detach them here would wait for the kernel (10 ms). */
    (void) remove_tree(s->x->running_fd, s->name, NULL);
}
