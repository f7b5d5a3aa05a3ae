/* storage.c - a declared file system for /storage: what tasks are told of it, and what nodes said of it
 *
 * What a node measured is kept in memory: the first task there after a restart, or after a day, measures again.
 */
#include "lifecycle/internal.h"

#include "base/alloc.h"
#include "base/time.h"

#define MEASURED_FOR_US (24 * 3600 * US_PER_S)

static struct storage_node *find(struct lifecycle *lc, const char *node)
{
    vec_foreach(&lc->storage_nodes, s)
        if (str_equal(s->node, node))
            return s;
    return NULL;
}

struct task_storage *storage_for(struct lifecycle *lc, const char *node, struct task_storage *ret)
{
    const struct storage_node *known = find(lc, node);

    if (!lc->settings.storage)
        return NULL;
    *ret = (struct task_storage){
        .root = (char *) (uintptr_t) lc->settings.storage,
        .mark = (char *) (uintptr_t) lc->settings.storage_mark,
        .measure = !known || lc_now(lc) - known->time_us > MEASURED_FOR_US,
    };
    return ret;
}

void lifecycle_storage_measured(struct lifecycle *lc, const struct storage_node *measured)
{
    struct storage_node *s = find(lc, measured->node);

    if (!s) {
        const struct storage_node empty = { .node = xstrdup(measured->node) };
        vec_push(&lc->storage_nodes, empty);
        s = &lc->storage_nodes.items[lc->storage_nodes.len - 1];
    }
    if (s->time_us > measured->time_us)
        return;
    s->time_us = measured->time_us;
    if (measured->read_bps > 0) {
        s->read_bps = measured->read_bps;
        s->write_bps = measured->write_bps;
    }
    if (measured->sent_bps > 0)
        s->sent_bps = measured->sent_bps;
}

void storage_saw(struct lifecycle *lc, const char *node, const struct task_started *started)
{
    const json_t *speed = json_object_get(started->evidence, "storage");
    const struct storage_node measured = {
        .node = (char *) (uintptr_t) node,
        .time_us = started->started_us,
        .read_bps = json_get_int(speed, "read_bps", 0),
        .write_bps = json_get_int(speed, "write_bps", 0),
        .sent_bps = json_get_int(speed, "sent_bps", 0),
    };

    if ((measured.read_bps > 0 && measured.write_bps > 0) || measured.sent_bps > 0)
        lifecycle_storage_measured(lc, &measured);
}

size_t lifecycle_storage_nodes(struct lifecycle *lc, const struct storage_node **ret)
{
    *ret = lc->storage_nodes.items;
    return lc->storage_nodes.len;
}

void storage_done(struct lifecycle *lc)
{
    vec_foreach(&lc->storage_nodes, s)
        free(s->node);
    vec_done(&lc->storage_nodes);
}
