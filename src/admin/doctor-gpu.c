/* doctor-gpu.c - GPUs, their driver, and the specifications that give them to containers */
#include "admin/doctor.h"

#include "base/alloc.h"
#include "gpu/gpu.h"
#include "probe/probe.h"

#include <errno.h>
#include <string.h>

/* "/etc/cdi,/run/cdi" as a list; owned by the caller, as is what it points into (*BUFFER). */
static const char **split(const char *list, char **buffer)
{
    VEC(const char *) items = { 0 };
    char *save = NULL;

    *buffer = xstrdup(list);
    for (char *item = strtok_r(*buffer, ",", &save); item; item = strtok_r(NULL, ",", &save))
        vec_push(&items, item);
    vec_push(&items, NULL);
    return items.items;
}

/* What an error says behind "; run: " or the like is what mends it. */
static char *mend_of(const struct error *err, const char *before, const char *otherwise)
{
    const char *at = strstr(err->text, before);

    return xstrdup(at ? at + strlen(before) : otherwise);
}

static void add_problem(struct doctor *d, const struct cdi_problem *problem)
{
    char *mend = problem->why.code == -EPERM ? mend_of(&problem->why, "can change it; ", "") : NULL;

    doctor_add(d, LEVEL_WARN, "cdi",
               xasprintf("%s does not count: %s", problem->path, problem->why.text), mend);
}

static char *describe(const struct node *node, const char *more)
{
    _cleanup_free_ char *gpus = node_gpus_text(node);

    return xasprintf("%s%s%s%s", gpus, node->driver ? ", driver " : "",
                     node->driver ? node->driver : "", more);
}

static const struct gpu *first_faulty(const struct node *node)
{
    vec_foreach(&node->gpus, gpu)
        if (gpu->fault)
            return gpu;
    return NULL;
}

/* No specification speaks for a GPU of NVIDIA's: can Berth write one? */
static void add_without(struct doctor *d, const struct node *node)
{
    _cleanup_(cdi_spec_freep) struct cdi_spec *spec = NULL;
    struct error err = { 0 };

    if (nvidia_spec_make(d->driver_root, &spec, &err) >= 0)
        doctor_add(d, LEVEL_OK, "gpus",
                   describe(node, "; the server writes their CDI specification when it starts"),
                   NULL);
    else
        doctor_add(d, LEVEL_WARN, "gpus", xasprintf("not for containers: %s", err.text),
                   mend_of(&err,
                           "; run: ", "nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"));
}

static void add_gpus(struct doctor *d, const struct node *node)
{
    const struct gpu *faulty = first_faulty(node);
    bool is_nvidia = faulty && str_equal(faulty->vendor, "nvidia");

    if (!faulty)
        doctor_add(d, LEVEL_OK, "gpus", describe(node, ""), NULL);
    else if (is_nvidia && !node->driver)
        doctor_add(d, LEVEL_WARN, "gpus",
                   xasprintf("%s at %s, but no NVIDIA driver answers", faulty->model, faulty->pci),
                   xstrdup("apt-get install -y nvidia-driver nvidia-smi && reboot"));
    else if (is_nvidia)
        add_without(d, node);
    else
        doctor_add(d, LEVEL_WARN, "gpus", describe(node, ""),
                   xstrdup("install the vendor's CDI specification in /etc/cdi"));
}

void check_gpus(struct doctor *d)
{
    _cleanup_(node_freep) struct node *node = NULL;
    _cleanup_free_ char *buffer = NULL;
    _cleanup_free_ const char **cdi = split(d->cdi, &buffer);
    const struct probe_options options = { .cdi = cdi, .nvml = d->nvml };
    struct cdi_registry registry = { 0 };
    struct error err = { 0 };

    cdi_load(cdi, &registry);
    vec_foreach(&registry.problems, problem)
        add_problem(d, problem);
    cdi_registry_done(&registry);
    if (probe_node(&options, &node, &err) < 0)
        doctor_add(d, LEVEL_WARN, "gpus", xstrdup(err.text), xstrdup("nvidia-smi -q | head -30"));
    else
        add_gpus(d, node);
}
