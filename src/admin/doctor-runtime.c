/* doctor-runtime.c - can this machine run a container? By running one. */
#include "admin/doctor.h"
#include "base/alloc.h"
#include "base/json.h"
#include "image/image.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PROC_LIMIT      (1024 * 1024)
#define OUTPUT_LIMIT    4096
#define CRUN_TIMEOUT_MS 20000
/* A range of the projects' that no project has yet: settings' uid_first. */
#define TRIAL_UID 1879048192U

static const char install_crun[] = "apt-get install -y crun";

/* The controllers that the v2 hierarchy holds, separated by blanks. */
static void look_at_cgroups(struct cgroup_view *ret, struct text *in_v2)
{
    _cleanup_text_ struct text mounts = { 0 };

    (void) file_read(AT_FDCWD, "/proc/self/mounts", PROC_LIMIT, &mounts, NULL);
    cgroup_view_parse(text_str(&mounts), mounts.len, ret);
    _cleanup_free_ char *path = xasprintf("%s/cgroup.controllers", ret->v2_path);
    if (ret->has_v2 && file_read(AT_FDCWD, path, PROC_LIMIT, in_v2, NULL) >= 0 && in_v2->len > 0)
        in_v2->data[strcspn(in_v2->data, "\n")] = '\0';
}

/* One command that mounts each controller left in v2 as v1. */
static char *mount_command(const struct cgroup_view *view, const char *controllers)
{
    return xasprintf("for c in %s; do mkdir -p %s/$c && mount -t cgroup -o $c none %s/$c; done",
                     controllers, view->v1_base, view->v1_base);
}

void check_cgroups(struct doctor *d)
{
    _cleanup_text_ struct text in_v2 = { 0 };
    struct cgroup_view view;

    look_at_cgroups(&view, &in_v2);
    if (!view.has_v1 && !view.has_v2)
        doctor_add(d, LEVEL_FAIL, "cgroups", xstrdup("no cgroup hierarchy is mounted"),
                   xstrdup("mount -t cgroup2 none /sys/fs/cgroup"));
    else if (!view.has_v1)
        doctor_add(d, LEVEL_OK, "cgroups", xasprintf("v2 at %s", view.v2_path), NULL);
    else if (!text_str(&in_v2)[0])
        doctor_add(d, LEVEL_OK, "cgroups",
                   xasprintf("v1 at %s%s", view.v1_base, view.has_v2 ? ", with an empty v2" : ""),
                   NULL);
    else
        doctor_add(d, LEVEL_WARN, "cgroups",
                   xasprintf("v1 at %s, but v2 still has %s, which stands in crun's way; berth "
                             "server moves what has no users",
                             view.v1_base, in_v2.data),
                   mount_command(&view, in_v2.data));
}

static json_t *mount_entry(const char *target, const char *source, const char *type,
                           const char *options)
{
    _cleanup_free_ char *list = xstrdup(options);
    json_t *array = json_array(), *entry = json_object();
    char *save = NULL;

    for (const char *o = strtok_r(list, ",", &save); o; o = strtok_r(NULL, ",", &save))
        (void) json_array_append_new(array, json_string(o));
    json_put_str(entry, "destination", target);
    json_put_str(entry, "source", source);
    json_put_str(entry, "type", type);
    json_put(entry, "options", array);
    return entry;
}

static json_t *id_map(void)
{
    return json_pack("[{s:i,s:I,s:i}]", "containerID", 0, "hostID", (json_int_t) TRIAL_UID, "size",
                     65536);
}

/* A bundle as jobs get one, with /bin/true in it. */
static json_t *trial_config(const struct image *image, const char *root)
{
    json_t *mounts = json_array();

    (void) json_array_append_new(mounts,
                                 mount_entry("/proc", "proc", "proc", "nosuid,nodev,noexec"));
    (void) json_array_append_new(mounts, mount_entry("/dev", "tmpfs", "tmpfs", "nosuid,mode=755"));
    vec_foreach(&image->binds, bind)
        (void) json_array_append_new(mounts, mount_entry(bind->target, bind->source, "bind",
                                                         "bind,ro,nosuid,nodev"));
    json_t *config =
        json_pack("{s:s,s:{s:s,s:b},s:{s:{s:i,s:i},s:s,s:[s],s:[s],s:b},s:o}", "ociVersion",
                  "1.0.2", "root", "path", root, "readonly", 1, "process", "user", "uid", 0, "gid",
                  0, "cwd", "/", "args", "/bin/true", "env", "PATH=/usr/bin:/bin",
                  "noNewPrivileges", 1, "mounts", mounts);
    json_t *linux_part =
        json_pack("{s:[{s:s},{s:s},{s:s},{s:s},{s:s},{s:s}],s:o,s:o}", "namespaces", "type", "user",
                  "type", "pid", "type", "mount", "type", "ipc", "type", "uts", "type", "network",
                  "uidMappings", id_map(), "gidMappings", id_map());
    json_put(config, "linux", linux_part);
    return config;
}

