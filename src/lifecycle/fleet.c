/* fleet.c - the machines as an engine reports them, over and over */
#include "lifecycle/machines.h"

#include "base/text.h"

static bool is_among(const struct node *node, const struct engine_machine *machines, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_equal(machines[i].name, node->name))
            return true;
    return false;
}

/* The hardware as the engine has it, else as it is known here; owned by the caller, NULL: nobody knows. */
static struct node *machine_node(const struct engine_machine *machine, const struct node *known)
{
    const struct node *hardware = machine->node ? machine->node : known;
    struct node *node = NULL;

    if (!hardware)
        return NULL;
    _cleanup_json_ json_t *json = node_to_json(hardware);
    json_put_str(json, "name", machine->name);
    if (node_from_json(json, &node, NULL) < 0)
        return NULL;
    node->fault = xstrdup(machine->fault);
    node->others_cores = machine->others_cores;
    node->others_gpus = machine->others_gpus;
    node->others_memory_bytes = machine->others_memory_bytes;
    return node;
}

/* What runs there was begun before the machine was known here. */
static void take_live(struct lifecycle *lc, const char *name)
{
    struct job *job;

    map_foreach(lc->attempts, pos, job) {
        bool is_there = false;
        for (size_t rank = 0; rank < attempt_n_tasks(job->w->attempt); rank++) {
            if (!str_equal(attempt_task_allocation(job->w->attempt, rank)->node, name))
                continue;
            use_take_task(lc, job, rank);
            is_there = true;
        }
        if (is_there)
            plan_adopt(lc, job);
    }
}

/* A machine that joined says itself where it is reached; its engine need not know. */
static void keep_address(const struct lifecycle *lc, struct node *node)
{
    const struct member *m = machine_find(lc, node->name);

    if (!node->address && m && m->machine->node)
        node->address = xstrdup(m->machine->node->address);
}

/* What the engine cannot know stays as it was. */
static void keep_decisions(struct node *node, const struct node *before)
{
    node->id = before->id;
    node->cordoned = before->cordoned;
}

static void set_one(struct lifecycle *lc, const struct engine_machine *machine)
{
    const struct node_use *before = use_find(lc, machine->name);
    struct node *node = machine_node(machine, before ? before->node : NULL);

    if (!node)
        return;
    keep_address(lc, node);
    if (before) {
        keep_decisions(node, before->node);
        lifecycle_set_node(lc, node);
        return;
    }
    node->id = lc_new_id(lc);
    lifecycle_set_node(lc, node);
    take_live(lc, machine->name);
}

void fleet_drop(struct lifecycle *lc, const struct node_use *gone)
{
    size_t at = (size_t) (gone - lc->nodes.items);
    struct node_use *use = &lc->nodes.items[at];

    for (size_t i = 0; i < lc->node_list.len; i++)
        if (lc->node_list.items[i] == use->node) {
            vec_remove(&lc->node_list, i);
            break;
        }
    planner_drop_node(lc->planner, use->node->name);
    bookings_see(lc, use->node->name);
    use_node_done(use);
    vec_remove(&lc->nodes, at);
    lc->changes++;
}

void lifecycle_set_fleet(struct lifecycle *lc, const struct engine_machine *machines, size_t n)
{
    for (size_t i = lc->nodes.len; i-- > 0;) {
        struct node_use *use = &lc->nodes.items[i];
        if (is_among(use->node, machines, n))
            continue;
        if (machine_has_joined(lc, use->node->name)) {
            xstr_set(&use->node->fault, machine_unused);
        } else if (use->grants.len > 0) {
            xstr_set(&use->node->fault, "the engine does not know it any more");
        } else {
            fleet_drop(lc, use);
            continue;
        }
        plan_node(lc, use);
    }
    for (size_t i = 0; i < n; i++)
        set_one(lc, &machines[i]);
}
