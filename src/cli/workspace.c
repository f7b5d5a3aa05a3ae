/* workspace.c - berth workspace push: send a directory without running anything */
#include "cli/commands.h"
#include "cli/pack.h"

#include "base/alloc.h"

#include <stdio.h>

static void print_files(const struct cli *cli, const struct pack *pack)
{
    _cleanup_json_ json_t *answer = json_object();

    json_put(answer, "items", manifest_to_json(pack->manifest));
    print_answer(cli, "file", answer);
}

static int run(struct cli *cli, const struct args *args, struct error *err)
{
    struct pack pack = { .dirfd = -1 };
    size_t files = 0;
    int64_t bytes = 0;
    char buf[32];
    int r = pack_directory(args_operand(args, 0) ? args_operand(args, 0) : ".", &pack, err);

    if (r < 0)
        return r;
    if (cli->dry_run)
        print_files(cli, &pack);
    else
        r = pack_send(cli, &pack, &files, &bytes, err);
    if (r == 0 && !cli->dry_run) {
        (void) printf("%s\n", pack.digest);
        print_note(cli, "%zu files, %zu of them sent (%s)", pack.manifest->n, files,
                   bytes_to_str(bytes, buf));
    }
    pack_done(&pack);
    return r;
}

const struct command command_workspace_push = {
    .noun = "workspace",
    .verb = "push",
    .operands = "[DIR]",
    .summary = "Send a directory and print the digest that a job's source may name",
    .examples = "berth workspace push\n"
                "berth workspace push --dry-run src     what would go",
    .operands_max = 1,
    .run = run,
};
