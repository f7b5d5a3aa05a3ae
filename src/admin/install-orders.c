/* install-orders.c - machines are told what to be, and followed until they are */
#include "admin/install.h"

#include "admin/box.h"
#include "admin/carry.h"
#include "admin/nodes.h"
#include "admin/options.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A machine that is there fetches its order at once; an installation is given an hour. */
enum { KEY_MAX = 4096, FETCH_S = 60, END_S = 3600, LOOK_US = 200000 };

static int64_t now_s(void)
{
    struct timespec now;

    (void) clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

/* ---- here --------------------------------------------------------------------------------------------------- */

struct here {
    const struct install *in;
    struct machine *machine;
};

static void on_step(void *userdata, const char *step, const json_t *steps)
{
    struct here *here = userdata;

    json_decref(here->machine->steps);
    here->machine->steps = json_deep_copy(steps);
    install_show(here->in, here->machine);
}

void install_here(struct install *in, struct machine *machine)
{
    _cleanup_json_ json_t *steps = json_array();
    struct here here = { in, machine };
    struct order *order = &in->order;
    const char *step = "";
    struct error err = { 0 };

    order->is_server = true;
    order->is_controller = str_equal(order->cluster.controller, machine->name);
    order->self = cluster_find(&order->cluster, machine->name);
    struct carry carry = { .order = order,
                           .state = option_setting("BERTH_STATE", "/var/lib/berth"),
                           .runtime = option_setting("BERTH_RUNTIME", "/run/berth"),
                           .steps = steps,
                           .on_step = on_step,
                           .userdata = &here };
    int r = carry_out(&carry, &step, &err);
    on_step(&here, NULL, steps);
    xstr_set(&machine->step, step);
    if (r < 0)
        machine_fail(machine, err.text);
    else
        machine->state = "done";
}

/* ---- there -------------------------------------------------------------------------------------------------- */

static const json_t *find_item(const struct install *in, const char *name)
{
    size_t i;
    json_t *item;

    json_array_foreach(in->items, i, item)
        if (str_equal(json_get_str(item, "name", ""), name))
            return item;
    return NULL;
}

/* In the dry run there may be no key yet; then none goes along. */
static int add_key(const struct install *in, const char *public, json_t *json, struct error *err)
{
    _cleanup_free_ char *sealed = NULL;
    _cleanup_text_ struct text key = { 0 };

    int r = file_read(AT_FDCWD, "/etc/munge/munge.key", KEY_MAX, &key, err);
    if (r < 0)
        return in->only_looks ? 0 : r;
    r = box_seal(public, key.data, key.len, &sealed, err);
    explicit_bzero(key.data, key.len);
    if (r >= 0)
        json_put_str(json, "munge_key", sealed);
    return r;
}

static int give(struct install *in, struct machine *machine, struct error *err)
{
    _cleanup_free_ char *target = xasprintf("/v1/nodes/%s/order", machine->name);
    const json_t *item = find_item(in, machine->name);
    const char *public = json_get_str(item, "orders_key", NULL);
    _cleanup_json_ json_t *body = NULL, *answer = NULL;

    if (!public)
        return error_set(err, -EACCES,
                         "it takes no orders: join it again as root, over https, without "
                         "--no-orders");
    if (str_equal(json_get_str(item, "state", ""), "lost"))
        return error_set(err, -ETIMEDOUT, "it is not heard of: does berth-node run there?");
    in->order.is_controller = str_equal(in->order.cluster.controller, machine->name);
    body = order_to_json(&in->order);
    int r = add_key(in, public, body, err);
    if (r >= 0)
        r = nodes_call("POST", target, body, &answer, err);
    if (r < 0)
        return r;
    xstr_set(&machine->order, json_get_str(answer, "id", ""));
    machine->since_s = now_s();
    return 0;
}

static bool is_open(const struct machine *machine)
{
    return machine->order &&
           (str_equal(machine->state, "waiting") || str_equal(machine->state, "running"));
}

/* What the machine said last; or that it says nothing. */
static void take(struct machine *machine, const json_t *item)
{
    static const char *const states[] = { "waiting", "running", "done", "failed" };
    const json_t *order = json_object_get(item, "order");
    int64_t silent_s = now_s() - machine->since_s;

    if (!str_equal(json_get_str(order, "id", ""), machine->order)) {
        machine_fail(machine, "somebody gave it another order");
        return;
    }
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (str_equal(json_get_str(order, "state", ""), states[i]))
            machine->state = states[i];
    xstr_set(&machine->step, json_get_str(order, "step", NULL));
    xstr_set(&machine->detail, json_get_str(order, "detail", NULL));
    json_decref(machine->steps);
    machine->steps = json_incref(json_object_get(order, "steps"));
    if (str_equal(machine->state, "waiting") && silent_s > FETCH_S)
        machine_fail(machine, "it does not fetch its order: does berth-node run there?");
    else if (is_open(machine) &&
             (silent_s > END_S || str_equal(json_get_str(item, "state", ""), "lost")))
        machine_fail(machine, "it is not heard of any more");
}

static bool follow(struct install *in)
{
    struct error err = { 0 };
    json_t *items = NULL;
    bool is_any_open = false;

    if (nodes_ask(&items, &err) >= 0) {
        json_decref(in->items);
        in->items = items;
    }
    vec_foreach(&in->machines, machine) {
        if (!is_open(machine))
            continue;
        take(machine, find_item(in, machine->name));
        install_show(in, machine);
        is_any_open = is_any_open || is_open(machine);
    }
    return is_any_open;
}

void install_others(struct install *in)
{
    in->order.is_server = false;
    vec_foreach(&in->machines, machine) {
        struct error err = { 0 };
        if (str_equal(machine->name, in->own))
            continue;
        if (give(in, machine, &err) < 0)
            machine_fail(machine, err.text);
        install_show(in, machine);
    }
    while (follow(in))
        (void) usleep(LOOK_US);
}
