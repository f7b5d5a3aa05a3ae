/* allow.c - what of the machine a container may see
 *
 * An allow-list: what is not named here is not there. Left out of /etc with care: whatever can
 * hold a secret or belongs to this machine's administration (shadow, ssh, ssl/private, sudoers,
 * environment, gitconfig, pip.conf, netrc, cron, pam.d, machine-id, fstab, profile.d, …).
 */
#include "base/alloc.h"
#include "image/internal.h"
#include "os/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

/* At the root: directories on machines with /usr apart, links into /usr on merged ones. */
static const char *const roots[] = { "bin", "lib", "lib32", "lib64", "libx32", "sbin" };

/* Below /etc, with '*' and '?'. */
static const char *const etc_names[] = {
    "OpenCL",
    "R",
    "alternatives",
    "bash.bashrc",
    "bindresvport.blacklist",
    "ca-certificates",
    "ca-certificates.conf",
    "debian_version",
    "fonts",
    "gai.conf",
    "host.conf",
    "inputrc",
    "issue",
    "java*",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.alias",
    "localtime",
    "lsb-release",
    "magic",
    "magic.mime",
    "matplotlibrc",
    "mime.types",
    "networks",
    "openmpi",
    "os-release",
    "perl",
    "pki",
    "profile",
    "protocols",
    "python*",
    "rpc",
    "services",
    "shells",
    "terminfo",
    "timezone",
    "vulkan",
    "xattr.conf",
};

/* Parts of directories of which the rest stays out. */
static const char *const etc_parts[] = { "ssl/certs", "ssl/openssl.cnf" };

static bool is_allowed_name(const char *name)
{
    for (size_t i = 0; i < sizeof etc_names / sizeof *etc_names; i++)
        if (str_glob(etc_names[i], name))
            return true;
    return false;
}

/* Every mount costs a container's start some 50 us, so small texts are copied. Not ld.so.cache,
 * which ldconfig(8) makes anew whenever it likes. */
#define COPY_LIMIT 65536

static bool copy_text(struct image *image, const char *source, const char *target)
{
    _cleanup_text_ struct text text = { 0 };

    if (str_ends(target, ".cache") || file_read(AT_FDCWD, source, COPY_LIMIT, &text, NULL) < 0 ||
        strlen(text_str(&text)) != text.len)
        return false;
    image_add_file(image, target, text_str(&text));
    return true;
}

static int add_bind(struct image *image, const char *source, const char *target, bool is_directory)
{
    const struct image_bind bind = { .source = xstrdup(source),
                                     .target = xstrdup(target),
                                     .is_directory = is_directory };

    vec_push(&image->binds, bind);
    return 0;
}

/* A link stays a link when it leads to where a bind is; else it would dangle or show more. */
static int add_link(struct image *image, const char *source, const char *target)
{
    char leads_to[PATH_MAX];
    ssize_t n = readlink(source, leads_to, sizeof leads_to - 1);

    if (n < 0)
        return -errno;
    leads_to[n] = '\0';
    const char *p = leads_to;
    while (str_starts(p, "../"))
        p += strlen("../");
    p += *p == '/';
    if (!str_starts(p, "usr/") || strstr(p, ".."))
        return 0;
    image_add_link(image, target, leads_to);
    return 0;
}

/* Show TARGET (absolute inside) as it is below ROOT; absent, unreadable to others or of another
 * kind is left out. */
static int show(const char *root, const char *target, struct image *image)
{
    _cleanup_free_ char *source = xasprintf("%s%s", root, target);
    struct stat st;

    if (lstat(source, &st) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (S_ISLNK(st.st_mode))
        return add_link(image, source, target);
    if (S_ISDIR(st.st_mode) && (st.st_mode & S_IXOTH))
        return add_bind(image, source, target, true);
    if (S_ISREG(st.st_mode) && (st.st_mode & S_IROTH) && !copy_text(image, source, target))
        return add_bind(image, source, target, false);
    return 0;
}

static int show_named(const char *root, const char *directory, const char *name,
                      struct image *image, struct error *err)
{
    _cleanup_free_ char *target = xasprintf("%s/%s", directory, name);

    int r = show(root, target, image);
    return r < 0 ? error_set(err, r, "looking at %s%s: %s", root, target, strerror(-r)) : 0;
}

static int plain_names(const struct dirent *entry) { return entry->d_name[0] != '.'; }

static int show_etc(const char *root, struct image *image, struct error *err)
{
    _cleanup_free_ char *path = xasprintf("%s/etc", root);
    struct dirent **entries = NULL;
    int first = 0;

    /* Sorted, so that equal machines have equal digests. */
    int n = scandir(path, &entries, plain_names, alphasort);
    if (n < 0)
        return error_set(err, -errno, "reading %s: %m", path);
    for (int i = 0; i < n; i++) {
        if (first == 0 && is_allowed_name(entries[i]->d_name))
            first = show_named(root, "/etc", entries[i]->d_name, image, err);
        free(entries[i]);
    }
    free(entries);
    for (size_t i = 0; first == 0 && i < sizeof etc_parts / sizeof *etc_parts; i++)
        first = show_named(root, "/etc", etc_parts[i], image, err);
    return first;
}

static bool lies_in(const char *path, const char *directory)
{
    size_t n = strlen(directory);

    return str_starts(path, directory) && (path[n] == '/' || path[n] == '\0');
}

static int check_state(const struct image_host_options *options, const struct image *image,
                       struct error *err)
{
    vec_foreach(&image->binds, bind)
        if (options->state && lies_in(options->state, bind->source))
            return error_set(
                err, -EINVAL,
                "image 'host' would show the state directory %s to every job, as it lies "
                "in %s: move it (--state), or leave /opt out",
                options->state, bind->source);
    return 0;
}

int allow_collect(const struct image_host_options *options, struct image *image, struct error *err)
{
    const char *root = strcmp(options->root, "/") == 0 ? "" : options->root;

    int r = show_named(root, "", "usr", image, err);
    if (r >= 0 && image->binds.len == 0)
        return error_set(err, -ENOENT, "there is no %s/usr", root);
    for (size_t i = 0; r >= 0 && i < sizeof roots / sizeof *roots; i++)
        r = show_named(root, "", roots[i], image, err);
    if (r >= 0 && options->show_opt)
        r = show_named(root, "", "opt", image, err);
    if (r >= 0)
        r = show_etc(root, image, err);
    return r < 0 ? r : check_state(options, image, err);
}
