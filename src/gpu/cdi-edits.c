/* cdi-edits.c - edits of containers: copied, joined, completed from the host, freed */
#include "gpu/internal.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

void cdi_edits_done(struct cdi_edits *edits)
{
    vec_foreach(&edits->nodes, node) {
        free(node->path);
        free(node->host_path);
        free(node->permissions);
    }
    vec_foreach(&edits->mounts, mount) {
        free(mount->source);
        free(mount->target);
        free(mount->type);
        texts_free(mount->options);
    }
    vec_foreach(&edits->hooks, hook) {
        free(hook->point);
        free(hook->path);
        texts_free(hook->args);
        texts_free(hook->env);
    }
    vec_foreach(&edits->env, env)
        free(*env);
    vec_done(&edits->nodes);
    vec_done(&edits->mounts);
    vec_done(&edits->hooks);
    vec_done(&edits->env);
}

/* Two devices of one job may name the same node or mount: once is enough. */
static bool has_node(const struct cdi_edits *edits, const char *path)
{
    vec_foreach(&edits->nodes, node)
        if (str_equal(node->path, path))
            return true;
    return false;
}

static bool has_mount(const struct cdi_edits *edits, const char *target)
{
    vec_foreach(&edits->mounts, mount)
        if (str_equal(mount->target, target))
            return true;
    return false;
}

static void add_nodes(struct cdi_edits *to, const struct cdi_edits *from)
{
    vec_foreach(&from->nodes, node) {
        struct cdi_node copy = *node;
        if (has_node(to, node->path))
            continue;
        copy.path = xstrdup(node->path);
        copy.host_path = xstrdup(node->host_path);
        copy.permissions = xstrdup(node->permissions);
        vec_push(&to->nodes, copy);
    }
}

static void add_mounts(struct cdi_edits *to, const struct cdi_edits *from)
{
    vec_foreach(&from->mounts, mount) {
        if (has_mount(to, mount->target))
            continue;
        const struct cdi_mount copy = { .source = xstrdup(mount->source),
                                        .target = xstrdup(mount->target),
                                        .type = xstrdup(mount->type),
                                        .options = texts_copy(mount->options) };
        vec_push(&to->mounts, copy);
    }
}

static void add_hooks(struct cdi_edits *to, const struct cdi_edits *from)
{
    vec_foreach(&from->hooks, hook) {
        const struct cdi_hook copy = { .point = xstrdup(hook->point),
                                       .path = xstrdup(hook->path),
                                       .args = texts_copy(hook->args),
                                       .env = texts_copy(hook->env),
                                       .timeout_s = hook->timeout_s };
        vec_push(&to->hooks, copy);
    }
}

void edits_add(struct cdi_edits *to, const struct cdi_edits *from)
{
    add_nodes(to, from);
    add_mounts(to, from);
    add_hooks(to, from);
    vec_foreach(&from->env, env)
        vec_push(&to->env, xstrdup(*env));
}

static int fill_node(struct cdi_node *node, struct error *err)
{
    struct stat st;

    if (node->has_number && node->type && node->mode >= 0)
        return 0;
    if (stat(node->host_path, &st) < 0) {
        if (!node->has_number || !node->type)
            return error_set(err, -errno, "device node %s: %s", node->host_path, strerror(errno));
        node->mode = 0666;
        return 0;
    }
    if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode))
        return error_set(err, -ENODEV, "device node %s: is no device", node->host_path);
    char type = S_ISBLK(st.st_mode) ? 'b' : 'c';
    if (node->type && node->type != type)
        return error_set(err, -ENODEV, "device node %s: is of type %c, not %c", node->host_path,
                         type, node->type);
    node->type = type;
    if (!node->has_number) {
        node->major = major(st.st_rdev);
        node->minor = minor(st.st_rdev);
        node->has_number = true;
    }
    /* The node inside belongs to the container's own users: what the machine's owner and group may
     * do is what they may do. */
    if (node->mode < 0)
        node->mode = (int) (st.st_mode & 0777);
    return 0;
}

int cdi_edits_fill(struct cdi_edits *edits, struct error *err)
{
    vec_foreach(&edits->nodes, node) {
        int r = fill_node(node, err);
        if (r < 0)
            return r;
    }
    return 0;
}
