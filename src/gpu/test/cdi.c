#include "gpu/gpu.h"

#include "base/alloc.h"
#include "base/text.h"
#include "tests/tap.h"

#include <errno.h>
#include <string.h>

static struct error err;

static const char *const spec_text =
    "cdiVersion: 0.5.0\n"
    "kind: nvidia.com/gpu\n"
    "containerEdits:\n"
    "  env: [A=b]\n"
    "  deviceNodes:\n"
    "  - {path: /dev/ctl, type: c, major: 195, minor: 255, permissions: rw, fileMode: 438}\n"
    "  mounts:\n"
    "  - {hostPath: /usr/lib/x.so, containerPath: /usr/lib/y.so, options: [ro, bind]}\n"
    "  hooks:\n"
    "  - {hookName: createContainer, path: /usr/bin/hook, args: [hook, a], timeout: 3}\n"
    "devices:\n"
    "- name: '0'\n"
    "  containerEdits:\n"
    "    deviceNodes: [{path: /dev/nvidia0, hostPath: /dev/null}]\n"
    "- name: '1'\n"
    "  containerEdits:\n"
    "    deviceNodes: [{path: /dev/nvidia1}]\n";

static struct cdi_spec *parse(const char *text)
{
    struct cdi_spec *spec = NULL;

    err = (struct error){ 0 };
    (void) cdi_parse(text, strlen(text), &spec, &err);
    return spec;
}

TEST(a_specification_is_read)
{
    _cleanup_(cdi_spec_freep) struct cdi_spec *spec = parse(spec_text);

    ok(spec && spec->devices.len == 2 && str_equal(spec->kind, "nvidia.com/gpu"));
    const struct cdi_node *node = &spec->edits.nodes.items[0];
    ok(node->has_number && node->major == 195 && node->minor == 255 && node->mode == 0666);
    is_str(node->permissions, "rw");
    is_str(spec->edits.mounts.items[0].target, "/usr/lib/y.so");
    is_str(spec->edits.hooks.items[0].args[1], "a");
    ok(spec->edits.hooks.items[0].timeout_s == 3);
    is_str(spec->devices.items[0].edits.nodes.items[0].host_path, "/dev/null");
    ok(!spec->devices.items[1].edits.nodes.items[0].has_number);
}

TEST(what_is_written_reads_as_the_same)
{
    _cleanup_(cdi_spec_freep) struct cdi_spec *spec = parse(spec_text);
    _cleanup_json_ json_t *json = cdi_spec_to_json(spec);
    _cleanup_free_ char *text = json_text(json);
    _cleanup_(cdi_spec_freep) struct cdi_spec *again = parse(text);
    _cleanup_json_ json_t *json_again = again ? cdi_spec_to_json(again) : NULL;

    ok(json_equal(json, json_again));
}

#define HEAD          "cdiVersion: 0.6.0\nkind: a.com/gpu\n"
#define DEVICE(edits) HEAD "devices: [{name: x, containerEdits: {" edits "}}]\n"

TEST(what_is_wrong_is_refused_with_its_place)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        { "", "is not a map" },
        { "cdiVersion: 9.0.0\nkind: a.com/b\n", "cdiVersion: '9.0.0' is not 0.x or 1.x" },
        { "cdiVersion: 0.6.0\nkind: gpu\n", "kind: 'gpu' is not of the form vendor.com/class" },
        { HEAD "devices: []\n", "devices: is not a list of 1 to 1024" },
        { HEAD "devices: [{name: '../x'}]\n",
          "devices[0]: name: '../x' is not a name of letters, digits and _-.:" },
        { HEAD "devices: [{name: x}, {name: x}]\n", "devices[1]: name: 'x' is there twice" },
        { DEVICE("intelRdt: {}"), "devices[0]: containerEdits: intelRdt: is not known here" },
        { DEVICE("env: [x]"), "devices[0]: containerEdits: env[0]: is not of the form NAME=value" },
        { DEVICE("deviceNodes: [{path: dev/x}]"),
          "devices[0]: containerEdits: deviceNodes[0]: path: 'dev/x' is not an absolute path "
          "without '..'" },
        { DEVICE("deviceNodes: [{path: /dev/../x}]"),
          "devices[0]: containerEdits: deviceNodes[0]: path: '/dev/../x' is not an absolute path "
          "without '..'" },
        { DEVICE("deviceNodes: [{path: /dev/x, type: p}]"),
          "devices[0]: containerEdits: deviceNodes[0]: type: 'p' is not c, u or b" },
        { DEVICE("deviceNodes: [{path: /dev/x, major: 1}]"),
          "devices[0]: containerEdits: deviceNodes[0]: major, minor: one is missing" },
        { DEVICE("deviceNodes: [{path: /dev/x, permissions: rx}]"),
          "devices[0]: containerEdits: deviceNodes[0]: permissions: 'rx' is not of r, w and m" },
        { DEVICE("hooks: [{hookName: whenever, path: /bin/true}]"),
          "devices[0]: containerEdits: hooks[0]: hookName: 'whenever' is not a hook of OCI" },
        { DEVICE("mounts: [{hostPath: /a}]"),
          "devices[0]: containerEdits: mounts[0]: containerPath: is missing" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        _cleanup_(cdi_spec_freep) struct cdi_spec *spec = parse(cases[i].text);
        ok(!spec);
        is_str(err.text, cases[i].error);
    }
}

