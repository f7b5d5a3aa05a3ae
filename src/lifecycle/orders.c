/* orders.c - what machines that joined are told to do
 *
 * A machine fetches its order and says how it goes. What is in it may be sealed for that machine and is forgotten
 * as soon as it was fetched; an order that a restart interrupts is given again by whoever gave it.
 */
#include "lifecycle/machines.h"

#include "base/time.h"

#include <errno.h>
#include <string.h>

static bool is_open(const json_t *order)
{
    const char *state = json_get_str(order, "state", "done");

    return str_equal(state, "waiting") || str_equal(state, "running");
}

static void fail(struct member *m, const char *detail)
{
    json_put_str(m->machine->order, "state", "failed");
    json_put_str(m->machine->order, "detail", detail);
    json_decref(m->payload);
    m->payload = NULL;
}

void order_take(struct member *m)
{
    if (is_open(m->machine->order))
        fail(m, "the server was restarted meanwhile: give it again");
}

static struct member *find_joined(const struct lifecycle *lc, const char *name)
{
    struct member *m = machine_find(lc, name);

    return m && m->machine->joined_us ? m : NULL;
}

int lifecycle_order(struct lifecycle *lc, const struct new_order *new, lifecycle_ok_f done,
                    void *userdata, struct id *ret, struct error *err)
{
    struct member *m = find_joined(lc, new->node);
    char id[ID_TEXT_LEN + 1], time[TIME_TEXT_LEN + 1];

    if (!m || !m->machine->orders_key)
        return error_set(err, -EACCES, "'%s' takes no orders: %s", new->node,
                         m ? "it joined without that, over plain http or not as root; join it again"
                           : "it did not join");
    if (is_open(m->machine->order))
        return error_set(err, -EBUSY, "'%s' carries out another order, of %s", new->node,
                         json_get_str(m->machine->order, "by", "somebody"));
    *ret = lc_new_id(lc);
    (void) id_format(ret, id);
    json_t *order = json_object();
    json_put_str(order, "id", id);
    json_put_str(order, "op", json_get_str(new->payload, "op", NULL));
    json_put_str(order, "state", "waiting");
    json_put_str(order, "by", new->actor);
    json_put_str(order, "time", time_format(lc_now(lc), time));
    json_decref(m->machine->order);
    m->machine->order = order;
    m->payload = json_deep_copy(new->payload);
    json_put_str(m->payload, "id", id);
    machine_keep(lc, m->machine->name, m->machine, "node.ordered", new->actor, done, userdata);
    return 0;
}

json_t *lifecycle_fetch_order(struct lifecycle *lc, const char *node)
{
    struct member *m = find_joined(lc, node);

    if (!m || !is_open(m->machine->order))
        return NULL;
    json_t *payload = take_ptr(m->payload);
    if (payload)
        json_put_str(m->machine->order, "state", "running");
    else
        fail(m, "berth-node was restarted there meanwhile: give it again");
    return payload;
}

int lifecycle_hear_order(struct lifecycle *lc, const char *node, const json_t *report,
                         lifecycle_ok_f done, void *userdata, struct error *err)
{
    static const char *const said[] = { "state", "step", "detail", "steps" };
    struct member *m = find_joined(lc, node);

    if (!m || !is_open(m->machine->order) || m->payload ||
        !str_equal(json_get_str(m->machine->order, "id", ""), json_get_str(report, "id", "-")))
        return error_set(err, -ENOENT, "this is no order that '%s' carries out", node);
    for (size_t i = 0; i < sizeof said / sizeof *said; i++)
        json_put(m->machine->order, said[i], json_incref(json_object_get(report, said[i])));
    if (is_open(m->machine->order))
        done(userdata);
    else
        machine_keep(lc, m->machine->name, m->machine, "node.order_ended", "system", done,
                     userdata);
    return 0;
}
