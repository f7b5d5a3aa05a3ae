/* array.c - arrays of jobs as one: their jobs in order, their logs, their exit code */
#include "cli/follow.h"

#include "base/alloc.h"
#include "http/http.h"
#include "workload/workload.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool is_whole_array(const json_t *job)
{
    return json_object_get(json_object_get(job, "array"), "states") != NULL;
}

/* All pages; newest first, as the API gives them. */
static int list(struct cli *cli, const char *array, const char *more, json_t *items,
                struct error *err)
{
    _cleanup_free_ char *path = project_path(cli, "jobs", NULL), *next = NULL;

    do {
        _cleanup_text_ struct text target = { 0 };
        _cleanup_json_ json_t *page = NULL;
        text_addf(&target, "%s?limit=1000%s%s%s&array=", path, more, next ? "&cursor=" : "",
                  next ? next : "");
        url_encode(&target, array, false);
        int r = remote_get(cli, target.data, &page, err);
        if (r < 0)
            return r;
        (void) json_array_extend(items, json_object_get(page, "items"));
        xstr_set(&next, json_get_str(page, "next", NULL));
    } while (next);
    return 0;
}

int array_jobs(struct cli *cli, const char *array, json_t **ret, struct error *err)
{
    _cleanup_json_ json_t *items = json_array();
    int r = list(cli, array, "", items, err);

    if (r < 0)
        return r;
    *ret = json_array();
    for (size_t i = json_array_size(items); i > 0; i--)
        (void) json_array_append(*ret, json_array_get(items, i - 1));
    return 0;
}

int array_names(const char *text, json_t *names, struct error *err)
{
    const char *open = strstr(text, "_["), *close = text + strlen(text) - 1;
    struct array_indexes indexes = { 0 };

    if (!open || *close != ']')
        return json_array_append_new(names, json_string(text));
    _cleanup_free_ char *list = xstrndup(open + 2, (size_t) (close - open) - 2);
    int r = array_indexes_parse(list, &indexes, err);
    for (size_t i = 0; i < indexes.n && r >= 0; i++) {
        _cleanup_free_ char *name =
            xasprintf("%.*s_%u", (int) (open - text), text, indexes.list[i]);
        r = json_array_append_new(names, json_string(name));
    }
    array_indexes_done(&indexes);
    return r < 0 ? error_context(err, r, "%.80s", text) : 0;
}

int array_exit_code(struct cli *cli, const json_t *array, struct error *err)
{
    _cleanup_json_ json_t *items = json_array();
    size_t i;
    const json_t *job;
    int code = 0;

    if (str_equal(json_get_str(array, "state", ""), "succeeded"))
        return 0;
    int r = list(cli, json_get_str(array, "id", ""), "&state=failed,stopped", items, err);
    json_array_foreach(items, i, job)
        if (job_exit_code(job) > code)
            code = job_exit_code(job);
    return r < 0 ? r : code;
}

int array_logs(struct cli *cli, const struct log_request *q, const char *wanted, struct error *err)
{
    _cleanup_json_ json_t *jobs = NULL;
    size_t i;
    const json_t *job;
    int r = array_jobs(cli, q->job, &jobs, err), found = 1;

    json_array_foreach(jobs, i, job) {
        struct log_request one = *q;
        /* Nothing was printed by who never began. */
        if (!q->follow && json_get_int(job, "attempts", 0) == 0)
            continue;
        one.job = json_get_str(job, "name", "");
        (void) printf("%s==> %s <==\n", i ? "\n" : "", one.job);
        (void) fflush(stdout);
        one.job = json_get_str(job, "id", "");
        /* The first job's id is the array's. */
        _cleanup_free_ char *first =
            xasprintf("%s_%lld", one.job,
                      (long long) json_get_int(json_object_get(job, "array"), "index", 0));
        if (i == 0)
            one.job = first;
        r = wanted ? log_print_matches(cli, &one, wanted, err) : log_print(cli, &one, err);
        free(one.last_line);
        if (r < 0)
            return r;
        if (r == 0)
            found = 0;
    }
    return r < 0 ? r : wanted ? found : 0;
}
