/* machines.c - machines that joined, and what operators decided about any
 *
 * A machine is known by its name, as for its tags. One that joined reports itself over and over; that is
 * kept when it has changed, and when it was heard of last is known in memory alone. Whether work can
 * begin on it is the engine's to say: without an engine that speaks of it, none can.
 */
#include "lifecycle/machines.h"

#include "base/text.h"
#include "base/time.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { NODE_NAME_MAX = 57, TIMEOUT_S = 35 };

const char machine_unused[] =
    "no engine starts tasks on it yet: berth engine check says what is missing";

struct member *machine_find(const struct lifecycle *lc, const char *name)
{
    return map_get_str(lc->machines, name);
}

static struct member *add(struct lifecycle *lc, struct node_record *machine)
{
    struct member *m = xnew(struct member);

    m->machine = machine;
    m->heard_boot_us = lc_boot(lc); /* it has its time to be heard of */
    map_set_str(lc->machines, machine->name, m);
    return m;
}

static void member_free(void *p)
{
    struct member *m = p;

    node_record_free(m->machine);
    json_decref(m->payload);
    free(m);
}

void machines_take(struct lifecycle *lc, struct store_state *state)
{
    lc->machines = map_new();
    vec_foreach(&state->machines, one) {
        struct node_record *machine = NULL;
        if (node_record_from_json(one->record, &machine, NULL) >= 0)
            order_take(add(lc, machine));
        json_decref(one->record);
    }
    vec_done(&state->machines);
}

void machines_done(struct lifecycle *lc)
{
    if (lc->machines)
        map_free_with(lc->machines, member_free);
}

bool machine_has_joined(const struct lifecycle *lc, const char *name)
{
    const struct member *m = machine_find(lc, name);

    return m && m->machine->joined_us != 0;
}

void machines_decide(struct lifecycle *lc, struct node *node)
{
    const struct member *m = machine_find(lc, node->name);

    if (!m)
        return;
    node->cordoned = m->machine->cordoned;
    if (m->machine->partitions)
        node_set_partitions(node, m->machine->partitions);
    /* No batch system knows what is free there; one assumes a disk, and the machine has seen it. */
    if (m->machine->node && m->machine->node->disk_bytes > 0) {
        node->disk_bytes = m->machine->node->disk_bytes;
        node->disk_free_bytes = m->machine->node->disk_free_bytes;
    }
}

static struct node *copy_node(const struct node *node)
{
    _cleanup_json_ json_t *json = node_to_json(node);
    struct node *copy = NULL;

    return node_from_json(json, &copy, NULL) < 0 ? NULL : copy;
}

/* As it reported itself, with what the engine says of it. */
static void show(struct lifecycle *lc, const struct node_record *machine)
{
    const struct node_use *use = use_find(lc, machine->name);
    struct node *node = copy_node(machine->node);

    if (!node)
        return;
    xstr_set(&node->name, machine->name);
    node->id = use ? use->node->id : lc_new_id(lc);
    node->fault = xstrdup(use ? use->node->fault : machine_unused);
    if (use) {
        node->others_cores = use->node->others_cores;
        node->others_gpus = use->node->others_gpus;
        node->others_memory_bytes = use->node->others_memory_bytes;
    }
    lifecycle_set_node(lc, node);
}

void machines_show(struct lifecycle *lc)
{
    const struct member *m;

    map_foreach(lc->machines, pos, m)
        if (m->machine->node && !use_find(lc, m->machine->name))
            show(lc, m->machine);
}

/* ---- changes ------------------------------------------------------------------------------------------ */

static struct id subject_of(struct lifecycle *lc, const char *name)
{
    const struct node node = { .name = (char *) (uintptr_t) name };

    return lifecycle_node_subject(lc, &node);
}

void machine_keep(struct lifecycle *lc, const char *name, const struct node_record *machine,
                  const char *type, const char *actor, lifecycle_ok_f done, void *userdata)
{
    struct commit *c = commit_new(lc, NULL);
    struct event *event = xnew(struct event);
    json_t *record = machine ? node_record_to_json(machine) : json_object();

    c->ok = done;
    c->userdata = userdata;
    event->subject_kind = "node";
    event->subject = subject_of(lc, name);
    event->type = type;
    store_put_machine(c->batch, &event->subject, machine ? record : NULL);
    (void) json_object_del(record, "node"); /* shown by `node show`, and large */
    json_put_str(record, "name", name);
    commit_event(c, event, actor, record);
    store_add_event(c->batch, event);
    commit_send(c);
}

/* The machine NAME, which nobody decided anything of or knew before. */
static struct member *find_or_add(struct lifecycle *lc, const char *name)
{
    struct member *m = machine_find(lc, name);

    if (m)
        return m;
    struct node_record *machine = xnew(struct node_record);
    machine->name = xstrdup(name);
    return add(lc, machine);
}

