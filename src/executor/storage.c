/* storage.c - where the projects' /storage lies: a file system that is declared and that every machine has, or
 * this machine's own disk
 *
 * As root, only the launcher's settings say where; what the server writes could name any place.
 */
#include "executor/internal.h"

#include "base/alloc.h"
#include "os/fd.h"
#include "os/volume.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEASURED_BYTES (INT64_C(32) << 20)

static const char *root_of(const struct supervisor *s)
{
    if (s->x->mode->own_ids)
        return s->x->storage;
    return s->spec->storage ? s->spec->storage->root : NULL;
}

int storage_open_root(struct supervisor *s, int *ret_fd, const char **ret_below, struct error *err)
{
    const char *root = root_of(s);
    const struct task_storage *wanted = s->spec->storage;

    if (wanted && (!root || !str_equal(root, wanted->root)))
        return error_set(err, -ESTALE, "this machine has no storage declared at %.200s",
                         wanted->root);
    _cleanup_close_ int fd = root ? open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                                  : openat(s->x->state_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_set(err, -errno, "storage %s: %s", root ? root : s->x->state, strerror(errno));
    int r = wanted ? volume_check(fd, root, wanted->mark, err) : 0;
    if (r < 0)
        return r;
    *ret_below = root ? "" : "projects/";
    *ret_fd = take_fd(&fd);
    return 0;
}

/* ---- of an account ------------------------------------------------------------------------------------ */

static int is_empty(int dirfd, bool *ret)
{
    _cleanup_close_ int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;

    if (!dir)
        return -errno;
    fd = -1;
    *ret = true;
    while ((entry = readdir(dir)))
        *ret = *ret && (str_equal(entry->d_name, ".") || str_equal(entry->d_name, ".."));
    (void) closedir(dir);
    return 0;
}

/* The server may write where this lies: only what it has itself, and what holds nothing, changes its owner. */
static int hand_over(const struct executor *x, int fd, const char *path,
                     const struct passwd *account, struct error *err)
{
    bool empty = false;
    struct stat st;

    int r = fstat(fd, &st) < 0 ? -errno : 0;
    if (r >= 0 && st.st_uid == account->pw_uid)
        return 0;
    if (r >= 0)
        r = is_empty(fd, &empty);
    if (r >= 0 && (!empty || (st.st_uid != 0 && st.st_uid != x->owner)))
        return error_set(err, -EPERM,
                         "/storage belongs to uid %u, not to account '%s'; as root: "
                         "chown -R %s: %s",
                         st.st_uid, account->pw_name, account->pw_name, path);
    if (r >= 0 && (fchmod(fd, 0700) < 0 || fchown(fd, account->pw_uid, account->pw_gid) < 0))
        r = -errno;
    return r < 0 ? error_set(err, r, "making %s account '%s's: %s", path, account->pw_name,
                             strerror(-r))
                 : 0;
}

int storage_give(const struct executor *x, const struct id *project, const struct passwd *account,
                 struct error *err)
{
    char name[ID_TEXT_LEN + 1];
    _cleanup_free_ char *path = xasprintf("%s/%s/storage", x->storage, id_format(project, name));
    _cleanup_close_ int root = open(x->storage, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int top = -1, fd = -1;

    if (root < 0 || (mkdirat(root, name, 0711) < 0 && errno != EEXIST))
        return error_set(err, -errno, "storage %s: %s", x->storage, strerror(errno));
    top = open_beneath_nosymlink(root, name, O_RDONLY | O_DIRECTORY, 0);
    if (top < 0 || (mkdirat(top, "storage", 0700) < 0 && errno != EEXIST))
        return error_set(err, top < 0 ? top : -errno, "storage %s: %s", path,
                         strerror(top < 0 ? -top : errno));
    fd = open_beneath_nosymlink(top, "storage", O_RDONLY | O_DIRECTORY, 0);
    return fd < 0 ? error_set(err, fd, "storage %s: %s", path, strerror(-fd))
                  : hand_over(x, fd, path, account, err);
}

int storage_reach(const struct executor *x, const struct passwd *account, struct error *err)
{
    _cleanup_close_ int root = open(x->storage, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char mark[] = VOLUME_DIRECTORY "/mark";

    if (root >= 0 && faccessat(root, mark, R_OK, 0) == 0)
        return 0;
    return error_set(err, -errno,
                     "account '%s' may not read storage %s: %s; as root: chmod o+rx %s",
                     account->pw_name, x->storage, strerror(errno), x->storage);
}

/* That it cannot be measured is no reason not to run. */
void storage_measure(struct supervisor *s, int dirfd)
{
    struct volume_speed speed;

    if (volume_measure(dirfd, MEASURED_BYTES, &speed, NULL) < 0)
        return;
    s->storage_speed = json_object();
    json_put_int(s->storage_speed, "read_bps", speed.read_bps);
    json_put_int(s->storage_speed, "write_bps", speed.write_bps);
}
