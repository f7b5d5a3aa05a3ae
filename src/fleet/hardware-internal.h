/* hardware-internal.h - what the files that read hardware share: a reader that knows where it is */
#ifndef FLEET_HARDWARE_INTERNAL_H
#define FLEET_HARDWARE_INTERNAL_H

#include "base/map.h"
#include "base/text.h"
#include "fleet/fleet.h"

/* A value of the file and where it stands, "/sites/0/nodes/2". */
struct spot {
    const json_t *json;
    char *pointer; /* owned */
};

struct reader {
    const char *bytes;
    size_t len;
    const char *name;
    const json_t *machines; /* object by name; NULL: there are none */
    struct hardware *out;
    struct map *names; /* of nodes that are there */
    size_t n_cores;    /* of these */
    struct error *err;
};

static inline void spot_done(struct spot *spot) { free(spot->pointer); }
#define _cleanup_spot_ _cleanup_(spot_done)

/* Member KEY, or item I, of SPOT; json is NULL when it is not there. */
struct spot spot_member(const struct spot *spot, const char *key);
struct spot spot_item(const struct spot *spot, size_t i);

/* "hw.json:12: sites[0].nodes[2].name: …"; returns -EBADMSG. */
__attribute__((format(printf, 3, 4))) int refuse(struct reader *r, const struct spot *spot,
                                                 const char *fmt, ...);

/* Is SPOT an object with no other members than those of KNOWN (ended by NULL)? */
int check_object(struct reader *r, const struct spot *spot, const char *const *known);
/* Values of SPOT's member KEY; what is not there leaves RET as it is. */
int get_unsigned(struct reader *r, const struct spot *spot, const char *key, unsigned min,
                 unsigned max, unsigned *ret);
int get_number_or_unknown(struct reader *r, const struct spot *spot, const char *key, int max,
                          int *ret);
int get_bytes(struct reader *r, const struct spot *spot, const char *key, int64_t *ret);
int get_string(struct reader *r, const struct spot *spot, const char *key, char **ret);
int get_bool(struct reader *r, const struct spot *spot, const char *key, bool *ret);
/* A list such as "0-3,8" of numbers below LIMIT, not empty: SPOT itself, or its member. */
int set_of(struct reader *r, const struct spot *spot, unsigned limit, struct cpu_set *ret);
int get_set(struct reader *r, const struct spot *spot, const char *key, unsigned limit,
            struct cpu_set *ret);
/* Call READ for each item of the array KEY; one that is not there has none. */
typedef int item_reader(struct reader *r, const struct spot *item, void *arg);
int each_item(struct reader *r, const struct spot *spot, const char *key, size_t max,
              item_reader *read, void *arg);

/* hardware-machine.c: what CHAIN says of a machine, the first that has a field. */
enum { HARDWARE_CHAIN_MAX = 16 };
struct chain {
    struct spot links[HARDWARE_CHAIN_MAX];
    size_t n;
};
extern const char *const machine_keys[];
int machine_read(struct reader *r, const struct chain *chain, struct node *node);

#endif
