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
