/* map.c - hash map in insertion order
 *
 * Entries lie in one array in the order of insertion; an open-addressed table of indexes into it
 * answers lookups. A removed entry stays as a hole (value NULL) until the next rebuild, so that
 * removing during an iteration moves nothing. Short keys (ids, numbers) lie in their entry: one that
 * map_next() gave is valid until something is added. The hash is SipHash-1-3 keyed by the 16 random
 * bytes that the kernel gives every process (AT_RANDOM); no result depends on them.
 */
#include "base/map.h"

#include "base/alloc.h"

#include <assert.h>
#include <string.h>
#include <sys/auxv.h>

enum { SHORT_MAX = 16 };

struct entry {
    union {
        unsigned char bytes[SHORT_MAX];
        void *elsewhere; /* of a longer one */
    } key;
    uint32_t key_len;
    uint32_t hash;
    void *value;
};

struct map {
    struct entry *entries;
    size_t n_entries; /* with holes */
    size_t cap_entries;
    size_t n_live;
    uint32_t *slots; /* index + 1 of an entry; 0 is free, TOMBSTONE was removed */
    size_t n_slots;  /* a power of two, or 0 */
    size_t n_used;   /* slots that are not free */
};

enum { MIN_SLOTS = 16 };
#define TOMBSTONE UINT32_MAX

static uint64_t rotate(uint64_t x, int bits) { return x << bits | x >> (64 - bits); }

static void sip_round(uint64_t v[static 4])
{
    v[0] += v[1], v[1] = rotate(v[1], 13) ^ v[0], v[0] = rotate(v[0], 32);
    v[2] += v[3], v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3], v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1], v[1] = rotate(v[1], 17) ^ v[2], v[2] = rotate(v[2], 32);
}

static uint64_t seed[2];

/* Before main(), so before there are threads. */
__attribute__((constructor)) static void take_seed(void)
{
    const void *random = (const void *) getauxval(AT_RANDOM); // NOLINT(performance-no-int-to-ptr)

    if (random)
        memcpy(seed, random, sizeof seed);
}

