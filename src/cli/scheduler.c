/* scheduler.c - berth scheduler snapshot: save what the scheduler decides from */
#include "cli/commands.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* What is there and no file, such as /dev/stdout, is written to and not replaced. */
static int write_into(const char *path, const char *text, struct error *err)
{
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

    int r = fd < 0 ? -errno : write_full(fd, text, strlen(text));
    return r < 0 ? error_set(err, r, "writing %s: %s", path, strerror(-r)) : 0;
}

/* With a terminal's defaults nobody else reads it: it names jobs of all projects. */
static int save(const struct cli *cli, const json_t *snapshot, const char *path, struct error *err)
{
    _cleanup_free_ char *text = json_text(snapshot);
    struct stat st;
    bool is_other = stat(path, &st) == 0 && !S_ISREG(st.st_mode);
    int r = is_other ? write_into(path, text, err)
                     : file_replace(AT_FDCWD, path, 0600, text, strlen(text), false, err);

    if (r < 0)
        return r;
    print_note(cli, "%s: machines: %zu, jobs: %zu", path,
               json_array_size(json_object_get(snapshot, "nodes")),
               json_array_size(json_object_get(snapshot, "jobs")));
    return CLI_OK;
}

static int run_snapshot(struct cli *cli, const struct args *args, struct error *err)
{
    const char *path = args_operand(args, 0);
    _cleanup_free_ char *target = NULL;
    _cleanup_json_ json_t *snapshot = NULL;
    int r = endpoint_target(cli, args->endpoint, args, &target, err);

    if (r >= 0)
        r = remote_get(cli, target, &snapshot, err);
    if (r < 0)
        return r;
    if (path && !str_equal(path, "-"))
        return save(cli, snapshot, path, err);
    if (cli->output != OUTPUT_YAML)
        cli->output = OUTPUT_JSON;
    print_json(cli, snapshot);
    return CLI_OK;
}

const struct command command_scheduler_snapshot = {
    .noun = "scheduler",
    .verb = "snapshot",
    .operands = "[FILE]",
    .summary =
        "Save to FILE, or print, all that the scheduler decides from: no commands or secrets",
    .examples = "berth scheduler snapshot queue.json\n"
                "berth simulate what-if --snapshot queue.json --add-nodes 20",
    .endpoint = "scheduler.snapshot",
    .operands_max = 1,
    .run = run_snapshot,
};
