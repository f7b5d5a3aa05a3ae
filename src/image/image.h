/* image.h - what a container's root is made of
 *
 * Every image becomes the same plain struct: layers below the overlay, binds of the machine's
 * directories, links, files with content, and the defaults for the process. The executor mounts
 * it without knowing where it came from.
 *
 * Image `host` is the machine's own programs without its data: an empty skeleton plus read-only
 * nosuid,nodev binds of an allow-list (/usr, the /etc entries that programs need, /opt if the
 * operator says so). /root /home /run /tmp /var /srv /mnt and /etc itself are the skeleton's, never
 * the machine's. Nothing is idmapped: the container sees these files as any other unprivileged
 * account of the machine does. Its digest is the hash of the installed packages and of the
 * allow-list, so that equal digests mean equal software.
 */
#ifndef IMAGE_IMAGE_H
#define IMAGE_IMAGE_H

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/vec.h"
#include "image/fetch.h"
#include "image/oci.h"
#include "image/push.h"
#include "image/unpack.h"
#include "image/user.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Mounted MS_BIND (not recursive), read-only, nosuid, nodev. TARGET is absolute inside; it
 * exists in the skeleton as the same kind of file. */
struct image_bind {
    char *source, *target;
    bool is_directory;
};

struct image_link {
    char *path;   /* absolute inside: "/bin" */
    char *target; /* as in readlink: "usr/bin" */
};

struct image_directory {
    char *path; /* absolute inside, parents first */
    mode_t mode;
};

struct image_file {
    char *path; /* absolute inside */
    mode_t mode;
    char *content;
};

/* OCI's config, with what the spec does not say taken from here. NULL-terminated lists. */
struct image_config {
    char **entrypoint; /* prepended to the spec's command */
    char **command;    /* when the spec has none; NULL: the spec must name one */
    char **env;        /* "NAME=value" */
    char *user;        /* "uid[:gid]" or a name in /etc/passwd; NULL: 0 */
    char *workdir;     /* NULL: the workspace */
};

/* The package database as it was when it was read. */
struct image_stamp {
    char *path;
    int64_t size, mtime_ns;
    uint64_t inode;
};

struct image {
    char *name; /* "host" */
    struct sha256 digest;
    /* directories for the overlay's lower side, top first, to be idmapped; `host` has none: the
     * skeleton alone is the lower */
    VEC(char *) layers;
    VEC(struct image_bind) binds;
    VEC(struct image_link) links;
    VEC(struct image_directory) directories;
    VEC(struct image_file) files; /* the same for every task: /etc/passwd, /etc/services, … */
    struct image_config config;
    struct image_stamp stamp; /* for image_host_is_current() */
};

void image_free(struct image *image);
DEFINE_CLEANUP(struct image *, image_free);

struct image_host_options {
    const char *root;  /* "/"; tests give a tree of their own */
    bool show_opt;     /* bind /opt too */
    const char *state; /* refuse (-EINVAL) to show this directory; NULL: none */
};

/* Look at the machine. Reads the package database (megabytes): keep the result and ask
 * image_host_is_current() before the next use. -ENOENT where neither dpkg nor rpm is known. */
int image_host_open(const struct image_host_options *options, struct image **ret,
                    struct error *err);
/* Nothing was installed, upgraded or removed since: a stat or two. */
bool image_host_is_current(const struct image *image);

/* Make the skeleton of IMAGE at PATH (absolute; its parent exists): directories, links, mount
 * points for the binds and the files, all owned by UID:GID (0 inside). Built aside and renamed,
 * so PATH is whole or absent. Exists already = success without a look: put the digest into PATH. */
int image_skeleton_make(const struct image *image, const char *path, uid_t uid, gid_t gid,
                        struct error *err);

/* Files of one task; owned by the caller. ADDRESS NULL or "": loopback only; HOSTNAME NULL: others
 * name it. */
char *image_hosts(const char *hostname, const char *address);
char *image_hostname(const char *hostname);

/* An installed package, as slices of the database's text. */
struct package {
    const char *name, *version, *architecture;
    size_t name_len, version_len, architecture_len;
};
typedef void (*package_f)(void *userdata, const struct package *package);
/* Each package of dpkg's status file (deb822) whose state is "installed", in the file's order. Pure;
 * stanzas without name or version are passed over. Returns how many there were. */
size_t image_parse_dpkg(const char *bytes, size_t len, package_f each, void *userdata);

#endif
