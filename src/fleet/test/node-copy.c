#include "fleet/fleet.h"

#include "base/alloc.h"
#include "base/text.h"
#include "tests/random.h"
#include "tests/tap.h"

/* Numbers are 1 to FEW, sets are of the first CPUs: a word of memory with more than that in a half of it is a pointer. */
enum { FEW = 1000 };

static unsigned few(void) { return 1 + random_below(FEW); }

static bool is_pointer(uint64_t word) { return (uint32_t) word > 0xffff || word >> 32 > 0xffff; }

static uint64_t word_at(const void *p, size_t i)
{
    uint64_t word;

    memcpy(&word, (const char *) p + i * sizeof word, sizeof word);
    return word;
}

/* Do A and its copy B of SIZE bytes point to the same anywhere? A list that is not empty is never the same. */
static bool shares(const void *a, const void *b, size_t size)
{
    for (size_t i = 0; i < size / sizeof(uint64_t); i++)
        if (word_at(a, i) == word_at(b, i) && is_pointer(word_at(a, i)))
            return true;
    return false;
}

/* Is each word of P something? One that is not was forgotten here when a member came. */
static bool is_full(const void *p, size_t size)
{
    bool full = true;

    for (size_t i = 0; i < size / sizeof(uint64_t); i++)
        full &= word_at(p, i) != 0;
    return full;
}

static char *text(const char *what) { return xasprintf("%s-%u", what, few()); }

static struct huge_pages some_pages(void)
{
    return (struct huge_pages){ .n = { [HUGE_PAGE_1G] = few(), [HUGE_PAGE_2M] = few() } };
}

/* The padding of these is zero, too. */
static void add_gpu(struct node *node, unsigned i)
{
    vec_push(&node->gpus, (struct gpu){ 0 });
    struct gpu *gpu = &node->gpus.items[i];

    memset(gpu, 0, sizeof *gpu);
    gpu->uuid = text("GPU");
    gpu->vendor = text("vendor");
    gpu->model = text("H100");
    gpu->pci = text("0000:17");
    gpu->cdi = text("nvidia.com/gpu=");
    gpu->fault = text("fell off the bus");
    gpu->index = i + 1;
    gpu->minor = (int) few();
    gpu->numa = (int) few();
    gpu->memory_bytes = few();
    gpu->module = few();
    gpu->island = few();
    gpu->pcie = text("pci0000");
    gpu->iommu_group = text("7");
}

static void add_nic(struct node *node, unsigned i)
{
    vec_push(&node->nics, (struct nic){ 0 });
    struct nic *nic = &node->nics.items[i];

    memset(nic, 0, sizeof *nic);
    nic->name = text("mlx5");
    nic->pcie = text("pci0000");
    nic->numa = (int) few();
    nic->vfs = few();
    nic->gbps = few();
    nic->rdma = true;
}

static void add_parts(struct node *node)
{
    unsigned n_cores = 1 + random_below(130), n_numas = 1 + random_below(8);
    unsigned n_gpus = 1 + random_below(16), n_nics = 1 + random_below(9);

    for (unsigned i = 0; i < n_cores; i++) {
        struct core core = { .id = i, .socket = few(), .numa = few(), .l3 = few() };
        cpu_siblings_add(&core.cpus, random_below(16));
        vec_push(&node->cores, core);
    }
    for (unsigned i = 0; i < n_numas; i++)
        vec_push(&node->numas, ((struct numa_node){
                                   .id = i, .memory_bytes = few(), .huge_pages = some_pages() }));
    for (unsigned i = 0; i < n_gpus; i++)
        add_gpu(node, i);
    for (unsigned i = 0; i < n_nics; i++)
        add_nic(node, i);
    for (unsigned i = 0; i < 1 + random_below(5); i++)
        vec_push(&node->partitions, ((struct gpu_partition){ .id = i, .gpus = few() }));
}

/* A machine of which every member is set. */
static struct node *rich_node(void)
{
    struct node *node = xnew(struct node);

