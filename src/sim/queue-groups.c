/* queue-groups.c - groups by their paths */
#include "sim/queue-groups.h"
#include "sim/queue.h"

#include "base/text.h"
#include "placement/placement.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

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
    const struct queue_group group = { take_ptr(path), parent, 1 };
    vec_push(&groups->list, group);
    return number;
}

/* Cuts WORD at its last sign. */
static int read_weight(char *word, long long *ret, struct error *err)
{
    char *sign = strrchr(word, '=');

    if (!sign || sign == word || str_to_i64(sign + 1, 1, SHARE_WEIGHT_MAX, ret) < 0)
        return error_set(err, -EINVAL,
                         "--weights: '%.60s' is not GROUP=WEIGHT with a whole number from 1 to %d",
                         word, SHARE_WEIGHT_MAX);
    *sign = '\0';
    return 0;
}

/* NULL GROUPS: only the form is looked at. */
static int weigh_one(struct queue_groups *groups, char *word, struct error *err)
{
    long long weight = 0;
    int r = read_weight(word, &weight, err);

    if (r < 0 || !groups)
        return r;
    uint32_t number = queue_groups_find(groups, word);
    if (!number)
        return error_set(err, -ENOENT, "--weights: no job is of '%.60s'", word);
    groups->list.items[number - 1].weight = (unsigned) weight;
    return 0;
}

int queue_groups_weigh(struct queue_groups *groups, const char *weights, struct error *err)
{
    _cleanup_free_ char *copy = xstrdup(weights);
    char *save = NULL;
    int r = 0;

    for (char *word = strtok_r(copy, ",", &save); word && r >= 0; word = strtok_r(NULL, ",", &save))
        r = weigh_one(groups, word, err);
    return r;
}

int queue_weights_check(const char *weights, struct error *err)
{
    if (!weights[strspn(weights, ",")])
        return error_set(err, -EINVAL, "--weights: must be one such as physics=3,physics/vision=2");
    return queue_groups_weigh(NULL, weights, err);
}
