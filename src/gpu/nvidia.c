/* nvidia.c - a CDI specification for the machine's NVIDIA GPUs, where nobody has written one
 *
 * The kernel module says in /proc/driver/nvidia which GPUs there are and which version it has; the
 * loader's cache knows where the libraries of that version lie. Not given to containers: the nodes
 * that configure and watch MIG (nvidia-caps) and IMEX channels, which are rights over more than the
 * job's own GPUs.
 */
#include "gpu/internal.h"

#include "os/fd.h"
#include "os/process.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define GPU_KIND "nvidia.com/gpu"
#define OWN_FILE "berth-nvidia.json"

enum { MODPROBE_MS = 30000 };

/* ---- texts of the kernel module (pure) ----------------------------------------------------------- */

static bool is_version(const char *word)
{
    return isdigit((unsigned char) *word) && !word[strspn(word, "0123456789.")] &&
           strchr(word, '.') && !str_ends(word, ".");
}

int nvidia_parse_version(const char *text, char ret[static NVIDIA_VERSION_MAX])
{
    for (const char *p = text; *p && *p != '\n';) {
        size_t len = strcspn(p, " \t\n");
        if (len < NVIDIA_VERSION_MAX) {
            memcpy(ret, p, len);
            ret[len] = '\0';
            if (is_version(ret))
                return 0;
        }
        p += len;
        p += strspn(p, " \t");
    }
    return -EBADMSG;
}

/* The value behind "KEY:" at the start of a line; owned by the caller, NULL without one. */
static char *value_of(const char *text, const char *key)
{
    size_t len = strlen(key);

    for (const char *p = text; p && *p; p = strchr(p, '\n'), p = p ? p + 1 : NULL) {
        if (strncmp(p, key, len) != 0 || p[len] != ':')
            continue;
        p += len + 1;
        p += strspn(p, " \t");
        return xstrndup(p, strcspn(p, "\n"));
    }
    return NULL;
}

int nvidia_parse_gpu(const char *text, unsigned *ret_minor, char **ret_uuid)
{
    _cleanup_free_ char *number = value_of(text, "Device Minor");
    _cleanup_free_ char *uuid = value_of(text, "GPU UUID");
    long long n = 0;

    if (!number || str_to_i64(number, 0, 255, &n) < 0)
        return -EBADMSG;
    *ret_minor = (unsigned) n;
    /* Before the driver has met the GPU its UUID is "GPU-????????-…". */
    *ret_uuid = uuid && str_starts(uuid, "GPU-") && !strchr(uuid, '?') ? take_ptr(uuid) : NULL;
    return 0;
}

/* Which libraries are the driver's, by their names. */
static bool is_driver_library(const char *name)
{
    static const char *const patterns[] = {
        "libcuda.so*",          "libcudadebugger.so*", "libnvcuvid.so*",
        "libnvidia-*.so*",      "libnvoptix.so*",      "libEGL_nvidia.so*",
        "libGLESv*_nvidia.so*", "libGLX_nvidia.so*",   "libvdpau_nvidia.so*",
    };

    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        if (str_glob(patterns[i], name))
            return true;
    return false;
}

/* ---- the machine --------------------------------------------------------------------------------- */

struct maker {
    const char *root;
    char version[NVIDIA_VERSION_MAX];
    struct cdi_spec *spec;
};

static char *below(const struct maker *m, const char *path)
{
    return str_equal(m->root, "/") ? xstrdup(path) : xasprintf("%s%s", m->root, path);
}

static bool is_there(const struct maker *m, const char *path)
{
    _cleanup_free_ char *full = below(m, path);

    return access(full, F_OK) == 0;
}

static bool add_node(const struct maker *m, const char *path, struct cdi_edits *edits)
{
    if (!is_there(m, path))
        return false;
    const struct cdi_node node = { .path = xstrdup(path),
                                   .host_path = below(m, path),
                                   .permissions = xstrdup("rw"),
                                   .mode = 0666 };
    vec_push(&edits->nodes, node);
    return true;
}

static void add_mount(struct maker *m, char *source, char *target)
{
    vec_foreach(&m->spec->edits.mounts, other)
        if (str_equal(other->target, target)) {
            free(source);
            free(target);
            return;
        }
    struct cdi_mount mount = { .source = source, .target = target };
    mount.options = xnew_n(char *, 3);
    mount.options[0] = xstrdup("ro");
    mount.options[1] = xstrdup("bind");
    vec_push(&m->spec->edits.mounts, mount);
}

/* On merged-/usr machines the cache says /lib, which is a link. */
static char *place_of(const struct maker *m, const char *path)
{
    _cleanup_free_ char *lib = below(m, "/lib");
    struct stat st;

    if (str_starts(path, "/lib") && lstat(lib, &st) == 0 && S_ISLNK(st.st_mode))
        return xasprintf("/usr%s", path);
    return xstrdup(path);
}

