/* queue-groups.c - groups by their paths */
#include "sim/queue-groups.h"

#include "base/text.h"

#include <stdint.h>

void queue_groups_done(struct queue_groups *groups)
{
    vec_foreach(&groups->list, group)
        free(group->path);
    vec_done(&groups->list);
    map_free(groups->by_path);
    groups->by_path = NULL;
}

const struct queue_group *queue_groups_at(const struct queue_groups *groups, uint32_t number)
{
    return &groups->list.items[number - 1];
}

/* Numbers are kept as pointers, since none is 0. */
uint32_t queue_groups_find(const struct queue_groups *groups, const char *path)
{
    return groups->by_path ? (uint32_t) (uintptr_t) map_get_str(groups->by_path, path) : 0;
}

uint32_t queue_groups_add(struct queue_groups *groups, uint32_t parent, const char *name)
{
    const char *above = parent ? queue_groups_at(groups, parent)->path : "";
    _cleanup_free_ char *path = xasprintf("%s%s%s", above, parent ? "/" : "", *name ? name : "-");
    uint32_t number = queue_groups_find(groups, path);

    if (number || groups->list.len == QUEUE_GROUPS_LIST_MAX)
        return number;
    if (!groups->by_path)
        groups->by_path = map_new();
    number = (uint32_t) groups->list.len + 1;
    (void) map_set_str(groups->by_path, path, (void *) (uintptr_t) number);
    const struct queue_group group = { take_ptr(path), parent };
    vec_push(&groups->list, group);
    return number;
}
