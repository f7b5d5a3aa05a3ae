/* table.c - chains in slots, twice as many whenever there are more members than slots */
#include "placement/table.h"

#include "base/alloc.h"

#include <stdlib.h>

enum { SLOTS_FIRST = 64 };

/* The finalizer of MurmurHash3: every bit of the number reaches every bit of the hash. */
uint64_t hash_mix(uint64_t hash, uint64_t number)
{
    uint64_t z = hash + 0x9e3779b97f4a7c15U + number;

    z = (z ^ z >> 33) * 0xff51afd7ed558ccdU;
    z = (z ^ z >> 33) * 0xc4ceb9fe1a85ec53U;
    return z ^ z >> 33;
}

static struct link **slot_of(const struct table *table, uint64_t hash)
{
    return &table->slots[hash & (table->n_slots - 1)];
}

static void insert(struct table *table, struct link *link)
{
    struct link **slot = slot_of(table, link->hash);

    link->next = *slot;
    *slot = link;
}

static void grow(struct table *table)
{
    struct table larger = { .n_slots = table->n_slots ? 2 * table->n_slots : SLOTS_FIRST };

    larger.slots = xnew_n(struct link *, larger.n_slots);
    for (size_t i = 0; i < table->n_slots; i++)
        for (struct link *link = table->slots[i], *next; link; link = next) {
            next = link->next;
            insert(&larger, link);
        }
    free(table->slots);
    table->slots = larger.slots;
    table->n_slots = larger.n_slots;
}

void table_add(struct table *table, struct link *link, uint64_t hash)
{
    if (table->len == table->n_slots)
        grow(table);
    link->hash = hash;
    insert(table, link);
    table->len++;
}

void table_remove(struct table *table, struct link *link)
{
    struct link **at = slot_of(table, link->hash);

    while (*at != link)
        at = &(*at)->next;
    *at = link->next;
    table->len--;
}

static struct link *of_hash(struct link *link, uint64_t hash)
{
    while (link && link->hash != hash)
        link = link->next;
    return link;
}

struct link *table_first(const struct table *table, uint64_t hash)
{
    return table->len ? of_hash(*slot_of(table, hash), hash) : NULL;
}

struct link *link_next(const struct link *link) { return of_hash(link->next, link->hash); }

void table_done(struct table *table)
{
    free(table->slots);
    *table = (struct table){ 0 };
}