static void add_library(void *userdata, const char *name, const char *path)
{
    struct maker *m = userdata;

    if (!is_driver_library(name) || path[0] != '/' || strstr(path, "/../") || strchr(name, '/'))
        return;
    _cleanup_free_ char *full = below(m, path);
    _cleanup_free_ char *real = realpath(full, NULL);
    _cleanup_free_ char *version = xasprintf(".%s", m->version);
    /* Another version's would not talk to this kernel module. */
    if (!real || !str_ends(real, version))
        return;
    _cleanup_free_ char *place = place_of(m, path);
    _cleanup_free_ char *directory = xstrndup(place, (size_t) (strrchr(place, '/') - place));
    if (str_equal(name, "libcuda.so.1")) /* what is linked with -lcuda at run time */
        add_mount(m, xstrdup(real), xasprintf("%s/libcuda.so", directory));
    add_mount(m, take_ptr(real), xasprintf("%s/%s", directory, name));
}

static int add_libraries(struct maker *m, struct error *err)
{
    _cleanup_text_ struct text cache = { 0 };
    _cleanup_free_ char *path = below(m, "/etc/ld.so.cache");

    int r = file_read(AT_FDCWD, path, 64 << 20, &cache, err);
    if (r >= 0 && ld_cache_parse(text_str(&cache), cache.len, add_library, m) < 0)
        r = error_set(err, -EBADMSG, "%s: is of an unknown form", path);
    if (r >= 0 && m->spec->edits.mounts.len == 0)
        r = error_set(err, -ENOENT, "%s names no library of driver %s; run ldconfig", path,
                      m->version);
    return r;
}

/* Not the socket of nvidia-persistenced: who speaks to it decides for every GPU of the machine. */
static void add_files(struct maker *m)
{
    static const char *const paths[] = {
        "/usr/bin/nvidia-smi",
        "/usr/bin/nvidia-debugdump",
        "/usr/bin/nvidia-cuda-mps-control",
        "/usr/bin/nvidia-cuda-mps-server",
        "/etc/OpenCL/vendors/nvidia.icd",
        "/etc/vulkan/icd.d/nvidia_icd.json",
        "/usr/share/vulkan/icd.d/nvidia_icd.json",
        "/usr/share/glvnd/egl_vendor.d/10_nvidia.json",
        "/usr/share/nvidia/nvoptix.bin",
    };

    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (is_there(m, paths[i]))
            add_mount(m, below(m, paths[i]), xstrdup(paths[i]));
}

static int read_gpu(const struct maker *m, const char *bus_id, unsigned *ret_number,
                    char **ret_uuid, struct error *err)
{
    _cleanup_text_ struct text text = { 0 };
    _cleanup_free_ char *name = xasprintf("/proc/driver/nvidia/gpus/%s/information", bus_id);
    _cleanup_free_ char *path = below(m, name);

    int r = file_read(AT_FDCWD, path, 65536, &text, err);
    if (r < 0)
        return r;
    r = nvidia_parse_gpu(text_str(&text), ret_number, ret_uuid);
    return r < 0 ? error_set(err, r, "%s: does not tell the GPU's number", path) : 0;
}

/* By its index, as nvidia-smi counts (both go by PCI address), and by its UUID. */
static int add_gpu(struct maker *m, const char *bus_id, unsigned index, struct error *err)
{
    _cleanup_free_ char *uuid = NULL;
    unsigned number = 0;

    int r = read_gpu(m, bus_id, &number, &uuid, err);
    if (r < 0)
        return r;
    _cleanup_free_ char *node = xasprintf("/dev/nvidia%u", number);
    struct cdi_device device = { .name = xasprintf("%u", index) };
    bool is_node = add_node(m, node, &device.edits);
    vec_push(&m->spec->devices, device);
    if (!is_node)
        return error_set(err, -ENOENT, "%s is not there; run: nvidia-modprobe -u -c %u", node,
                         number);
    if (!uuid)
        return 0;
    device = (struct cdi_device){ .name = take_ptr(uuid) };
    (void) add_node(m, node, &device.edits);
    vec_push(&m->spec->devices, device);
    return 0;
}

static int plain_names(const struct dirent *entry) { return entry->d_name[0] != '.'; }

