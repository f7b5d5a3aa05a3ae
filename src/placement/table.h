/* table.h - a hash table of links that lie in what it finds
 *
 *     struct job { struct link by_id; ... };
 *     table_add(&table, &job->by_id, hash);
 *     for (struct link *l = table_first(&table, hash); l; l = link_next(l)) ...  compare keys yourself
 *
 * Two words for a member and one for the table; nothing is allocated for a member. Hashes are of numbers that
 * nobody chooses to do harm; whoever is found is the same whatever the hash.
 */
#ifndef PLACEMENT_TABLE_H
#define PLACEMENT_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct link {
    struct link *next;
    uint64_t hash;
};

struct table {
    struct link **slots;
    size_t n_slots; /* a power of two, or 0 */
    size_t len;
};

/* What a link lies in. */
#define link_owner(link, type, member) ((type *) (void *) ((char *) (link) -offsetof(type, member)))

/* Mix a further number into a hash. */
uint64_t hash_mix(uint64_t hash, uint64_t number);

void table_add(struct table *table, struct link *link, uint64_t hash);
/* It must be in the table. */
void table_remove(struct table *table, struct link *link);
/* Those of the same hash, one after the other; NULL: there is none. */
struct link *table_first(const struct table *table, uint64_t hash);
struct link *link_next(const struct link *link);
/* Frees the slots, no member. */
void table_done(struct table *table);

#endif
