/* order.c - what a machine that joined is told, as its part that is root reads it, and the files that it makes of it */
#include "admin/order.h"
#include "base/json.h"
#include "engine/engine.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    _cleanup_(order_freep) struct order *order = NULL;
    _cleanup_json_ json_t *json = NULL;
    _cleanup_text_ struct text out = { 0 };

    if (json_parse((const char *) bytes, len, &json, NULL) < 0 ||
        order_from_json(json, "gpu7", &order, NULL) < 0)
        return 0;
    const struct render_cluster cluster = cluster_view(&order->cluster);
    for (const char *const *file = render_files; *file; file++)
        (void) render_file(&cluster, *file, &out);
    if (strstr(text_str(&out), "Prolog=") || strstr(text_str(&out), "Epilog="))
        abort();
    return 0;
}
