/* What Slurm's commands print: whatever it is, what is read from it is of its form. */
#include "engine/slurm/text.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void count(void *userdata, const char *name)
{
    assert(name[0]);
    ++*(unsigned *) userdata;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    const char *text = (const char *) data;
    unsigned n = 0;
    uint32_t job;
    struct slurm_own own;
    struct slurm_held held;
    struct slurm_job shown;
    struct slurm_node node;

    if (slurm_parse_submitted(text, size, &job, NULL) == 0)
        assert(job > 0);
    if (slurm_parse_own(text, size, "berth", &own))
        assert(own.job > 0 && strlen(own.reason) < sizeof own.reason);
    if (slurm_parse_held(text, size, &held)) {
        assert(held.nodes >= text && held.nodes + held.nodes_len <= text + size);
        int r = slurm_each_node(held.nodes, held.nodes_len, 1000, count, &n);
        assert(r < 0 || (unsigned) r == n);
    }
    (void) slurm_parse_job(text, size, &shown, NULL);
    if (slurm_parse_node(text, size, &node, NULL) == 0)
        assert(node.cpus > 0 && node.memory_bytes >= 0 && node.usable == !node.fault[0]);
    return 0;
}
