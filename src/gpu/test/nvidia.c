/* NVIDIA's driver as a tree of the test's own: what its kernel module says, what the loader's cache names. */
#include "gpu/gpu.h"

#include "base/alloc.h"
#include "tests/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static struct error err;

/* ---- texts --------------------------------------------------------------------------------------- */

TEST(the_version_is_read_of_both_kinds_of_module)
{
    char version[NVIDIA_VERSION_MAX];

    ok(nvidia_parse_version("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.261.03  Tue Jul\n"
                            "GCC version:  gcc version 12.2.0\n",
                            version) == 0);
    is_str(version, "535.261.03");
    ok(nvidia_parse_version("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  "
                            "Release Build  (root@x)  Tue\n",
                            version) == 0);
    is_str(version, "580.95.05");
    ok(nvidia_parse_version("", version) == -EBADMSG);
    ok(nvidia_parse_version("NVRM version: none .5 5. 12\n1.2\n", version) == -EBADMSG);
}

TEST(a_gpu_is_known_by_number_and_uuid)
{
    unsigned number = 9;
    char *uuid = NULL;

    ok(nvidia_parse_gpu("Model: \t\t NVIDIA H100\nGPU UUID: \t GPU-1-2\nDevice Minor: \t 3\n",
                        &number, &uuid) == 0);
    ok(number == 3);
    is_str(uuid, "GPU-1-2");
    free(uuid);
    ok(nvidia_parse_gpu("GPU UUID: \t GPU-????????"
                        "-????\nDevice Minor: 0",
                        &number, &uuid) == 0);
    ok(number == 0 && !uuid);
    ok(nvidia_parse_gpu("GPU UUID: GPU-1\n", &number, &uuid) == -EBADMSG);
    ok(nvidia_parse_gpu("Device Minor: 256\n", &number, &uuid) == -EBADMSG);
}

/* ---- the loader's cache -------------------------------------------------------------------------- */

struct library {
    uint32_t flags;
    const char *name, *path;
};

#if defined(__x86_64__)
#define OWN_KIND 0x0303u
#elif defined(__aarch64__)
#define OWN_KIND 0x0a03u
#else
#define OWN_KIND 0x0003u
#endif
#define OTHER_KIND 0x0803u /* of 32 bits */

static void put_number(struct text *out, uint32_t n) { text_add_bytes(out, &n, sizeof n); }

/* As ldconfig writes it: header, entries, strings; offsets are from the header. */
static struct text make_cache(const struct library *libraries, size_t n)
{
    struct text out = { 0 }, strings = { 0 };
    uint32_t begin = (uint32_t) (48 + 24 * n);

    text_add(&out, "glibc-ld.so.cache1.1");
    put_number(&out, (uint32_t) n);
    for (int i = 0; i < 6; i++)
        put_number(&out, 0);
    for (size_t i = 0; i < n; i++) {
        put_number(&out, libraries[i].flags);
        put_number(&out, begin + (uint32_t) strings.len);
        text_add_bytes(&strings, libraries[i].name, strlen(libraries[i].name) + 1);
        put_number(&out, begin + (uint32_t) strings.len);
        text_add_bytes(&strings, libraries[i].path, strlen(libraries[i].path) + 1);
        for (int k = 0; k < 3; k++)
            put_number(&out, 0);
    }
    text_add_bytes(&out, strings.data, strings.len);
    text_done(&strings);
    return out;
}

static void note(void *userdata, const char *name, const char *path)
{
    text_addf(userdata, "%s=%s ", name, path);
}

static const struct library two[] = { { OWN_KIND, "liba.so.1", "/lib/liba.so.1" },
                                      { OTHER_KIND, "liba.so.1", "/lib32/liba.so.1" },
                                      { OWN_KIND, "libb.so.2", "/opt/libb.so.2" } };

TEST(libraries_of_this_machine_come_in_their_order)
{
    _cleanup_text_ struct text cache = make_cache(two, 3), seen = { 0 };

    ok(ld_cache_parse(cache.data, cache.len, note, &seen) == 0);
    is_str(text_str(&seen), "liba.so.1=/lib/liba.so.1 libb.so.2=/opt/libb.so.2 ");
}

TEST(a_cache_behind_one_of_the_old_form_is_found)
{
    _cleanup_text_ struct text cache = make_cache(two, 3), old = { 0 }, seen = { 0 };

    text_add_bytes(&old, "ld.so-1.7.0\0", 12);
    put_number(&old, 1);
    for (int i = 0; i < 3 + 1; i++) /* one entry, and the padding to 8 */
        put_number(&old, 0);
    text_add_bytes(&old, cache.data, cache.len);
    ok(ld_cache_parse(old.data, old.len, note, &seen) == 0);
    ok(seen.len > 0);
}

TEST(a_cache_that_is_cut_anywhere_is_refused)
{
    _cleanup_text_ struct text cache = make_cache(two, 3), seen = { 0 };

    for (size_t len = 0; len < cache.len; len++) {
        /* Of its own size, so that a look beyond the end is seen. */
        _cleanup_free_ char *part = xmemdup(cache.data, len);
        ok(ld_cache_parse(part, len, note, &seen) == -EBADMSG);
    }
}

/* ---- the machine --------------------------------------------------------------------------------- */

