/* gpu.c - GPUs by what people call them */
#include "fleet/fleet.h"

#include "base/alloc.h"
#include "base/text.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static bool is_boundary(char c) { return !isalnum((unsigned char) c); }

/* Is the LEN bytes long WORD a whole word, or several in a row, of TEXT? */
static bool has_words(const char *text, const char *word)
{
    size_t len = strlen(word);

    for (const char *p = text; *p; p++)
        if ((p == text || is_boundary(p[-1])) && strncasecmp(p, word, len) == 0 &&
            is_boundary(p[len]))
            return true;
    return false;
}

bool gpu_is_model(const struct gpu *gpu, const char *model)
{
    if (!model)
        return true;
    return *model && gpu->model && has_words(gpu->model, model);
}

bool gpu_is_device(const struct gpu *gpu, const char *name)
{
    size_t kind = gpu->cdi ? strcspn(gpu->cdi, "=") + 1 : 0;

    return gpu->cdi && (str_equal(gpu->cdi, name) ||
                        (strncmp(gpu->cdi, name, kind) == 0 && str_equal(name + kind, gpu->uuid)));
}

static void add_model(const struct node *node, size_t i, struct text *out)
{
    const struct gpu *gpu = &node->gpus.items[i];
    unsigned n = 0;

    for (size_t k = 0; k < node->gpus.len; k++) {
        const struct gpu *other = &node->gpus.items[k];
        if (!str_equal(other->model, gpu->model) || !str_equal(other->fault, gpu->fault))
            continue;
        if (k < i)
            return; /* told already */
        n++;
    }
    text_addf(out, "%s%u x %s", out->len ? ", " : "", n, gpu->model ? gpu->model : "GPU");
    if (gpu->fault)
        text_addf(out, " (not to be used: %s)", gpu->fault);
}

char *node_gpus_text(const struct node *node)
{
    struct text out = { 0 };

    for (size_t i = 0; i < node->gpus.len; i++)
        add_model(node, i, &out);
    if (!out.len)
        text_add(&out, "none");
    return text_take(&out);
}

const char *gpu_path_name(enum gpu_path path)
{
    static const char *const names[GPU_PATH_MAX] = { "NVLINK", "PIX", "PXB", "PHB", "NODE", "SYS" };

    return path >= 0 && path < GPU_PATH_MAX ? names[path] : NULL;
}

/* How many of the first steps of two PCIe paths are the same; *RET_ALL: they are equal as a whole. */
static unsigned common_steps(const char *a, const char *b, bool *ret_all)
{
    unsigned n = 0;

    while (*a && *b) {
        size_t len = strcspn(a, "/");
        if (len != strcspn(b, "/") || strncmp(a, b, len) != 0)
            break;
        n++;
        a += len + (a[len] == '/');
        b += len + (b[len] == '/');
    }
    *ret_all = !*a && !*b;
    return n;
}

enum gpu_path gpu_path(const struct gpu *a, const struct gpu *b)
{
    bool all = false;
    unsigned common = a->pcie && b->pcie ? common_steps(a->pcie, b->pcie, &all) : 0;

    if (a->island > 0 && a->island == b->island)
        return GPU_PATH_NVLINK;
    /* The first step is the host bridge, the others are switches. */
    if (common > 1)
        return all ? GPU_PATH_PIX : GPU_PATH_PXB;
    if (common == 1)
        return GPU_PATH_PHB;
    return a->numa >= 0 && a->numa == b->numa ? GPU_PATH_NODE : GPU_PATH_SYS;
}

json_t *node_gpu_paths(const struct node *node)
{
    json_t *paths = json_array();

    vec_foreach(&node->gpus, a) {
        json_t *row = json_array();
        vec_foreach(&node->gpus, b)
            (void) json_array_append_new(row,
                                         json_string(a == b ? "X" : gpu_path_name(gpu_path(a, b))));
        (void) json_array_append_new(paths, row);
    }
    return paths;
}

json_t *node_nic_paths(const struct node *node)
{
    json_t *paths = json_array();

    vec_foreach(&node->gpus, gpu) {
        json_t *row = json_array();
        vec_foreach(&node->nics, nic) {
            const struct gpu at = { .pcie = nic->pcie, .numa = nic->numa };
            (void) json_array_append_new(row, json_string(gpu_path_name(gpu_path(gpu, &at))));
        }
        (void) json_array_append_new(paths, row);
    }
    return paths;
}
