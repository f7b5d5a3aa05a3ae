/* cdi.c - specifications of the Container Device Interface, versions 0.3 to 1.x: text to structs
 *
 * https://github.com/cncf-tags/container-device-interface/blob/main/SPEC.md
 */
#include "gpu/internal.h"

#include "base/yaml.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { DEVICES_MAX = 1024, ITEMS_MAX = 1024, NUMBER_MAX = 0xfffff, TIMEOUT_MAX = 600 };

static bool is_word(const char *s, size_t len, const char *also, bool may_begin_with_digit)
{
    if (len == 0 || !isalnum((unsigned char) s[len - 1]) ||
        !(may_begin_with_digit ? isalnum((unsigned char) *s) : isalpha((unsigned char) *s)))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char) s[i]) && !strchr(also, s[i]))
            return false;
    return len <= 255;
}

static bool kind_is_valid(const char *kind, size_t len)
{
    const char *slash = memchr(kind, '/', len);
    size_t vendor = slash ? (size_t) (slash - kind) : 0;

    return slash && is_word(kind, vendor, "_-.", false) &&
           is_word(slash + 1, len - vendor - 1, "_-", false);
}

static bool device_is_valid(const char *name) { return is_word(name, strlen(name), "_-.:", true); }

bool cdi_name_is_valid(const char *name)
{
    const char *equal = strchr(name, '=');

    return equal && kind_is_valid(name, (size_t) (equal - name)) && device_is_valid(equal + 1);
}

/* ---- readers ----------------------------------------------------------------------------------- */

static int only_known(const json_t *json, const char *const *known, struct error *err)
{
    const char *key;
    json_t *value;

    if (!json_is_object(json))
        return error_set(err, -EINVAL, "is not a map");
    json_object_foreach((json_t *) (uintptr_t) json, key, value) {
        bool found = false;
        for (const char *const *p = known; *p && !found; p++)
            found = str_equal(*p, key);
        if (!found)
            return error_set(err, -ENOTSUP, "%.40s: is not known here", key);
    }
    return 0;
}

static bool path_is_plain(const char *path)
{
    size_t len = strlen(path);

    return path[0] == '/' && len < PATH_MAX && !strstr(path, "/../") && !str_ends(path, "/..");
}

static int read_path(const json_t *json, const char *key, char **ret, struct error *err)
{
    const char *path = json_get_str(json, key, NULL);

    if (!path)
        return error_set(err, -EINVAL, "%s: is missing", key);
    if (!path_is_plain(path))
        return error_set(err, -EINVAL, "%s: '%.60s' is not an absolute path without '..'", key,
                         path);
    *ret = xstrdup(path);
    return 0;
}

static int read_number(const json_t *json, const char *key, int64_t max, int64_t *ret,
                       struct error *err)
{
    const json_t *value = json_object_get(json, key);

    if (!value || json_is_null(value))
        return 0;
    if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > max)
        return error_set(err, -EINVAL, "%s: is not a number from 0 to %" PRId64, key, max);
    *ret = json_integer_value(value);
    return 1;
}

/* A list of strings; NULL when there is none. */
static int read_strings(const json_t *json, const char *key, char ***ret, struct error *err)
{
    const json_t *list = json_object_get(json, key), *item;
    size_t i;

    if (!list || json_is_null(list))
        return 0;
    if (!json_is_array(list) || json_array_size(list) > ITEMS_MAX)
        return error_set(err, -EINVAL, "%s: is not a list of at most %d", key, ITEMS_MAX);
    *ret = xnew_n(char *, json_array_size(list) + 1);
    json_array_foreach(list, i, item) {
        if (!json_is_string(item))
            return error_set(err, -EINVAL, "%s[%zu]: is not text", key, i);
        (*ret)[i] = xstrdup(json_string_value(item));
    }
    return 0;
}

static int read_node_type(const json_t *json, struct cdi_node *node, struct error *err)
{
    const char *type = json_get_str(json, "type", "");

    if (*type && !str_equal(type, "c") && !str_equal(type, "u") && !str_equal(type, "b"))
        return error_set(err, -ENOTSUP, "type: '%.20s' is not c, u or b", type);
    node->type = *type == 'u' ? 'c' : *type;

    const char *permissions = json_get_str(json, "permissions", "rwm");
    if (!*permissions || strlen(permissions) > 3 || permissions[strspn(permissions, "rwm")])
        return error_set(err, -EINVAL, "permissions: '%.20s' is not of r, w and m", permissions);
    node->permissions = xstrdup(permissions);
    return 0;
}