    for (size_t i = 0; i < sizeof node->id.bytes; i += 4)
        node->id.bytes[i] = (uint8_t) (1 + random_below(250));
    node->name = text("n");
    node->kernel = text("6.1");
    node->boot_id = text("boot");
    node->address = text("10.0.0.7");
    node->driver = text("550");
    node->cpu_model = text("EPYC");
    node->site = text("site");
    node->block = text("block");
    node->leaf = text("leaf");
    node->memory_bytes = few();
    node->disk_bytes = few();
    node->disk_free_bytes = few();
    node->reserved_cores = few();
    node->reserved_memory_bytes = few();
    node->reserved_disk_bytes = few();
    node->cordoned = true;
    node->fault = text("its clock is wrong");
    node->tags = json_pack("{s:s, s:i}", "rack", "r7", "row", (int) few());
    node->others_cores = few();
    node->others_gpus = few();
    node->others_memory_bytes = few();
    add_parts(node);
    return node;
}

static char *form(const struct node *node)
{
    _cleanup_json_ json_t *json = node_to_json(node), *both = json_object();

    json_put(both, "node", json_incref(json));
    json_put(both, "tags", json_incref(node->tags));
    return json_text(both);
}

static bool shares_any(const struct node *a, const struct node *b)
{
    return shares(a, b, sizeof *a) ||
           shares(a->gpus.items, b->gpus.items, a->gpus.len * sizeof(struct gpu)) ||
           shares(a->nics.items, b->nics.items, a->nics.len * sizeof(struct nic));
}

TEST(a_copy_says_the_same_and_shares_nothing)
{
    for (uint64_t round = 1; round <= 100; round++) {
        seed = round * 7919;
        _cleanup_(node_freep) struct node *node = rich_node(), *copy = node_copy(node);
        _cleanup_free_ char *before = form(node), *same = form(copy);
        ok(str_equal(same, before));
        ok(!shares_any(node, copy));
    }
}

/* What would make the tests above and below blind: a member of which they know nothing. */
TEST(every_member_is_set_here)
{
    _cleanup_(node_freep) struct node *node = rich_node();

    ok(is_full(node, sizeof *node));
    ok(is_full(&node->gpus.items[0], sizeof *node->gpus.items));
    ok(is_full(&node->nics.items[0], sizeof *node->nics.items));
}

static void spoil(char *words) { memset(words, 'x', strlen(words)); }

static void spoil_node(struct node *node)
{
    char *const words[] = { node->name,   node->kernel,    node->boot_id, node->address,
                            node->driver, node->cpu_model, node->site,    node->block,
                            node->leaf,   node->fault };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        spoil(words[i]);
    vec_foreach(&node->cores, core)
        core->id++;
    vec_foreach(&node->numas, numa)
        numa->memory_bytes++;
    vec_foreach(&node->gpus, gpu) {
        spoil(gpu->uuid);
        gpu->module++;
    }
    vec_foreach(&node->nics, nic)
        spoil(nic->name);
    vec_foreach(&node->partitions, partition)
        partition->gpus++;
    json_put_str(node->tags, "rack", "another");
    for (unsigned i = 0; i < 20; i++)
        add_nic(node, (unsigned) node->nics.len);
}

TEST(what_befalls_a_copy_leaves_the_original)
{
    for (uint64_t round = 1; round <= 20; round++) {
        seed = round * 104729;
        _cleanup_(node_freep) struct node *node = rich_node();
        struct node *copy = node_copy(node);
        _cleanup_free_ char *before = form(node);
        spoil_node(copy);
        node_free(copy);
        _cleanup_free_ char *after = form(node);
        ok(str_equal(after, before));
    }
}

TEST(a_machine_of_which_little_is_known_is_copied)
{
    _cleanup_(node_freep) struct node *node = xnew(struct node);
    node->name = xstrdup("n1");
    _cleanup_(node_freep) struct node *copy = node_copy(node);
    _cleanup_json_ json_t *one = node_to_json(node), *two = node_to_json(copy);

    ok(json_equal(one, two) && !copy->tags && !copy->fault && !copy->cores.items);
}

TAP_MAIN
