/* node-show.c - berth node show: a machine, and what lies between its GPUs and NICs
 *
 * The matrix is that of `nvidia-smi topo -m`, for GPUs of any vendor.
 */
#include "cli/commands.h"
#include "cli/table.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

static const char legend[] =
    "NVLINK; PIX one PCIe switch, PXB several, PHB the host bridge, NODE one NUMA node, SYS beyond\n";

static char *gpu_name(size_t i) { return xasprintf("GPU%zu", i); }

static void add_titles(struct table *table, const json_t *node)
{
    const json_t *gpus = json_object_get(node, "gpus"), *nics = json_object_get(node, "nics");

    table_column(table, "", false, 0);
    for (size_t i = 0; i < json_array_size(gpus); i++) {
        _cleanup_free_ char *name = gpu_name(i);
        table_column(table, name, false, 0);
    }
    for (size_t i = 0; i < json_array_size(nics); i++)
        table_column(table, json_get_str(json_array_get(nics, i), "name", "NIC"), false, 0);
    table_column(table, "NUMA", true, 0);
}

static void add_cells(struct table *table, const json_t *row)
{
    for (size_t i = 0; i < json_array_size(row); i++)
        table_cell(table, STYLE_PLAIN, json_string_value(json_array_get(row, i)));
}

/* Is there anything between anything? */
static bool has_paths(const json_t *node)
{
    return json_array_size(json_object_get(node, "gpu_paths")) > 0;
}

static void print_paths(const struct cli *cli, const json_t *node)
{
    const json_t *paths = json_object_get(node, "gpu_paths");
    const json_t *nic_paths = json_object_get(node, "nic_paths");
    _cleanup_(table_freep) struct table *table = table_new();
    _cleanup_text_ struct text out = { 0 };

    add_titles(table, node);
    for (size_t i = 0; i < json_array_size(paths); i++) {
        _cleanup_free_ char *name = gpu_name(i);
        const json_t *gpu = json_array_get(json_object_get(node, "gpus"), i);
        int64_t numa = json_get_int(gpu, "numa", -1);
        _cleanup_free_ char *where = numa < 0 ? xstrdup("-") : xasprintf("%d", (int) numa);
        table_cell(table, STYLE_BOLD, name);
        add_cells(table, json_array_get(paths, i));
        add_cells(table, json_array_get(nic_paths, i));
        table_cell(table, STYLE_PLAIN, where);
    }
    text_add_char(&out, '\n');
    table_format(table, &cli->out, &out);
    text_addf(&out, "%s%s%s", style_begin(&cli->out, STYLE_DIM), legend,
              style_end(&cli->out, STYLE_DIM));
    print_text(&out);
}

static int run_show(struct cli *cli, const struct args *args, struct error *err)
{
    _cleanup_free_ char *target = NULL;
    _cleanup_json_ json_t *node = NULL;

    int r = endpoint_target(cli, args->endpoint, args, &target, err);
    if (r >= 0)
        r = remote_get(cli, target, &node, err);
    if (r < 0)
        return r;
    if (cli->output != OUTPUT_TABLE || !has_paths(node)) {
        print_answer(cli, "node", node);
        return CLI_OK;
    }
    _cleanup_json_ json_t *rest = json_copy(node);
    (void) json_object_del(rest, "gpu_paths");
    (void) json_object_del(rest, "nic_paths");
    print_answer(cli, "node", rest);
    print_paths(cli, node);
    return CLI_OK;
}

const struct command command_node_show = {
    .noun = "node",
    .verb = "show",
    .operands = "NODE",
    .summary = "Show a machine, and what lies between its GPUs and NICs",
    .examples = "berth node show gpu07\nberth node show gpu07 -o json | jq .gpu_paths",
    .endpoint = "node.show",
    .operands_min = 1,
    .operands_max = 1,
    .run = run_show,
};