static uint64_t hash_bytes(const void *key, size_t len)
{
    const unsigned char *p = key;
    uint64_t v[4] = { seed[0] ^ 0x736f6d6570736575U, seed[1] ^ 0x646f72616e646f6dU,
                      seed[0] ^ 0x6c7967656e657261U, seed[1] ^ 0x7465646279746573U };
    size_t left = len;
    for (uint64_t word; left >= 8; p += 8, left -= 8) {
        memcpy(&word, p, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    uint64_t last = (uint64_t) len << 56;
    for (size_t i = 0; i < left; i++)
        last |= (uint64_t) p[i] << (8 * i);
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    sip_round(v), sip_round(v), sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

struct map *map_new(void) { return xnew(struct map); }

static const void *key_of(const struct entry *e)
{
    return e->key_len > SHORT_MAX ? e->key.elsewhere : e->key.bytes;
}

static void free_key(struct entry *e)
{
    if (e->key_len > SHORT_MAX)
        free(e->key.elsewhere);
}

void map_free_with(struct map *map, void (*free_value)(void *))
{
    if (!map)
        return;
    for (size_t i = 0; i < map->n_entries; i++) {
        if (map->entries[i].value && free_value)
            free_value(map->entries[i].value);
        free_key(&map->entries[i]);
    }
    free(map->entries);
    free(map->slots);
    free(map);
}

void map_free(struct map *map) { map_free_with(map, NULL); }

/* The slot that holds the key, or NULL. */
static uint32_t *find_slot(const struct map *map, const void *key, size_t len, uint32_t hash)
{
    if (!map->n_slots)
        return NULL;
    for (size_t i = hash & (map->n_slots - 1);; i = (i + 1) & (map->n_slots - 1)) {
        uint32_t index = map->slots[i];
        if (index == 0)
            return NULL;
        if (index == TOMBSTONE)
            continue;
        const struct entry *e = &map->entries[index - 1];
        if (e->hash == hash && e->key_len == len && (len == 0 || memcmp(key_of(e), key, len) == 0))
            return &map->slots[i];
    }
}

static void place(struct map *map, size_t index)
{
    size_t i = map->entries[index].hash & (map->n_slots - 1);

    while (map->slots[i] != 0)
        i = (i + 1) & (map->n_slots - 1);
    map->slots[i] = (uint32_t) index + 1;
    map->n_used++;
}

/* Close the holes and make room: afterwards at most half of the slots are used. */
static void rebuild(struct map *map)
{
    size_t n_slots = MIN_SLOTS;
    while (n_slots < (map->n_live + 1) * 2)
        n_slots *= 2;
    assert(n_slots < TOMBSTONE);

    size_t n = 0;
    for (size_t i = 0; i < map->n_entries; i++)
        if (map->entries[i].value)
            map->entries[n++] = map->entries[i];
    map->n_entries = n;

    free(map->slots);
    map->slots = xnew_n(uint32_t, n_slots);
    map->n_slots = n_slots;
    map->n_used = 0;
    size_t cap = n_slots / 4 * 3; /* more slots are never used */
    if (map->cap_entries < cap) {
        map->entries = xrealloc(map->entries, cap * sizeof *map->entries);
        map->cap_entries = cap;
    }
    for (size_t i = 0; i < n; i++)
        place(map, i);
}

void *map_get(const struct map *map, const void *key, size_t key_len)
{
    uint32_t *slot = find_slot(map, key, key_len, (uint32_t) hash_bytes(key, key_len));

    return slot ? map->entries[*slot - 1].value : NULL;
}

void *map_set(struct map *map, const void *key, size_t key_len, void *value)
{
    assert(value && key_len <= UINT32_MAX);
    uint32_t hash = (uint32_t) hash_bytes(key, key_len);
    uint32_t *slot = find_slot(map, key, key_len, hash);

    if (slot) {
        struct entry *e = &map->entries[*slot - 1];
        void *old = e->value;
        e->value = value;
        return old;
    }
    if (map->n_entries == map->cap_entries || (map->n_used + 1) * 4 > map->n_slots * 3)
        rebuild(map);
    struct entry *new = &map->entries[map->n_entries++];
    *new = (struct entry){ .key_len = (uint32_t) key_len, .hash = hash, .value = value };
    if (key_len > SHORT_MAX)
        new->key.elsewhere = xmemdup(key, key_len);
    else if (key_len > 0)
        memcpy(new->key.bytes, key, key_len);
    map->n_live++;
    place(map, map->n_entries - 1);
    return NULL;
}

void *map_remove(struct map *map, const void *key, size_t key_len)
{
    uint32_t *slot = find_slot(map, key, key_len, (uint32_t) hash_bytes(key, key_len));
    if (!slot)
        return NULL;

    struct entry *e = &map->entries[*slot - 1];
    void *value = e->value;
    free_key(e);
    *e = (struct entry){ 0 };
    *slot = TOMBSTONE;
    map->n_live--;
    return value;
}

size_t map_len(const struct map *map) { return map->n_live; }

void *map_get_str(const struct map *map, const char *key) { return map_get(map, key, strlen(key)); }

void *map_set_str(struct map *map, const char *key, void *value)
{
    return map_set(map, key, strlen(key), value);
}

void *map_remove_str(struct map *map, const char *key) { return map_remove(map, key, strlen(key)); }

void *map_next(const struct map *map, size_t *pos, const void **ret_key, size_t *ret_key_len)
{
    while (*pos < map->n_entries) {
        const struct entry *e = &map->entries[(*pos)++];
        if (!e->value)
            continue;
        if (ret_key)
            *ret_key = key_of(e);
        if (ret_key_len)
            *ret_key_len = e->key_len;
        return e->value;
    }
    return NULL;
}