/* In crun's words, without its time stamp. */
static char *complaint(const struct text *said)
{
    const char *s = text_str(said);
    const char *colon = strstr(s, "Z: ");

    s = colon ? colon + 3 : s;
    return xasprintf("%.*s", (int) strcspn(s, "\n"), s[0] ? s : "crun gave no reason");
}

static int run_trial(const char *directory, int64_t *ret_us, struct error *err)
{
    const struct image_host_options options = { .root = "/" };
    _cleanup_(image_freep) struct image *image = NULL;
    _cleanup_free_ char *root = xasprintf("%s/root", directory);
    _cleanup_free_ char *crun_root = xasprintf("%s/crun", directory);
    _cleanup_free_ char *config_path = xasprintf("%s/config.json", directory);
    _cleanup_free_ char *name = xasprintf("berth-doctor-%d", getpid());
    _cleanup_text_ struct text said = { 0 };

    int r = image_host_open(&options, &image, err);
    if (r < 0)
        return r;
    r = image_skeleton_make(image, root, TRIAL_UID, TRIAL_UID, err);
    if (r < 0)
        return r;
    _cleanup_json_ json_t *config = trial_config(image, root);
    _cleanup_free_ char *text = json_text(config);
    r = file_replace(AT_FDCWD, config_path, 0600, text, strlen(text), false, err);
    if (r < 0)
        return r;
    const char *const argv[] = { "crun", "--root", crun_root, "--cgroup-manager=cgroupfs",
                                 "run",  "-b",     directory, name,
                                 NULL };
    int64_t start = clock_boot_us();
    r = process_run(argv, OUTPUT_LIMIT, CRUN_TIMEOUT_MS, NULL, &said, err);
    *ret_us = clock_boot_us() - start;
    if (r > 0) {
        _cleanup_free_ char *why = complaint(&said);
        return error_set(err, -EIO, "%s", why);
    }
    return r;
}

static const char *crun_version(struct text *out)
{
    static const char *const argv[] = { "crun", "--version", NULL };

    if (process_run(argv, OUTPUT_LIMIT, CRUN_TIMEOUT_MS, out, NULL, NULL) != 0)
        return NULL;
    text_str(out);
    out->data[strcspn(out->data, "\n")] = '\0';
    return str_starts(out->data, "crun version ") ? out->data + strlen("crun version ") : out->data;
}

static void try_container(struct doctor *d, const char *version)
{
    /* Every parent of a container's root must be open to all: crun refuses otherwise. */
    _cleanup_free_ char *directory = NULL;
    struct error err = { 0 };
    int64_t us = 0;

    if (mkdir_temporary("/tmp", "berth-doctor", &directory, &err) < 0 ||
        chmod(directory, 0711) < 0) {
        doctor_add(d, LEVEL_FAIL, "container",
                   xasprintf("no directory in /tmp: %s", strerror(errno)),
                   xstrdup("df -h /tmp; ls -ld /tmp"));
        return;
    }
    int r = run_trial(directory, &us, &err);
    (void) remove_tree(AT_FDCWD, directory, NULL);
    if (r == 0)
        doctor_add(d, LEVEL_OK, "container",
                   xasprintf("crun %s ran one with a user namespace in %lld ms", version,
                             (long long) us / 1000),
                   NULL);
    else if (strstr(err.text, "hybrid"))
        doctor_add(d, LEVEL_WARN, "container",
                   xasprintf("crun %s cannot before the cgroups are in order (above)", version),
                   NULL);
    else
        doctor_add(d, LEVEL_FAIL, "container", xasprintf("crun %s: %s", version, err.text),
                   xstrdup("crun --debug --root /tmp/crun run -b BUNDLE trial"));
}

void check_container(struct doctor *d)
{
    _cleanup_text_ struct text out = { 0 };
    const char *version = crun_version(&out);

    if (!version)
        doctor_add(d, LEVEL_FAIL, "container", xstrdup("there is no crun"), xstrdup(install_crun));
    else if (!d->is_root)
        doctor_add(d, LEVEL_WARN, "container",
                   xasprintf("crun %s is there; only root can try it", version),
                   xstrdup("sudo berth doctor"));
    else
        try_container(d, version);
}
