/* spec-data.c - the datasets that a job reads and writes
 *
 * As people write them: "NAME[@VERSION][:DIR]" and "NAME[:DIR]". Once admitted a dataset is an object
 * with the number and the digest of its version, so that it means the same for ever.
 */
#include "workload/internal.h"

#include "base/alloc.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { DATASETS_MAX = 32, PATH_LEN_MAX = 1024 };

/* ---- paths ------------------------------------------------------------------------------------------ */

/* Components other than ".", ".." and "", no control characters. */
static bool path_is_plain(const char *path)
{
    for (const char *p = path; *p;) {
        size_t len = strcspn(p, "/");
        if (len == 0 || len > 255 || (len == 1 && p[0] == '.') ||
            (len == 2 && p[0] == '.' && p[1] == '.'))
            return false;
        p += len;
        if (*p == '/' && *++p == '\0')
            return false;
    }
    for (const unsigned char *p = (const unsigned char *) path; *p; p++)
        if (*p < ' ' || *p == 0x7f)
            return false;
    return strlen(path) <= PATH_LEN_MAX && utf8_is_valid(path, strlen(path));
}

/* What programs need, and what the job writes, is not hidden by data. */
static bool path_is_reserved(const char *path)
{
    static const char *const reserved[] = { "/proc", "/sys",  "/dev",     "/usr",       "/etc",
                                            "/bin",  "/sbin", "/lib",     "/lib32",     "/lib64",
                                            "/boot", "/run",  "/storage", "/artifacts", "/libx32" };

    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++) {
        size_t len = strlen(reserved[i]);
        if (strncmp(path, reserved[i], len) == 0 && (path[len] == '/' || path[len] == '\0'))
            return true;
    }
    return str_equal(path, "/workspace") || str_equal(path, "/datasets");
}

static bool is_inside(const char *outer, const char *inner)
{
    size_t len = strlen(outer);

    /* Checked mounts have paths: NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker) */
    return strncmp(outer, inner, len) == 0 && (inner[len] == '/' || inner[len] == '\0');
}

/* ---- what is read ------------------------------------------------------------------------------------ */

/* The parts of "NAME[@VERSION][:DIR]"; a digest has a ':' of its own. */
static void split(const char *text, char **ret_name, char **ret_which, char **ret_path)
{
    size_t name = strcspn(text, "@:");
    const char *p = text + name;

    *ret_name = xstrndup(text, name);
    if (*p == '@') {
        const char *which = ++p;
        if (str_starts(p, "sha256:"))
            p += strlen("sha256:");
        p += strcspn(p, ":");
        *ret_which = xstrndup(which, (size_t) (p - which));
    }
    if (*p == ':')
        *ret_path = xstrdup(p + 1);
}

static int read_pinned(struct dataset_mount *d, const json_t *json, struct error *err)
{
    int64_t version = json_get_int(json, "version", 0);

    d->name = xstrdup(json_get_str(json, "name", ""));
    d->which = xstrdup(json_get_str(json, "which", NULL));
    d->path = xstrdup(json_get_str(json, "path", ""));
    d->version = (unsigned) version;
    if (version < 1 || version > UINT32_MAX ||
        sha256_parse(json_get_str(json, "manifest", ""), &d->manifest) < 0)
        return error_set(err, -EINVAL, "version or digest is malformed");
    return 0;
}

static int check_mount(struct dataset_mount *d, struct error *err)
{
    if (!name_is_valid(d->name))
        return error_set(err, -EINVAL,
                         "'%.70s' is not NAME, NAME@VERSION or NAME@sha256:DIGEST, "
                         "with :DIR if need be",
                         d->name);
    if (!d->path)
        d->path = xasprintf("/datasets/%s", d->name);
    if (d->path[0] != '/') {
        _cleanup_free_ char *relative = take_ptr(d->path);
        d->path = xasprintf("/datasets/%s", relative);
    }
    if (!path_is_plain(d->path + 1) || d->path[1] == '\0')
        return error_set(err, -EINVAL, "'%.120s' is not a directory to mount at", d->path);
    if (path_is_reserved(d->path))
        return error_set(err, -EINVAL, "'%.120s' is taken; choose one below /datasets", d->path);
    return 0;
}

static int check_apart(const struct workload_spec *spec, const struct dataset_mount *d,
                       struct error *err)
{
    for (size_t i = 0; i < spec->n_datasets; i++) {
        const char *other = spec->datasets[i].path;
        if (is_inside(other, d->path) || is_inside(d->path, other))
            return error_set(err, -EINVAL, "'%.80s' and '%.80s' cannot both be mounted", other,
                             d->path);
    }
    return 0;
}

static void mount_done(struct dataset_mount *d)
{
    free(d->name);
    free(d->which);
    free(d->path);
}

