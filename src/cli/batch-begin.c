/* batch-begin.c - hand a batch job to the process that writes its output */
#include "cli/batch-collect.h"

#include "cli/follow.h"

#include "base/alloc.h"
#include "base/text.h"
#include "os/fd.h"
#include "os/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The event after which those of JOB come: its own were committed together with it. */
static int first_event(struct cli *cli, const json_t *job, int64_t *ret, struct error *err)
{
    const json_t *place = json_object_get(json_object_get(job, "spec"), "array");
    _cleanup_free_ char *path = project_path(cli, "events", NULL);
    const char *id = json_get_str(job, "id", "");
    _cleanup_json_ json_t *page = NULL;
    _cleanup_free_ char *target = place ? xasprintf("%s?limit=2&job=%s_%lld", path, id,
                                                    (long long) json_get_int(place, "last", 0))
                                        : xasprintf("%s?limit=2&job=%s", path, id);
    int r = remote_get(cli, target, &page, err);
    const json_t *items = json_object_get(page, "items");

    if (r >= 0)
        *ret = json_get_int(json_array_get(items, json_array_size(items) - 1), "seq", 0);
    return r;
}

/* PATTERN to a path, from the directory that it was submitted in. */
static char *make_path(const json_t *record, const char *pattern, const struct batch_names *names)
{
    _cleanup_free_ char *name = batch_pattern(pattern, names);

    if (name[0] == '/')
        return take_ptr(name);
    return xasprintf("%s/%s", json_get_str(record, "dir", "/"), name);
}

char *batch_output_path(const json_t *record, const struct batch_names *names)
{
    const char *other = names->array ? "slurm-%A_%a.out" : "slurm-%j.out";

    return make_path(record, json_get_str(record, "output", other), names);
}

char *batch_error_path(const json_t *record, const struct batch_names *names)
{
    const char *pattern = json_get_str(record, "error", NULL);

    if (!pattern)
        return NULL;
    _cleanup_free_ char *output = batch_output_path(record, names);
    _cleanup_free_ char *path = make_path(record, pattern, names);
    return str_equal(path, output) ? NULL : take_ptr(path);
}

static int put_record(struct cli *cli, const struct batch *b, const json_t *job, const char *dir,
                      struct error *err)
{
    const json_t *array = json_object_get(job, "array");
    _cleanup_free_ char *work = realpath(b->chdir ? b->chdir : ".", NULL);
    const char *id = json_get_str(job, "id", "");
    _cleanup_free_ char *path = xasprintf("%s/%s.json", dir, id);
    _cleanup_json_ json_t *json = json_object();
    int64_t seq = 0;
    int r = first_event(cli, job, &seq, err);

    if (r < 0)
        return r;
    json_put_str(json, "job", id);
    json_put(json, "array", json_boolean(array != NULL));
    json_put_int(json, "left", array ? json_get_int(array, "count", 1) : 1);
    json_put_str(json, "name", b->job_name);
    json_put_str(json, "output", b->output);
    json_put_str(json, "error", b->error);
    json_put_str(json, "dir", work);
    json_put(json, "append", json_boolean(b->append));
    json_put_int(json, "seq", seq);
    _cleanup_free_ char *text = json_text(json);
    r = mkdir_all(AT_FDCWD, dir, 0700, err);
    return r < 0 ? r : file_replace(AT_FDCWD, path, 0600, text, strlen(text), false, err);
}

/* Another of this program, which goes on when the terminal is gone. The key travels in its environment. */
static int start(const struct cli *cli, struct error *err)
{
    static const char *const argv[] = { "/proc/self/exe", "sbatch", "--collect", "--quiet", NULL };
    const struct process_options options = { .argv = argv,
                                             .stdin_fd = -1,
                                             .stdout_fd = -1,
                                             .stderr_fd = -1,
                                             .cwd = "/",
                                             .new_session = true };
    struct process process;

    if (setenv("BERTH_URL", cli->url, 1) < 0 || setenv("BERTH_PROJECT", cli->project, 1) < 0 ||
        (cli->key && setenv("BERTH_KEY", cli->key, 1) < 0))
        return error_set(err, -errno, "setting the environment: %s", strerror(errno));
    int r = process_start(&options, &process, err);
    if (r >= 0)
        safe_close(process.pidfd);
    return r;
}

int batch_collect_begin(struct cli *cli, const struct batch *b, const json_t *job,
                        struct error *err)
{
    _cleanup_free_ char *dir = batch_collect_dir(cli);
    int r = put_record(cli, b, job, dir, err);

    return r < 0 ? r : start(cli, err);
}

int batch_collect_wait(struct cli *cli, const char *job, struct error *err)
{
    _cleanup_free_ char *dir = batch_collect_dir(cli);
    _cleanup_free_ char *path = xasprintf("%s/%s.json", dir, job);
    int r = 0;

    /* Who does it may have been ended: then it is done here. */
    while (r >= 0 && access(path, F_OK) == 0) {
        r = batch_collect_run(cli, err);
        if (r == 1)
            (void) poll(NULL, 0, 50);
    }
    return r < 0 ? r : 0;
}