static int read_node_numbers(const json_t *json, struct cdi_node *node, struct error *err)
{
    int64_t device_major = 0, device_minor = 0, mode = -1, uid = 0, gid = 0;
    int r_major = read_number(json, "major", NUMBER_MAX, &device_major, err);
    int r_minor =
        r_major < 0 ? r_major : read_number(json, "minor", NUMBER_MAX, &device_minor, err);
    int r = r_minor < 0 ? r_minor : read_number(json, "fileMode", 07777, &mode, err);

    if (r >= 0)
        r = read_number(json, "uid", 65535, &uid, err);
    if (r >= 0)
        r = read_number(json, "gid", 65535, &gid, err);
    if (r < 0)
        return r;
    if (r_major != r_minor)
        return error_set(err, -EINVAL, "major, minor: one is missing");
    /* An all-zero pair is what generators write for "of the host". */
    node->has_number = r_major > 0 && (device_major > 0 || device_minor > 0);
    node->major = (unsigned) device_major;
    node->minor = (unsigned) device_minor;
    node->mode = mode < 0 ? -1 : (int) (mode & 0777);
    node->uid = (uid_t) uid;
    node->gid = (gid_t) gid;
    return 0;
}

static int read_node(const json_t *json, struct cdi_edits *edits, struct error *err)
{
    static const char *const known[] = { "path",     "hostPath",    "type", "major", "minor",
                                         "fileMode", "permissions", "uid",  "gid",   NULL };
    struct cdi_node node = { .mode = -1 };

    int r = only_known(json, known, err);
    if (r >= 0)
        r = read_path(json, "path", &node.path, err);
    if (r >= 0 && json_object_get(json, "hostPath"))
        r = read_path(json, "hostPath", &node.host_path, err);
    if (r >= 0 && !node.host_path)
        node.host_path = xstrdup(node.path);
    if (r >= 0)
        r = read_node_type(json, &node, err);
    if (r >= 0)
        r = read_node_numbers(json, &node, err);
    vec_push(&edits->nodes, node);
    return r;
}

static int read_mount(const json_t *json, struct cdi_edits *edits, struct error *err)
{
    static const char *const known[] = { "hostPath", "containerPath", "options", "type", NULL };
    struct cdi_mount mount = { 0 };

    int r = only_known(json, known, err);
    if (r >= 0)
        r = read_path(json, "hostPath", &mount.source, err);
    if (r >= 0)
        r = read_path(json, "containerPath", &mount.target, err);
    if (r >= 0)
        r = read_strings(json, "options", &mount.options, err);
    if (!mount.options)
        mount.options = xnew_n(char *, 1);
    mount.type = xstrdup(json_get_str(json, "type", NULL));
    vec_push(&edits->mounts, mount);
    return r;
}

static bool is_hook_point(const char *name)
{
    static const char *const points[] = { "prestart",       "createRuntime", "createContainer",
                                          "startContainer", "poststart",     "poststop" };

    for (size_t i = 0; i < sizeof points / sizeof *points; i++)
        if (str_equal(points[i], name))
            return true;
    return false;
}

static int read_hook(const json_t *json, struct cdi_edits *edits, struct error *err)
{
    static const char *const known[] = { "hookName", "path", "args", "env", "timeout", NULL };
    struct cdi_hook hook = { 0 };
    int64_t timeout = 0;

    int r = only_known(json, known, err);
    if (r >= 0 && !is_hook_point(json_get_str(json, "hookName", "")))
        r = error_set(err, -EINVAL, "hookName: '%.40s' is not a hook of OCI",
                      json_get_str(json, "hookName", ""));
    if (r >= 0)
        r = read_path(json, "path", &hook.path, err);
    if (r >= 0)
        r = read_strings(json, "args", &hook.args, err);
    if (r >= 0)
        r = read_strings(json, "env", &hook.env, err);
    if (r >= 0)
        r = read_number(json, "timeout", TIMEOUT_MAX, &timeout, err);
    hook.point = xstrdup(json_get_str(json, "hookName", NULL));
    hook.timeout_s = (unsigned) timeout;
    vec_push(&edits->hooks, hook);
    return r < 0 ? r : 0;
}