static void put_libraries(void)
{
    static const struct library libraries[] = {
        { OWN_KIND, "libcuda.so.1", "/lib/x/libcuda.so.1" },
        { OWN_KIND, "libcuda.so.1", "/usr/lib/y/libcuda.so.1" }, /* of another driver */
        { OWN_KIND, "libnvidia-ml.so.1", "/usr/lib/x/libnvidia-ml.so.1" },
        { OWN_KIND, "libc.so.6", "/usr/lib/x/libc.so.6" },
        { OWN_KIND, "../libcuda.so.1", "/usr/lib/x/libcuda.so.1" },
    };
    _cleanup_text_ struct text cache = make_cache(libraries, 5);
    _cleanup_free_ char *path = xasprintf("%s/etc/ld.so.cache", root);
    _cleanup_free_ char *lib = xasprintf("%s/lib", root);
    _cleanup_free_ char *cuda = xasprintf("%s/usr/lib/x/libcuda.so.1", root);
    _cleanup_free_ char *ml = xasprintf("%s/usr/lib/x/libnvidia-ml.so.1", root);

    put("", "usr/lib/x/libcuda.so.550.54");
    put("", "usr/lib/x/libnvidia-ml.so.550.54");
    put("", "usr/lib/x/libc.so.6");
    put("", "usr/lib/y/libcuda.so.1");
    put("", "etc/ld.so.cache");
    ok(symlink("usr/lib", lib) == 0 && symlink("libcuda.so.550.54", cuda) == 0 &&
       symlink("libnvidia-ml.so.550.54", ml) == 0);
    ok(file_replace(AT_FDCWD, path, 0644, cache.data, cache.len, false, NULL) == 0);
}

static void make_machine(void)
{
    machine_make();
    put("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54  Tue\n",
        "proc/driver/nvidia/version");
    put("GPU UUID: GPU-b\nDevice Minor: 1\n", "proc/driver/nvidia/gpus/0000:ab:00.0/information");
    put("GPU UUID: GPU-a\nDevice Minor: 0\n", "proc/driver/nvidia/gpus/0000:1b:00.0/information");
    put("", "dev/nvidia0");
    put("", "dev/nvidia1");
    put("", "dev/nvidiactl");
    put("", "dev/nvidia-uvm");
    put("", "usr/bin/nvidia-smi");
    put("", "run/nvidia-persistenced/socket");
    put_libraries();
}

static void note_mounts(const struct cdi_spec *spec, struct text *out)
{
    vec_foreach(&spec->edits.mounts, mount)
        text_addf(out, "%s>%s ", mount->source + strlen(root), mount->target);
}

TEST(a_machine_is_described)
{
    _cleanup_(cdi_spec_freep) struct cdi_spec *spec = NULL;
    _cleanup_text_ struct text mounts = { 0 };

    make_machine();
    ok(nvidia_spec_make(root, &spec, &err) == 0);
    ok(spec->devices.len == 4 && spec->edits.nodes.len == 2);
    is_str(spec->devices.items[0].name, "0");
    is_str(spec->devices.items[1].name, "GPU-a");
    is_str(spec->devices.items[3].name, "GPU-b");
    is_str(spec->devices.items[3].edits.nodes.items[0].path, "/dev/nvidia1");
    is_str(spec->edits.nodes.items[1].path, "/dev/nvidia-uvm");
    note_mounts(spec, &mounts);
    is_str(text_str(&mounts), "/usr/lib/x/libcuda.so.550.54>/usr/lib/x/libcuda.so "
                              "/usr/lib/x/libcuda.so.550.54>/usr/lib/x/libcuda.so.1 "
                              "/usr/lib/x/libnvidia-ml.so.550.54>/usr/lib/x/libnvidia-ml.so.1 "
                              "/usr/bin/nvidia-smi>/usr/bin/nvidia-smi ");
    machine_drop();
}

static void must_fail(const char *without, int code, const char *why)
{
    _cleanup_(cdi_spec_freep) struct cdi_spec *spec = NULL;

    make_machine();
    _cleanup_free_ char *path = xasprintf("%s/%s", root, without);
    ok(remove_tree(AT_FDCWD, path, NULL) == 0);
    err = (struct error){ 0 };
    ok(nvidia_spec_make(root, &spec, &err) == code);
    ok(strstr(err.text, why) != NULL);
    machine_drop();
}

TEST(what_is_missing_is_said_with_what_mends_it)
{
    must_fail("proc/driver/nvidia/version", -ENODEV, "is not loaded");
    must_fail("dev/nvidia1", -ENOENT, "/dev/nvidia1 is not there; run: nvidia-modprobe -u -c 1");
    must_fail("dev/nvidia-uvm", -ENOENT, "run: nvidia-modprobe -u -c 0");
    must_fail("etc/ld.so.cache", -ENOENT, "ld.so.cache");
    must_fail("usr/lib/x", -ENOENT, "names no library of driver 550.54; run ldconfig");
}

/* Files of root's count; elsewhere the specification in the way would not. */
TEST(it_is_written_unless_somebody_else_has_one)
{
    make_machine();
    _cleanup_free_ char *first = xasprintf("%s/etc/cdi", root);
    _cleanup_free_ char *last = xasprintf("%s/run/cdi", root);
    const char *const directories[] = { first, last, NULL };
    _cleanup_free_ char *path = NULL, *again = NULL, *none = NULL;
    struct cdi_registry registry = { 0 };

    ok(nvidia_spec_write(root, directories, &path, &err) == 0);
    ok(path && str_ends(path, "/run/cdi/berth-nvidia.json"));
    ok(nvidia_spec_write(root, directories, &again, &err) == 0 && again);
    if (geteuid() == 0) {
        cdi_load(directories, &registry);
        ok(registry.specs.len == 1 && registry.problems.len == 0);
        cdi_registry_done(&registry);
        put("cdiVersion: 0.6.0\nkind: nvidia.com/gpu\ndevices: [{name: x}]\n",
            "etc/cdi/nvidia.yaml");
        ok(nvidia_spec_write(root, directories, &none, &err) == 0 && !none);
        ok(access(path, F_OK) < 0);
    }
    machine_drop();
}

TAP_MAIN