static int add_gpus(struct maker *m, struct error *err)
{
    _cleanup_free_ char *path = below(m, "/proc/driver/nvidia/gpus");
    struct dirent **entries = NULL;
    int n = scandir(path, &entries, plain_names, alphasort);
    int r = n < 0 ? error_set(err, -errno, "%s: %s", path, strerror(errno)) : 0;

    for (int i = 0; i < n; i++) {
        if (r >= 0)
            r = add_gpu(m, entries[i]->d_name, (unsigned) i, err);
        free(entries[i]);
    }
    free(entries);
    if (r >= 0 && n == 0)
        r = error_set(err, -ENODEV, "NVIDIA's driver has no GPU");
    return r;
}

static int add_shared_nodes(struct maker *m, struct error *err)
{
    static const char *const optional[] = { "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset" };

    if (!add_node(m, "/dev/nvidiactl", &m->spec->edits) ||
        !add_node(m, "/dev/nvidia-uvm", &m->spec->edits))
        return error_set(err, -ENOENT,
                         "/dev/nvidiactl or /dev/nvidia-uvm is not there; run: nvidia-modprobe -u "
                         "-c 0");
    for (size_t i = 0; i < sizeof optional / sizeof *optional; i++)
        (void) add_node(m, optional[i], &m->spec->edits);
    return 0;
}

int nvidia_spec_make(const char *root, struct cdi_spec **ret, struct error *err)
{
    _cleanup_(cdi_spec_freep) struct cdi_spec *spec = xnew(struct cdi_spec);
    struct maker m = { .root = root, .spec = spec };
    _cleanup_free_ char *path = below(&m, "/proc/driver/nvidia/version");
    _cleanup_text_ struct text version = { 0 };

    if (file_read(AT_FDCWD, path, 65536, &version, NULL) < 0)
        return error_set(err, -ENODEV, "NVIDIA's driver is not loaded");
    if (nvidia_parse_version(text_str(&version), m.version) < 0)
        return error_set(err, -EBADMSG, "%s: does not tell the driver's version", path);
    spec->kind = xstrdup(GPU_KIND);
    int r = add_gpus(&m, err);
    if (r >= 0)
        r = add_shared_nodes(&m, err);
    if (r >= 0)
        r = add_libraries(&m, err);
    if (r < 0)
        return r;
    add_files(&m);
    *ret = take_ptr(spec);
    return 0;
}

/* ---- the file ------------------------------------------------------------------------------------ */

/* Somebody else's specification: theirs is the better one, and two would be one too many. */
static bool has_other(const char *const *directories, const char *own)
{
    struct cdi_registry registry = { 0 };
    bool found = false;

    cdi_load(directories, &registry);
    vec_foreach(&registry.specs, spec)
        found |= str_equal((*spec)->kind, GPU_KIND) && !str_equal((*spec)->path, own);
    cdi_registry_done(&registry);
    return found;
}

/* The driver makes no device nodes itself. On a machine without a screen nobody may have done so since its
 * start. */
static void make_nodes(const char *root)
{
    const struct maker m = { .root = root };
    _cleanup_free_ char *program = below(&m, "/usr/bin/nvidia-modprobe");
    const char *const argv[] = { program, "-u", "-c", "0", NULL };

    if (!is_there(&m, "/proc/driver/nvidia/version") || access(program, X_OK) < 0)
        return;
    if (is_there(&m, "/dev/nvidiactl") && is_there(&m, "/dev/nvidia-uvm") &&
        is_there(&m, "/dev/nvidia0"))
        return;
    (void) process_run(argv, 4096, MODPROBE_MS, NULL, NULL, NULL);
}

static int write_spec(const struct cdi_spec *spec, const char *directory, const char *path,
                      struct error *err)
{
    _cleanup_json_ json_t *json = cdi_spec_to_json(spec);
    _cleanup_free_ char *text = json_text(json);

    int r = mkdir_all(AT_FDCWD, directory, 0755, err);
    return r < 0 ? r : file_replace(AT_FDCWD, path, 0644, text, strlen(text), false, err);
}

int nvidia_spec_write(const char *root, const char *const *directories, char **ret_path,
                      struct error *err)
{
    _cleanup_(cdi_spec_freep) struct cdi_spec *spec = NULL;
    const char *directory = NULL;

    *ret_path = NULL;
    for (size_t i = 0; directories && directories[i]; i++)
        directory = directories[i];
    if (!directory)
        return 0;
    _cleanup_free_ char *path = xasprintf("%s/" OWN_FILE, directory);
    bool is_needed = !has_other(directories, path);
    if (is_needed)
        make_nodes(root);
    int r = is_needed ? nvidia_spec_make(root, &spec, err) : -EEXIST;
    if (r < 0) {
        /* What an earlier start wrote does not hold any more. */
        (void) unlink(path);
        return r == -ENODEV || r == -EEXIST ? 0 : r;
    }
    r = write_spec(spec, directory, path, err);
    if (r >= 0)
        *ret_path = take_ptr(path);
    return r;
}
