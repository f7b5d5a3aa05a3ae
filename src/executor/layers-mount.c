/* layers-mount.c - an image's layers as the project sees them, and whom its config means */
#include "executor/internal.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { ACCOUNTS_MAX = 1 << 20 };

/* NULL-terminated; NULL: the config has none. */
static char **strings_of(const json_t *list)
{
    size_t n = json_array_size(list);

    if (!json_is_array(list))
        return NULL;
    char **strings = xnew_n(char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        const char *s = json_string_value(json_array_get(list, i));
        strings[i] = xstrdup(s ? s : "");
    }
    return strings;
}

static struct image *image_of(const struct task_image *task)
{
    struct image *image = xnew(struct image);
    char hex[SHA256_HEX_LEN + 1];

    image->name = xstrdup(task->name);
    image->digest = task->digest;
    for (size_t i = task->n_layers; i-- > 0;)
        vec_push(&image->layers, xasprintf("layers/%s", sha256_format(&task->layers[i], hex)));
    image->config.entrypoint = strings_of(json_object_get(task->config, "entrypoint"));
    image->config.command = strings_of(json_object_get(task->config, "command"));
    image->config.env = strings_of(json_object_get(task->config, "env"));
    image->config.user = xstrdup(json_get_str(task->config, "user", NULL));
    image->config.workdir = xstrdup(json_get_str(task->config, "workdir", NULL));
    return image;
}

/* The shared lock says to the keeper that the layer is in use; it is held until this process ends. */
static int open_layer(const struct supervisor *s, const char *path, struct error *err)
{
    int fd = open_beneath_nosymlink(s->x->state_fd, path, O_RDONLY | O_DIRECTORY, 0);

    if (fd == -ENOENT)
        return error_set(err, fd, "layer %.19s of the image is gone; pull it again",
                         path + strlen("layers/"));
    if (fd < 0)
        return error_set(err, fd, "%s: %s", path, strerror(-fd));
    if (flock(fd, LOCK_SH | LOCK_NB) < 0) {
        safe_close(fd);
        return error_set(err, -EBUSY, "layer %.19s of the image is being removed",
                         path + strlen("layers/"));
    }
    return fd;
}

int layers_mount(struct supervisor *s, int fds[static OCI_LAYERS_MAX], struct error *err)
{
    _cleanup_free_ char *folder = xasprintf("%s/layers", s->x->bundle);

    s->own_image = image_of(s->spec->image);
    s->image = s->own_image;
    for (size_t i = 0; i < s->own_image->layers.len; i++)
        fds[i] = -1;
    if (mkdir(folder, 0711) < 0)
        return error_set(err, -errno, "%s: %s", folder, strerror(errno));
    for (size_t i = 0; i < s->own_image->layers.len; i++) {
        _cleanup_free_ char *at = xasprintf("%s/%zu", folder, i);
        int layer = open_layer(s, s->own_image->layers.items[i], err);
        int r = layer;
        if (r >= 0 && mkdir(at, 0711) < 0)
            r = error_set(err, -errno, "%s: %s", at, strerror(errno));
        if (r >= 0)
            r = rootfs_attach(layer, MOUNT_ATTR_RDONLY, s->launch->range->layers_userns, AT_FDCWD,
                              at, err);
        if (r < 0)
            return r;
        fds[i] = open(at, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fds[i] < 0)
            return error_set(err, -errno, "%s: %s", at, strerror(errno));
    }
    return 0;
}

/* A file of the image, by a path that its links may bend but never lead out; "" when it is not there. */
static char *read_inside(const char *rootfs, const char *path)
{
    struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
                            .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
    _cleanup_close_ int root = open(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -1;
    struct text text = { 0 };
    struct stat st;

    fd = (int) syscall(SYS_openat2, root, path, &how, sizeof how);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > ACCOUNTS_MAX)
        return xstrdup("");
    ssize_t n = read(fd, text_reserve(&text, (size_t) st.st_size + 1), (size_t) st.st_size);
    text.len = n > 0 ? (size_t) n : 0;
    text.data[text.len] = '\0';
    return text_take(&text);
}

int image_user_of(struct supervisor *s, const char *rootfs, struct error *err)
{
    const struct image_config *config = &s->image->config;
    char *const *command = s->spec->workload_spec->command;

    if (!(command && command[0]) && !(config->command && config->command[0]) &&
        !(config->entrypoint && config->entrypoint[0]))
        return error_set(err, -EINVAL, "image %.100s names no command; say one", s->image->name);
    _cleanup_free_ char *passwd = read_inside(rootfs, "/etc/passwd");
    _cleanup_free_ char *group = read_inside(rootfs, "/etc/group");

    return image_user_parse(config->user, passwd, group, &s->user, err);
}
