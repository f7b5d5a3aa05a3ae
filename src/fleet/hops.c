/* hops.c - how far machines are from each other in the fabric */
#include "fleet/fleet.h"

#include "base/text.h"

const char *fabric_name(enum fabric part)
{
    static const char *const names[] = { "site", "block", "leaf" };

    return names[part];
}

unsigned fabric_hops(enum fabric part) { return 1 + 2 * (unsigned) (FABRIC_LEAF - part); }

/* Of a machine of which PART is not known, its next narrower one stands for it: a leaf is in one block. */
static bool is_same(const struct node *a, const struct node *b, enum fabric part)
{
    enum fabric part_a = part, part_b = part;
    const char *name_a = node_stands_within(a, &part_a), *name_b = node_stands_within(b, &part_b);

    return name_a && name_b && part_a == part_b && str_equal(name_a, name_b);
}

bool nodes_stand_together(const struct node *a, const struct node *b, enum fabric *ret)
{
    bool found = false;

    for (int part = FABRIC_SITE; part <= FABRIC_LEAF && is_same(a, b, (enum fabric) part); part++) {
        *ret = (enum fabric) part;
        found = true;
    }
    return found;
}