static int read_env(const json_t *json, struct cdi_edits *edits, struct error *err)
{
    const char *text = json_string_value(json);

    if (!text || !strchr(text, '=') || *text == '=')
        return error_set(err, -EINVAL, "is not of the form NAME=value");
    vec_push(&edits->env, xstrdup(text));
    return 0;
}

static int read_items(const json_t *json, const char *key, struct cdi_edits *edits,
                      int (*read)(const json_t *, struct cdi_edits *, struct error *),
                      struct error *err)
{
    const json_t *list = json_object_get(json, key), *item;
    size_t i;

    if (!list || json_is_null(list))
        return 0;
    if (!json_is_array(list) || json_array_size(list) > ITEMS_MAX)
        return error_set(err, -EINVAL, "%s: is not a list of at most %d", key, ITEMS_MAX);
    json_array_foreach(list, i, item) {
        int r = read(item, edits, err);
        if (r < 0)
            return error_context(err, r, "%s[%zu]", key, i);
    }
    return 0;
}

/* additionalGIDs are passed over: who may use a node inside is settled by the node's own owner. */
static int read_edits(const json_t *json, struct cdi_edits *edits, struct error *err)
{
    static const char *const known[] = { "env",   "deviceNodes",    "mounts",
                                         "hooks", "additionalGIDs", NULL };

    if (!json || json_is_null(json))
        return 0;
    int r = only_known(json, known, err);
    if (r >= 0)
        r = read_items(json, "deviceNodes", edits, read_node, err);
    if (r >= 0)
        r = read_items(json, "mounts", edits, read_mount, err);
    if (r >= 0)
        r = read_items(json, "hooks", edits, read_hook, err);
    if (r >= 0)
        r = read_items(json, "env", edits, read_env, err);
    return r < 0 ? error_context(err, r, "containerEdits") : 0;
}

static int read_device(const json_t *json, struct cdi_spec *spec, struct error *err)
{
    static const char *const known[] = { "name", "annotations", "containerEdits", NULL };
    const char *name = json_get_str(json, "name", "");

    int r = only_known(json, known, err);
    if (r < 0)
        return r;
    if (!device_is_valid(name))
        return error_set(err, -EINVAL,
                         "name: '%.60s' is not a name of letters, digits and _-.:", name);
    vec_foreach(&spec->devices, other)
        if (str_equal(other->name, name))
            return error_set(err, -EINVAL, "name: '%s' is there twice", name);
    vec_push(&spec->devices, ((struct cdi_device){ .name = xstrdup(name) }));
    return read_edits(json_object_get(json, "containerEdits"),
                      &spec->devices.items[spec->devices.len - 1].edits, err);
}

static int read_devices(const json_t *json, struct cdi_spec *spec, struct error *err)
{
    const json_t *list = json_object_get(json, "devices"), *item;
    size_t i;

    if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > DEVICES_MAX)
        return error_set(err, -EINVAL, "devices: is not a list of 1 to %d", DEVICES_MAX);
    json_array_foreach(list, i, item) {
        int r = read_device(item, spec, err);
        if (r < 0)
            return error_context(err, r, "devices[%zu]", i);
    }
    return 0;
}

static int check_version(const json_t *json, struct error *err)
{
    const char *version = json_get_str(json, "cdiVersion", "");

    if (!str_starts(version, "0.") && !str_starts(version, "1."))
        return error_set(err, -ENOTSUP, "cdiVersion: '%.20s' is not 0.x or 1.x", version);
    return 0;
}