int lifecycle_cordon(struct lifecycle *lc, const struct cordon *cordon, lifecycle_ok_f done,
                     void *userdata, struct error *err)
{
    struct node_use *use = use_find(lc, cordon->node);

    if (!use)
        return error_set(err, -ENOENT, "there is no node '%s'", cordon->node);
    struct node_record *machine = find_or_add(lc, cordon->node)->machine;
    machine->cordoned = cordon->cordoned;
    machine->drained = cordon->drained;
    machine->cordoned_us = cordon->cordoned ? lc_now(lc) : 0;
    xstr_set(&machine->reason, cordon->cordoned ? cordon->reason : NULL);
    xstr_set(&machine->actor, cordon->cordoned ? cordon->actor : NULL);
    use->node->cordoned = cordon->cordoned;
    plan_node(lc, use);
    lc_want_pass(lc);
    if (cordon->preempt)
        preempt_node(lc, cordon->node, cordon->actor);
    machine_keep(lc, machine->name, machine, cordon->cordoned ? "node.cordoned" : "node.uncordoned",
                 cordon->actor, done, userdata);
    return 0;
}

/* As the machine itself told it last, if it did. */
static void set_reported_partitions(const struct member *m, struct node *node)
{
    const struct node *reported = m->machine->node;

    node->partitions.len = 0;
    if (reported && reported->gpus.len == node->gpus.len)
        vec_foreach(&reported->partitions, partition)
            vec_push(&node->partitions, *partition);
}

int lifecycle_partition(struct lifecycle *lc, const struct partitioning *partitioning,
                        lifecycle_ok_f done, void *userdata, struct error *err)
{
    const struct node_use *use = use_find(lc, partitioning->node);

    if (!use)
        return error_set(err, -ENOENT, "there is no node '%s'", partitioning->node);
    int r = partitioning->table ? node_check_partitions(use->node, partitioning->table, err) : 0;
    if (r < 0)
        return error_context(err, r, "table");
    struct member *m = find_or_add(lc, partitioning->node);
    struct node *node = node_copy(use->node);
    xstr_set(&m->machine->partitions, partitioning->table);
    if (!partitioning->table)
        set_reported_partitions(m, node);
    lifecycle_set_node(lc, node);
    machine_keep(lc, m->machine->name, m->machine, "node.partitioned", partitioning->actor, done,
                 userdata);
    return 0;
}

/* ---- joining --------------------------------------------------------------------------------------------- */

static struct member *find_machine(const struct lifecycle *lc, const struct sha256 *machine)
{
    struct member *m;

    map_foreach(lc->machines, pos, m)
        if (m->machine->joined_us && memcmp(&m->machine->machine, machine, sizeof *machine) == 0)
            return m;
    return NULL;
}

static int check_name(struct lifecycle *lc, const char *name, struct error *err)
{
    const struct member *m = machine_find(lc, name);

    if (strlen(name) > NODE_NAME_MAX)
        return error_set(err, -EINVAL, "node.name: has at most %d characters", NODE_NAME_MAX);
    if (m && m->machine->joined_us)
        return error_set(err, -EEXIST,
                         "another machine joined as '%s': give this one another host name, or "
                         "forget that one first: berth node delete %s",
                         name, name);
    if (use_find(lc, name) && !lc->engine->ops->orders)
        return error_set(err, -EEXIST,
                         "'%s' is the machine of the server, which looks after itself", name);
    return 0;
}

/* The key that it reports with, in place of the one before. */
static int make_key(struct lifecycle *lc, const char *name, const char *actor,
                    char text[static KEY_TEXT_LEN + 1], struct error *err)
{
    char key_name[64];
    struct id id;

    (void) snprintf(key_name, sizeof key_name, "node-%s", name);
    (void) lifecycle_delete_key(lc, key_name, actor, NULL, NULL, NULL);
    const struct new_key new = { .name = key_name, .role = KEY_ROLE_NODE, .actor = actor };
    return lifecycle_create_key(lc, &new, text, NULL, NULL, &id, err);
}

int lifecycle_join(struct lifecycle *lc, const struct new_machine *new, struct joined *ret,
                   lifecycle_ok_f done, void *userdata, struct error *err)
{
    struct member *m = find_machine(lc, &new->machine);
    int r = m ? 0 : check_name(lc, new->node->name, err);

    if (r < 0)
        return r;
    ret->again = m != NULL;
    (void) snprintf(ret->name, sizeof ret->name, "%s", m ? m->machine->name : new->node->name);
    r = make_key(lc, ret->name, new->actor, ret->key, err);
    if (r >= 0)
        r = lifecycle_delete_key(lc, new->token_name, new->actor, NULL, NULL, err);
    if (r < 0)
        return r;
    if (!m)
        m = find_or_add(lc, ret->name);
    m->machine->machine = new->machine;
    m->machine->joined_us = lc_now(lc);
    m->heard_us = lc_now(lc);
    m->heard_boot_us = lc_boot(lc);
    node_free(m->machine->node);
    m->machine->node = copy_node(new->node);
    xstr_set(&m->machine->node->name, ret->name);
    xstr_set(&m->machine->url, new->url);
    xstr_set(&m->machine->orders_key, new->orders_key);
    show(lc, m->machine);
    machine_keep(lc, ret->name, m->machine, "node.joined", new->actor, done, userdata);
    return 0;
}

