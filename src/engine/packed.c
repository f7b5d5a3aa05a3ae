/* packed.c - which packed bytes are kept, and away with the others */
#include "engine/packed.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/map.h"
#include "base/text.h"
#include "os/fd.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MANIFEST_MAX = 4 << 20, UPLOAD_S = 86400 };

struct packed_sweep {
    char *path; /* STATE/images */
    struct image_packed *keep;
    size_t n;
    void *owner;
};

char *packed_directory(const char *state, const struct id *project)
{
    char id[ID_TEXT_LEN + 1];

    return xasprintf("%s/images/%s", state, id_format(project, id));
}

bool registry_is_plain(const char *const *list, const char *registry)
{
    for (; registry && list && *list; list++)
        if (str_equal(*list, registry))
            return true;
    return false;
}

struct packed_sweep *packed_sweep_new(const char *state, const struct image_packed *keep, size_t n,
                                      void *owner)
{
    struct packed_sweep *sweep = xnew(struct packed_sweep);

    sweep->path = xasprintf("%s/images", state);
    sweep->keep = xnew_n(struct image_packed, n + 1);
    if (n > 0)
        memcpy(sweep->keep, keep, n * sizeof *keep);
    sweep->n = n;
    sweep->owner = owner;
    return sweep;
}

void *packed_sweep_owner(const struct packed_sweep *sweep) { return sweep->owner; }

void packed_sweep_disown(struct packed_sweep *sweep) { sweep->owner = NULL; }

void packed_sweep_free(struct packed_sweep *sweep)
{
    free(sweep->path);
    free(sweep->keep);
    free(sweep);
}

static void keep_descriptor(struct map *keep, const json_t *descriptor)
{
    const char *digest = json_get_str(descriptor, "digest", "");

    if (str_starts(digest, "sha256:"))
        map_set_str(keep, digest + 7, keep);
}

/* The manifest itself, its config and its layers. */
static void keep_manifest(struct map *keep, int dir, const struct sha256 *sum)
{
    _cleanup_text_ struct text bytes = { 0 };
    _cleanup_json_ json_t *json = NULL;
    char hex[SHA256_HEX_LEN + 1];
    const json_t *layer;
    size_t i;

    map_set_str(keep, sha256_format(sum, hex), keep);
    if (file_read(dir, hex, MANIFEST_MAX, &bytes, NULL) < 0 ||
        json_parse(text_str(&bytes), bytes.len, &json, NULL) < 0)
        return;
    keep_descriptor(keep, json_object_get(json, "config"));
    json_array_foreach(json_object_get(json, "layers"), i, layer)
        keep_descriptor(keep, layer);
}

static bool is_fresh_upload(int dir, const char *name)
{
    struct stat st;

    return str_starts(name, "upload-") && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           time(NULL) - st.st_mtime < UPLOAD_S;
}

static void sweep_project(const struct packed_sweep *sweep, int images, const char *name)
{
    _cleanup_(map_freep) struct map *keep = map_new();
    const struct dirent *entry;
    struct id project;

    if (id_parse(name, &project) < 0)
        return;
    int fd = open_beneath_nosymlink(images, name, O_RDONLY | O_DIRECTORY, 0);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir)
        return;
    for (size_t i = 0; i < sweep->n; i++)
        if (id_equal(&sweep->keep[i].project, &project))
            keep_manifest(keep, fd, &sweep->keep[i].manifest);
    while ((entry = readdir(dir)))
        if (entry->d_name[0] != '.' && !map_get_str(keep, entry->d_name) &&
            !is_fresh_upload(fd, entry->d_name))
            (void) unlinkat(fd, entry->d_name, 0);
    (void) closedir(dir);
}

void packed_sweep_run(struct packed_sweep *sweep)
{
    DIR *dir = opendir(sweep->path);
    const struct dirent *entry;

    if (!dir)
        return;
    while ((entry = readdir(dir)))
        sweep_project(sweep, dirfd(dir), entry->d_name);
    (void) closedir(dir);
}
