/* image-push.c - berth image push: an image of the project to a registry */
#include "cli/commands.h"
#include "cli/progress.h"

#include "base/alloc.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

enum { LOOK_MS = 150 };

/* Ctrl-C ends the waiting, not the push. */
static int await_push(struct cli *cli, json_t **push, struct error *err)
{
    _cleanup_free_ char *target =
        project_path(cli, "image-pushes", json_get_str(*push, "id", ""), NULL);
    struct progress progress = { 0 };
    int r = 0;

    interrupt_catch();
    while (r >= 0 && str_equal(json_get_str(*push, "state", ""), "pushing")) {
        if (interrupt_count() > 0) {
            r = error_set(err, -EINTR, "it goes on without you");
            break;
        }
        (void) nanosleep(&(struct timespec){ .tv_nsec = LOOK_MS * 1000000L }, NULL);
        json_decref(*push);
        *push = NULL;
        r = remote_get(cli, target, push, err);
        int64_t total = json_get_int(*push, "total", 0);
        if (total && !progress.term)
            progress_begin(&progress, &cli->err, "pushing", total);
        if (total)
            progress_show(&progress, json_get_int(*push, "done", 0));
    }
    if (progress.term)
        progress_end(&progress);
    interrupt_release();
    return r;
}

static int run_push(struct cli *cli, const struct args *args, struct error *err)
{
    _cleanup_free_ char *target = project_path(cli, "image-pushes", NULL);
    _cleanup_json_ json_t *body = json_object(), *push = NULL;

    json_put_str(body, "image", args_operand(args, 0));
    json_put_str(body, "to", args_operand(args, 1));
    int r = remote_post(cli, target, body, &push, err);
    if (r >= 0 && !args_has(args, "detach"))
        r = await_push(cli, &push, err);
    if (r < 0)
        return r;
    if (str_equal(json_get_str(push, "state", ""), "failed"))
        return error_set(err, -EREMOTEIO, "%s: %s", json_get_str(push, "to", ""),
                         json_get_str(push, "reason", ""));
    if (cli->output_given || args_has(args, "detach"))
        print_answer(cli, "image", push);
    else
        (void) printf("%s\n", json_get_str(push, "digest", ""));
    return CLI_OK;
}

static const struct cli_flag push_flags[] = {
    { "detach", "d", NULL, "do not wait until it is there" },
    { NULL },
};

const struct command command_image_push = {
    .noun = "image",
    .verb = "push",
    .operands = "IMAGE REGISTRY/REPOSITORY:TAG",
    .summary = "Send an image of the project to a registry",
    .examples = "berth image login registry.example:5000 --username ci --password-stdin < token\n"
                "berth image push trainer:1 registry.example:5000/team/trainer:1",
    .flags = push_flags,
    .operands_min = 2,
    .operands_max = 2,
    .run = run_push,
};
