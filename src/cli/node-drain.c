/* node-drain.c - berth node drain: no new work, and with --wait until the machine is empty */
#include "cli/commands.h"
#include "cli/follow.h"

#include "base/alloc.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

enum { LOOK_MS = 500 };

static int64_t tasks_of(const json_t *node)
{
    return json_get_int(json_object_get(node, "use"), "tasks", 0);
}

/* Whatever its state is called (it may be lost): it is kept from work, and nothing is there. */
static int judge(const json_t *node, struct error *err)
{
    if (!json_get_bool(node, "cordoned", false))
        return error_set(err, -ECANCELED, "somebody gave %s back to work meanwhile",
                         json_get_str(node, "name", "it"));
    return tasks_of(node) == 0;
}

static void show(struct cli *cli, const json_t *node, int64_t *shown)
{
    int64_t n = tasks_of(node);

    if (n == *shown || n == 0)
        return;
    print_note(cli, "%s: %lld task%s still run%s there", json_get_str(node, "name", ""),
               (long long) n, n == 1 ? "" : "s", n == 1 ? "s" : "");
    *shown = n;
}

static int wait_until_empty(struct cli *cli, const char *target, json_t **node, struct error *err)
{
    int64_t since = 0, shown = 0;

    for (;;) {
        json_t *now = NULL;
        show(cli, *node, &shown);
        int r = judge(*node, err);
        if (r != 0)
            return r;
        (void) poll(NULL, 0, LOOK_MS);
        if (interrupt_count())
            return error_set(err, -EINTR, "interrupted");
        r = remote_get(cli, target, &now, err);
        if (r < 0 && is_passing(r))
            r = wait_for_server(cli, r, &since, err);
        else if (r >= 0)
            since = 0;
        if (r < 0)
            return r;
        if (now) {
            json_decref(*node);
            *node = now;
        }
    }
}

static int run_drain(struct cli *cli, const struct args *args, struct error *err)
{
    _cleanup_free_ char *drain = NULL, *target = NULL;
    _cleanup_json_ json_t *node = NULL;

    if (cli->dry_run) {
        print_note(cli, "would keep %s from new work", args_operand(args, 0));
        return CLI_OK;
    }
    int r = endpoint_target(cli, args->endpoint, args, &drain, err);
    if (r >= 0)
        r = remote_post(cli, drain, args->body, &node, err);
    if (r < 0)
        return r;
    target = xstrndup(drain, strlen(drain) - strlen("/drain"));
    if (cli->wait) {
        interrupt_catch();
        r = wait_until_empty(cli, target, &node, err);
        interrupt_release();
    }
    if (r == -EINTR) {
        print_note(cli, "%s goes on draining; berth node resume %s gives it back to work",
                   args_operand(args, 0), args_operand(args, 0));
        return 130;
    }
    if (r >= 0)
        print_answer(cli, "node", node);
    return r < 0 ? r : CLI_OK;
}

const struct command command_node_drain = {
    .noun = "node",
    .verb = "drain",
    .operands = "NODE",
    .summary = "Empty a machine: no new work, and what runs there runs out; --wait until it has",
    .examples = "berth node drain gpu07 --reason \"new fans\" --wait && ssh gpu07 poweroff\n"
                "berth node drain gpu07 --preempt   what may goes on elsewhere",
    .endpoint = "node.drain",
    .operands_min = 1,
    .operands_max = 1,
    .run = run_drain,
};