int cdi_parse(const char *bytes, size_t len, struct cdi_spec **ret, struct error *err)
{
    static const char *const known[] = { "cdiVersion", "kind",           "annotations",
                                         "devices",    "containerEdits", NULL };
    _cleanup_(cdi_spec_freep) struct cdi_spec *spec = xnew(struct cdi_spec);
    _cleanup_json_ json_t *json = NULL;

    int r = yaml_parse(bytes, len, &json, err);
    if (r >= 0)
        r = only_known(json, known, err);
    if (r >= 0)
        r = check_version(json, err);
    if (r < 0)
        return r;
    const char *kind = json_get_str(json, "kind", "");
    if (!kind_is_valid(kind, strlen(kind)))
        return error_set(err, -EINVAL, "kind: '%.60s' is not of the form vendor.com/class", kind);
    spec->kind = xstrdup(kind);
    r = read_edits(json_object_get(json, "containerEdits"), &spec->edits, err);
    if (r >= 0)
        r = read_devices(json, spec, err);
    if (r < 0)
        return r;
    *ret = take_ptr(spec);
    return 0;
}

void cdi_spec_free(struct cdi_spec *spec)
{
    if (!spec)
        return;
    vec_foreach(&spec->devices, device) {
        free(device->name);
        cdi_edits_done(&device->edits);
    }
    vec_done(&spec->devices);
    cdi_edits_done(&spec->edits);
    free(spec->kind);
    free(spec->path);
    free(spec);
}

/* ---- writing ----------------------------------------------------------------------------------- */

static json_t *strings_to_json(char *const *list)
{
    json_t *array = json_array();

    for (; list && *list; list++)
        (void) json_array_append_new(array, json_string(*list));
    return array;
}

static json_t *node_to_json(const struct cdi_node *node)
{
    json_t *json = json_object();
    const char type[2] = { node->type, '\0' };

    json_put_str(json, "path", node->path);
    if (!str_equal(node->path, node->host_path))
        json_put_str(json, "hostPath", node->host_path);
    if (node->type)
        json_put_str(json, "type", type);
    if (node->has_number) {
        json_put_int(json, "major", node->major);
        json_put_int(json, "minor", node->minor);
    }
    if (node->mode >= 0)
        json_put_int(json, "fileMode", node->mode);
    json_put_str(json, "permissions", node->permissions);
    if (node->uid)
        json_put_int(json, "uid", node->uid);
    if (node->gid)
        json_put_int(json, "gid", node->gid);
    return json;
}

static json_t *mount_to_json(const struct cdi_mount *mount)
{
    json_t *json = json_object();

    json_put_str(json, "hostPath", mount->source);
    json_put_str(json, "containerPath", mount->target);
    json_put_str(json, "type", mount->type);
    json_put(json, "options", strings_to_json(mount->options));
    return json;
}

static json_t *hook_to_json(const struct cdi_hook *hook)
{
    json_t *json = json_object();

    json_put_str(json, "hookName", hook->point);
    json_put_str(json, "path", hook->path);
    if (hook->args)
        json_put(json, "args", strings_to_json(hook->args));
    if (hook->env)
        json_put(json, "env", strings_to_json(hook->env));
    if (hook->timeout_s)
        json_put_int(json, "timeout", hook->timeout_s);
    return json;
}

static json_t *edits_to_json(const struct cdi_edits *edits)
{
    json_t *json = json_object(), *nodes = json_array(), *mounts = json_array();
    json_t *hooks = json_array(), *env = json_array();

    vec_foreach(&edits->nodes, node)
        (void) json_array_append_new(nodes, node_to_json(node));
    vec_foreach(&edits->mounts, mount)
        (void) json_array_append_new(mounts, mount_to_json(mount));
    vec_foreach(&edits->hooks, hook)
        (void) json_array_append_new(hooks, hook_to_json(hook));
    vec_foreach(&edits->env, text)
        (void) json_array_append_new(env, json_string(*text));
    json_put(json, "deviceNodes", nodes);
    json_put(json, "mounts", mounts);
    json_put(json, "hooks", hooks);
    json_put(json, "env", env);
    return json;
}

json_t *cdi_spec_to_json(const struct cdi_spec *spec)
{
    json_t *json = json_object(), *devices = json_array();

    json_put_str(json, "cdiVersion", "0.6.0");
    json_put_str(json, "kind", spec->kind);
    vec_foreach(&spec->devices, device) {
        json_t *item = json_object();
        json_put_str(item, "name", device->name);
        json_put(item, "containerEdits", edits_to_json(&device->edits));
        (void) json_array_append_new(devices, item);
    }
    json_put(json, "devices", devices);
    json_put(json, "containerEdits", edits_to_json(&spec->edits));
    return json;
}
