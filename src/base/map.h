/* map.h - hash map from byte strings to pointers
 *
 * Keys are copied, values belong to the caller. Iteration follows insertion order (deletions
 * keep it), so that hash order never decides anything. The seed only defends against crafted
 * keys: results do not depend on it.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map;

struct map *map_new(void);
/* Frees the map and the keys; calls FREE_VALUE (may be NULL) on each value. */
void map_free_with(struct map *map, void (*free_value)(void *));
void map_free(struct map *map);
DEFINE_CLEANUP(struct map *, map_free);

/* Value for the key, or NULL. */
void *map_get(const struct map *map, const void *key, size_t key_len);
/* Insert or replace; returns the value replaced, or NULL. VALUE is not NULL. */
void *map_set(struct map *map, const void *key, size_t key_len, void *value);
/* Remove; returns the value removed, or NULL. */
void *map_remove(struct map *map, const void *key, size_t key_len);
size_t map_len(const struct map *map);

void *map_get_str(const struct map *map, const char *key);
void *map_set_str(struct map *map, const char *key, void *value);
void *map_remove_str(struct map *map, const char *key);

/* Iterate: start with *POS = 0; NULL at the end. The current entry may be removed meanwhile. */
void *map_next(const struct map *map, size_t *pos, const void **ret_key, size_t *ret_key_len);
#define map_foreach(map, pos, value)                                                               \
    for (size_t pos = 0; ((value) = map_next((map), &pos, NULL, NULL)) != NULL;)

#endif
