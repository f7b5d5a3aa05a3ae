/* huge-pages.c - huge pages that the kernel keeps on each NUMA node
 *
 * Kernel documentation: admin-guide/mm/hugetlbpage.
 */
#include "probe/internal.h"

static unsigned pages_of(const struct place *place, unsigned numa, enum huge_page size)
{
    long long kilobytes = huge_page_bytes(size) / 1024;
    long long n =
        kernel_number(place->sys,
                      "devices/system/node/node%u/hugepages/hugepages-%lldkB/nr_hugepages", numa,
                      kilobytes);

    return n > 0 && n <= HUGE_PAGES_LIMIT ? (unsigned) n : 0;
}

/* A kernel without NUMA tells of the machine alone. */
static unsigned pages_of_machine(const struct place *place, enum huge_page size)
{
    long long kilobytes = huge_page_bytes(size) / 1024;
    long long n =
        kernel_number(place->sys, "kernel/mm/hugepages/hugepages-%lldkB/nr_hugepages", kilobytes);

    return n > 0 && n <= HUGE_PAGES_LIMIT ? (unsigned) n : 0;
}

void find_huge_pages(const struct place *place, struct node *node)
{
    vec_foreach(&node->numas, numa) {
        for (int size = 0; size < HUGE_PAGE_MAX; size++) {
            numa->huge_pages.n[size] = pages_of(place, numa->id, size);
            if (numa->huge_pages.n[size] == 0 && node->numas.len == 1)
                numa->huge_pages.n[size] = pages_of_machine(place, size);
        }
        /* Between two readings somebody may have changed them. */
        if (huge_pages_bytes(&numa->huge_pages) > numa->memory_bytes)
            numa->huge_pages = (struct huge_pages){ 0 };
    }
}
