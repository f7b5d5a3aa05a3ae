/* queue-groups.h - whose jobs are replayed: orgs, their projects, their users, and their weights
 *
 * A group is named by its path: "physics", "physics/vision", "physics/vision/ada". They have numbers from 1 on as they come,
 * a group's above that of the one it lies in, as placement/share.h counts them.
 */
#ifndef SIM_QUEUE_GROUPS_H
#define SIM_QUEUE_GROUPS_H

#include "base/error.h"
#include "base/map.h"
#include "base/vec.h"

struct queue_group {
    char *path;
    uint32_t parent; /* 0: none */
    unsigned weight; /* 1 unless it is said */
};

/* An all-zero one is valid and empty. */
struct queue_groups {
    VEC(struct queue_group) list; /* number N is item N - 1 */
    struct map *by_path;
};

enum { QUEUE_GROUPS_LIST_MAX = 100000, QUEUE_GROUP_NAME_MAX = 100 };

void queue_groups_done(struct queue_groups *groups);
/* The number of NAME in PARENT, which is made if need be; 0: there are too many. */
uint32_t queue_groups_add(struct queue_groups *groups, uint32_t parent, const char *name);
/* 0: there is none of that path. */
uint32_t queue_groups_find(const struct queue_groups *groups, const char *path);
const struct queue_group *queue_groups_at(const struct queue_groups *groups, uint32_t number);
/* "physics=3,physics/vision=2", each a whole number from 1 to 10000. */
int queue_groups_weigh(struct queue_groups *groups, const char *weights, struct error *err);

#endif
