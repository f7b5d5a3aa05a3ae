/* planner-news.c - what changed in a planner since somebody looked at it last */
#include "placement/mirror.h"

#include "base/alloc.h"
#include "placement/planner-internal.h"

void changes_note_job(struct planner *p, struct item *item)
{
    if (!p->changes.is_wanted || item->is_noted)
        return;
    item->is_noted = true;
    vec_push(&p->changes.jobs, item->number);
}

static void note_machine(struct changes *c, size_t machine)
{
    while (c->is_noted.len <= machine)
        vec_push(&c->is_noted, false);
    if (c->is_noted.items[machine])
        return;
    c->is_noted.items[machine] = true;
    vec_push(&c->machines, machine);
}

void changes_note_machine(struct planner *p, const char *name)
{
    size_t machine;

    if (p->changes.is_wanted && host_find(&p->host, name, &machine))
        note_machine(&p->changes, machine);
}

void changes_number_claims(struct planner *p)
{
    for (unsigned i = 0; i < p->claims.len; i++) {
        struct item *item = p->claims.items[i];
        if (item->claim == i + 1)
            continue;
        item->claim = i + 1;
        changes_note_job(p, item);
    }
}

void changes_done(struct changes *c)
{
    vec_done(&c->jobs);
    vec_done(&c->machines);
    vec_done(&c->is_noted);
}

/* All is new. */
static void begin(struct planner *p)
{
    struct item *item;

    p->changes.is_wanted = true;
    for (size_t i = 0; i < p->host.machines.len; i++)
        note_machine(&p->changes, i);
    map_foreach(p->by_number, pos, item)
        changes_note_job(p, item);
}

static void tell_one(struct planner *p, const struct snapshot_source *source, uint64_t number,
                     struct mirror_news *ret)
{
    struct item *item = map_get(p->by_number, &number, sizeof number);
    struct mirror_job one = { .number = number, .said = ret->jobs.len, .is_gone = !item };

    if (item) {
        item->is_noted = false;
        one.job = tell_job(p, source, item);
    }
    vec_push(&ret->jobs, one);
}

static void tell_machine(struct planner *p, size_t place, struct mirror_news *ret)
{
    const struct host_machine *machine = &p->host.machines.items[place];
    struct mirror_machine one = { .place = place };

    p->changes.is_noted.items[place] = false;
    if (machine->node) {
        one.node.node = node_copy(machine->node);
        one.node.disk_used_bytes = machine->disk_used_bytes;
    }
    vec_push(&ret->machines, one);
}

bool planner_tell_news(struct planner *p, const struct snapshot_source *source, size_t limit,
                       struct mirror_news *ret)
{
    struct changes *c = &p->changes;
    size_t cost = 0;

    if (!c->is_wanted)
        begin(p);
    changes_number_claims(p);
    for (; c->machines.len > 0 && cost < limit; cost += MIRROR_MACHINE)
        tell_machine(p, c->machines.items[--c->machines.len], ret);
    for (; c->jobs.len > 0 && cost < limit; cost++)
        tell_one(p, source, c->jobs.items[--c->jobs.len], ret);
    if (c->machines.len > 0 || c->jobs.len > 0)
        return false;
    ret->rest = snapshot_new();
    tell_rest(p, ret->rest);
    return true;
}