TEST(names_have_a_vendor_a_class_and_a_device)
{
    ok(cdi_name_is_valid("nvidia.com/gpu=0") && cdi_name_is_valid("a/b=GPU-0:1"));
    ok(!cdi_name_is_valid("nvidia.com/gpu") && !cdi_name_is_valid("gpu=0"));
    ok(!cdi_name_is_valid("nvidia.com/gpu=") && !cdi_name_is_valid("/gpu=0"));
    ok(!cdi_name_is_valid("a/b=../c") && !cdi_name_is_valid("0a/b=c"));
}

static struct cdi_registry registry_of(struct cdi_spec *a, struct cdi_spec *b)
{
    struct cdi_registry registry = { 0 };

    vec_push(&registry.specs, a);
    vec_push(&registry.specs, b);
    return registry;
}

TEST(the_later_directory_wins_and_a_tie_is_refused)
{
    struct cdi_spec *low = parse(HEAD "devices: [{name: x, containerEdits: {env: [FROM=low]}}]");
    struct cdi_spec *high = parse(HEAD "devices: [{name: x, containerEdits: {env: [FROM=high]}}]");
    char name[] = "a.com/gpu=x", other[] = "a.com/gpu=y";
    char *names[] = { name, NULL }, *others[] = { other, NULL };
    struct cdi_edits edits = { 0 }, none = { 0 };

    low->path = xstrdup("/a.yaml");
    high->path = xstrdup("/b.yaml");
    high->priority = 1;
    struct cdi_registry registry = registry_of(low, high);
    ok(cdi_collect(&registry, names, &edits, &err) == 0);
    ok(edits.env.len == 1);
    is_str(edits.env.items[0], "FROM=high");
    ok(cdi_collect(&registry, others, &none, &err) == -ENOENT);
    is_str(err.text, "no CDI specification has a device a.com/gpu=y");
    high->priority = 0;
    ok(cdi_collect(&registry, names, &none, &err) == -ENOTUNIQ);
    is_str(err.text, "CDI device a.com/gpu=x is in /a.yaml and in /b.yaml; keep one");
    cdi_edits_done(&edits);
    cdi_edits_done(&none);
    cdi_registry_done(&registry);
}

TEST(what_devices_share_is_there_once)
{
    struct cdi_spec *spec = parse(spec_text);
    struct cdi_registry registry = { 0 };
    struct cdi_edits edits = { 0 };
    char zero[] = "nvidia.com/gpu=0", one[] = "nvidia.com/gpu=1";
    char *names[] = { zero, one, NULL };

    vec_push(&registry.specs, spec);
    ok(cdi_collect(&registry, names, &edits, &err) == 0);
    ok(edits.nodes.len == 3 && edits.mounts.len == 1 && edits.hooks.len == 1);
    is_str(edits.nodes.items[0].path, "/dev/ctl");
    is_str(edits.nodes.items[2].path, "/dev/nvidia1");
    cdi_edits_done(&edits);
    cdi_registry_done(&registry);
}

TEST(a_gpu_is_known_by_its_index_where_there_is_one_kind)
{
    struct cdi_registry registry = { 0 };
    char *name = NULL;

    ok(cdi_gpu_name(&registry, "0", &name, NULL) == -ENOENT);
    vec_push(&registry.specs, parse(spec_text));
    ok(cdi_gpu_name(&registry, "1", &name, NULL) == 0);
    is_str(name, "nvidia.com/gpu=1");
    free(name);
    ok(cdi_gpu_name(&registry, "2", &name, NULL) == -ENOENT);
    vec_push(&registry.specs, parse("cdiVersion: 0.5.0\nkind: a.com/nic\ndevices:\n- name: '0'\n"
                                    "  containerEdits: {env: [A=b]}\n"));
    ok(cdi_gpu_name(&registry, "0", &name, NULL) == 0);
    free(name);
    vec_push(&registry.specs, parse("cdiVersion: 0.5.0\nkind: a.com/gpu\ndevices:\n- name: '0'\n"
                                    "  containerEdits: {env: [A=b]}\n"));
    ok(cdi_gpu_name(&registry, "0", &name, &err) == -ENOTUNIQ);
    is_str(err.text, "GPU 0 of this machine may be nvidia.com/gpu or a.com/gpu");
    cdi_registry_done(&registry);
}

TEST(what_is_left_out_is_the_machines)
{
    _cleanup_(cdi_spec_freep) struct cdi_spec *spec =
        parse(DEVICE("deviceNodes: [{path: /dev/x, hostPath: /dev/null}, {path: /dev/none}]"));
    struct cdi_edits *edits = &spec->devices.items[0].edits;

    ok(cdi_edits_fill(edits, &err) == -ENOENT);
    is_str(err.text, "device node /dev/none: No such file or directory");
    const struct cdi_node *node = &edits->nodes.items[0];
    ok(node->type == 'c' && node->major == 1 && node->minor == 3 && node->mode == 0666);
}

TAP_MAIN