int read_datasets(struct workload_spec *spec, const json_t *json, struct error *err)
{
    const json_t *list = json_object_get(json, "datasets");
    size_t n = json_array_size(list);

    if (n > DATASETS_MAX)
        return error_set(err, -EINVAL, "datasets: has %zu items; %d are allowed", n, DATASETS_MAX);
    spec->datasets = n ? xnew_n(struct dataset_mount, n) : NULL;
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(list, i);
        struct dataset_mount d = { 0 };
        int r = 0;
        if (json_is_object(item))
            r = read_pinned(&d, item, err);
        else
            split(json_is_string(item) ? json_string_value(item) : "", &d.name, &d.which, &d.path);
        if (r >= 0)
            r = check_mount(&d, err);
        if (r >= 0)
            r = check_apart(spec, &d, err);
        if (r < 0) {
            mount_done(&d);
            return error_context(err, r, "datasets[%zu]", i);
        }
        spec->datasets[spec->n_datasets++] = d;
    }
    return 0;
}

/* ---- what is written ---------------------------------------------------------------------------------- */

static int check_output(const struct workload_spec *spec, const struct dataset_output *out,
                        struct error *err)
{
    if (!name_is_valid(out->name))
        return error_set(err, -EINVAL, "'%.70s' is not NAME or NAME:DIR", out->name);
    if (!path_is_plain(out->path))
        return error_set(err, -EINVAL, "'%.120s' is not a directory below /artifacts", out->path);
    for (size_t i = 0; i < spec->n_outputs; i++)
        if (str_equal(spec->outputs[i].name, out->name))
            return error_set(err, -EINVAL, "'%s' is there twice", out->name);
    return 0;
}

/* "/artifacts/DIR" is meant where it is said. */
static char *output_path(const char *text)
{
    static const char top[] = "/artifacts";

    if (strncmp(text, top, sizeof top - 1) == 0 &&
        (text[sizeof top - 1] == '/' || text[sizeof top - 1] == '\0'))
        text += sizeof top - 1 + (text[sizeof top - 1] == '/');
    return xstrdup(str_equal(text, ".") ? "" : text);
}

static void read_output(const json_t *item, struct dataset_output *out)
{
    const char *text = json_string_value(item);

    if (!text) {
        out->name = xstrdup(json_get_str(item, "name", ""));
        out->path = xstrdup(json_get_str(item, "path", ""));
        return;
    }
    size_t len = strcspn(text, ":");
    out->name = xstrndup(text, len);
    out->path = text[len] ? output_path(text + len + 1) : xstrdup(out->name);
}

int read_outputs(struct workload_spec *spec, const json_t *json, struct error *err)
{
    const json_t *list = json_object_get(json, "output_datasets");
    size_t n = json_array_size(list);

    if (n > DATASETS_MAX)
        return error_set(err, -EINVAL, "output_datasets: has %zu items; %d are allowed", n,
                         DATASETS_MAX);
    spec->outputs = n ? xnew_n(struct dataset_output, n) : NULL;
    for (size_t i = 0; i < n; i++) {
        struct dataset_output out = { 0 };
        read_output(json_array_get(list, i), &out);
        int r = check_output(spec, &out, err);
        if (r < 0) {
            free(out.name);
            free(out.path);
            return error_context(err, r, "output_datasets[%zu]", i);
        }
        spec->outputs[spec->n_outputs++] = out;
    }
    return 0;
}

/* ---- back ---------------------------------------------------------------------------------------------- */

/* As it was asked for, until a version is pinned. */
static json_t *mount_json(const struct dataset_mount *d)
{
    char hex[SHA256_HEX_LEN + 1];

    if (!d->version) {
        _cleanup_free_ char *text =
            xasprintf("%s%s%s:%s", d->name, d->which ? "@" : "", d->which ? d->which : "", d->path);
        return json_string(text);
    }
    json_t *json = json_object();
    json_put_str(json, "name", d->name);
    json_put_str(json, "which", d->which);
    json_put_int(json, "version", d->version);
    json_put_str(json, "manifest", sha256_format(&d->manifest, hex));
    json_put_str(json, "path", d->path);
    return json;
}

void put_data(json_t *json, const struct workload_spec *spec)
{
    json_t *datasets = json_array(), *outputs = json_array();

    for (size_t i = 0; i < spec->n_datasets; i++)
        (void) json_array_append_new(datasets, mount_json(&spec->datasets[i]));
    for (size_t i = 0; i < spec->n_outputs; i++)
        (void) json_array_append_new(outputs, json_pack("{s:s,s:s}", "name", spec->outputs[i].name,
                                                        "path", spec->outputs[i].path));
    json_put(json, "datasets", json_array_size(datasets) ? json_incref(datasets) : NULL);
    json_put(json, "output_datasets", json_array_size(outputs) ? json_incref(outputs) : NULL);
    json_decref(datasets);
    json_decref(outputs);
}

json_t *dataset_input_json(const struct dataset_mount *d)
{
    char hex[SHA256_HEX_LEN + 1];
    json_t *json = json_object();

    json_put_str(json, "dataset", d->name);
    json_put_int(json, "version", d->version);
    json_put_str(json, "manifest", sha256_format(&d->manifest, hex));
    return json;
}

void free_data(struct workload_spec *spec)
{
    for (size_t i = 0; i < spec->n_datasets; i++)
        mount_done(&spec->datasets[i]);
    free(spec->datasets);
    for (size_t i = 0; i < spec->n_outputs; i++) {
        free(spec->outputs[i].name);
        free(spec->outputs[i].path);
    }
    free(spec->outputs);
}