static bool is_same(const struct node *a, const struct node *b)
{
    _cleanup_json_ json_t *x = node_to_json(a), *y = node_to_json(b);

    /* What moves all the time says nothing new. */
    (void) json_object_del(x, "disk_free");
    (void) json_object_del(y, "disk_free");
    (void) json_object_del(x, "id");
    (void) json_object_del(y, "id");
    return json_equal(x, y);
}

int lifecycle_hear_node(struct lifecycle *lc, const char *name, const struct node *node,
                        struct error *err)
{
    struct member *m = machine_find(lc, name);
    struct node *copy = copy_node(node);

    if (!m || !m->machine->joined_us || !copy) {
        node_free(copy);
        return error_set(err, -ENOENT, "no machine of the name '%s' has joined", name);
    }
    m->heard_us = lc_now(lc);
    m->heard_boot_us = lc_boot(lc);
    xstr_set(&copy->name, name);
    bool is_new = !is_same(copy, m->machine->node);
    node_free(m->machine->node);
    m->machine->node = copy;
    if (copy->disk_free_bytes > 0)
        lifecycle_set_disk_free(lc, name, copy->disk_free_bytes);
    if (is_new) {
        show(lc, m->machine);
        machine_keep(lc, name, m->machine, "node.changed", "system", NULL, NULL);
    }
    return 0;
}

static void take_away(struct lifecycle *lc, const char *name)
{
    const struct node_use *use = use_find(lc, name);

    if (use && str_equal(use->node->fault, machine_unused))
        fleet_drop(lc, use);
}

int lifecycle_forget_node(struct lifecycle *lc, const char *name, const char *actor,
                          lifecycle_ok_f done, void *userdata, struct error *err)
{
    struct member *m = machine_find(lc, name);
    const struct node_use *use = use_find(lc, name);
    char key_name[64];

    if (!m || !m->machine->joined_us)
        return error_set(err, use ? -EBUSY : -ENOENT,
                         use ? "'%s' did not join: it is the engine's" : "there is no node '%s'",
                         name);
    if (use && use->grants.len > 0)
        return error_set(err, -EBUSY,
                         "%zu tasks run on '%s': berth node drain %s, and wait until it is drained",
                         use->grants.len, name, name);
    _cleanup_free_ char *kept = xstrdup(name);
    (void) snprintf(key_name, sizeof key_name, "node-%s", kept);
    (void) lifecycle_delete_key(lc, key_name, actor, NULL, NULL, NULL);
    map_remove_str(lc->machines, kept);
    member_free(m);
    take_away(lc, kept);
    machine_keep(lc, kept, NULL, "node.forgotten", actor, done, userdata);
    return 0;
}

/* ---- what is shown ------------------------------------------------------------------------------------------ */

const struct node *lifecycle_reported_node(struct lifecycle *lc, const struct node *node)
{
    const struct member *m = machine_find(lc, node->name);

    return m && m->machine->node ? m->machine->node : node;
}

static bool is_lost(const struct lifecycle *lc, const struct member *m)
{
    int64_t timeout_s = lc->settings.node_timeout_s ? lc->settings.node_timeout_s : TIMEOUT_S;

    return m->machine->joined_us && lc_boot(lc) - m->heard_boot_us > timeout_s * US_PER_S;
}

static const char *state_of(struct lifecycle *lc, const struct node *node, const struct member *m)
{
    const struct node_use *use = use_find(lc, node->name);

    if (m && is_lost(lc, m))
        return "lost";
    if (m && m->machine->drained)
        return use && use->grants.len > 0 ? "draining" : "drained";
    if (node->cordoned)
        return "cordoned";
    return node->fault ? "faulty" : "ready";
}

void lifecycle_node_standing(struct lifecycle *lc, const struct node *node, json_t *json)
{
    const struct member *m = machine_find(lc, node->name);

    json_put_str(json, "state", state_of(lc, node, m));
    if (!m)
        return;
    json_put_str(json, "partition_table", m->machine->partitions);
    json_put_time(json, "joined", m->machine->joined_us);
    json_put_time(json, "heard", m->heard_us);
    if (m->machine->joined_us) {
        json_put_str(json, "url", m->machine->url);
        json_put_str(json, "orders_key", m->machine->orders_key);
    }
    if (m->machine->order)
        json_put(json, "order", json_deep_copy(m->machine->order));
    if (!m->machine->cordoned)
        return;
    json_t *cordon = json_object();
    json_put_str(cordon, "reason", m->machine->reason);
    json_put_str(cordon, "by", m->machine->actor);
    json_put_time(cordon, "since", m->machine->cordoned_us);
    json_put(json, "cordon", cordon);
}
