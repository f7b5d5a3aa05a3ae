/* schedule-tell.c - what a schedule knows, as another is told it */
#include "placement/entry.h"

bool schedule_tell(const struct schedule *s, uint64_t id, struct schedule_facts *ret)
{
    const struct entry *entry = entry_find(s, id);
    const struct past *past = entry ? entry->past : NULL;

    if (!entry)
        return false;
    *ret = (struct schedule_facts){ .since_us = entry->since_us };
    if (past) {
        ret->ran_us = past->ran_us;
        ret->started_us = entry_runs(entry) ? past->started_us : 0;
        ret->waits_since_us = past->waits_since_us;
        ret->returns = past->returns;
        ret->stopped = past->stopped;
    }
    return true;
}

int64_t schedule_looked_us(const struct schedule *s) { return s->looked_us; }

void schedule_look(struct schedule *s, int64_t now_us)
{
    s->looked_us = now_us;
    wakes_look(s, now_us);
    patience_look(s, now_us);
}
