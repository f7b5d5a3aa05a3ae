/* host.c - image `host`: the machine's programs without its data */
#include "base/alloc.h"
#include "image/internal.h"
#include "os/hash.h"

#include <errno.h>
#include <string.h>

#define SHARED_DIRECTORY 01777

static void add_directories(struct image *image)
{
    static const struct {
        const char *path;
        mode_t mode;
    } list[] = {
        { "/dev", 0755 },
        { "/etc", 0755 },
        { "/etc/ssl", 0755 },
        { "/home", 0755 },
        { "/media", 0755 },
        { "/mnt", 0755 },
        { "/opt", 0755 },
        { "/proc", 0555 },
        { "/root", 0700 },
        { "/run", 0755 },
        { "/run/lock", SHARED_DIRECTORY },
        { "/srv", 0755 },
        { "/sys", 0555 },
        { "/tmp", SHARED_DIRECTORY },
        { "/usr", 0755 },
        { "/var", 0755 },
        { "/var/cache", 0755 },
        { "/var/lib", 0755 },
        { "/var/log", 0755 },
        { "/var/tmp", SHARED_DIRECTORY },
        { "/artifacts", 0755 },
        { "/datasets", 0755 },
        { "/storage", 0755 },
        { "/workspace", 0755 },
    };

    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        image_add_directory(image, list[i].path, list[i].mode);
}

/* Accounts inside have nothing to do with the machine's. */
static void add_files(struct image *image)
{
    image_add_file(image, "/etc/passwd",
                   "root:x:0:0:root:/root:/bin/bash\n"
                   "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n"
                   "bin:x:2:2:bin:/bin:/usr/sbin/nologin\n"
                   "sys:x:3:3:sys:/dev:/usr/sbin/nologin\n"
                   "mail:x:8:8:mail:/var/mail:/usr/sbin/nologin\n"
                   "www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\n"
                   "user:x:1000:1000:user:/home:/bin/bash\n"
                   "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n");
    image_add_file(image, "/etc/group",
                   "root:x:0:\ndaemon:x:1:\nbin:x:2:\nsys:x:3:\ntty:x:5:\nmail:x:8:\n"
                   "www-data:x:33:\nstaff:x:50:\nvideo:x:44:\nusers:x:100:\nuser:x:1000:\n"
                   "nogroup:x:65534:\n");
    /* The machine's may ask daemons whose sockets are not there. */
    image_add_file(
        image, "/etc/nsswitch.conf",
        "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n"
        "networks: files\nprotocols: files\nservices: files\nethers: files\nrpc: files\n");
}

static void set_config(struct image_config *config)
{
    config->env = xnew_n(char *, 4);
    config->env[0] = xstrdup("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    config->env[1] = xstrdup("HOME=/root");
    config->env[2] = xstrdup("LANG=C.UTF-8");
}

static void add_field(struct hasher *hasher, const char *field)
{
    hasher_add(hasher, field, strlen(field) + 1);
}

/* Over what is shown, from inside, and the packages. */
static struct sha256 digest_of(const struct image *image, const struct text *packages)
{
    _cleanup_(hasher_freep) struct hasher *hasher = hasher_new();

    add_field(hasher, "berth image host 1");
    vec_foreach(&image->binds, bind) {
        add_field(hasher, bind->is_directory ? "directory" : "file");
        add_field(hasher, bind->target);
    }
    vec_foreach(&image->links, link) {
        add_field(hasher, "link");
        add_field(hasher, link->path);
        add_field(hasher, link->target);
    }
    vec_foreach(&image->directories, directory) {
        add_field(hasher, "made");
        add_field(hasher, directory->path);
    }
    vec_foreach(&image->files, file) {
        add_field(hasher, file->path);
        add_field(hasher, file->content);
    }
    for (char **env = image->config.env; env && *env; env++)
        add_field(hasher, *env);
    hasher_add(hasher, text_str(packages), packages->len);
    return hasher_end(hasher);
}

int image_host_open(const struct image_host_options *options, struct image **ret, struct error *err)
{
    _cleanup_(image_freep) struct image *image = xnew(struct image);
    _cleanup_text_ struct text packages = { 0 };
    const char *root = strcmp(options->root, "/") == 0 ? "" : options->root;

    image->name = xstrdup("host");
    int r = packages_read(root, &packages, &image->stamp, err);
    if (r < 0)
        return r;
    r = allow_collect(options, image, err);
    if (r < 0)
        return r;
    add_directories(image);
    image_add_link(image, "/etc/mtab", "/proc/self/mounts");
    image_add_link(image, "/var/run", "/run");
    image_add_link(image, "/var/lock", "/run/lock");
    add_files(image);
    set_config(&image->config);
    image->digest = digest_of(image, &packages);
    *ret = take_ptr(image);
    return 0;
}

bool image_host_is_current(const struct image *image) { return packages_unchanged(&image->stamp); }

char *image_hosts(const char *hostname, const char *address)
{
    struct text out = { 0 };

    text_add(&out, "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n");
    if (hostname)
        text_addf(&out, "%s %s\n", address && address[0] ? address : "127.0.1.1", hostname);
    return text_take(&out);
}

char *image_hostname(const char *hostname) { return xasprintf("%s\n", hostname); }
