/* log-search.c - berth logs --search: the lines of a log that have a text, each with its number */
#include "cli/follow.h"

#include "base/alloc.h"

#include <stdio.h>

static void print_match(const struct cli *cli, const json_t *match)
{
    _cleanup_text_ struct text t = { 0 };

    if (cli->output == OUTPUT_TABLE) {
        text_addf(&t, "%s%lld:%s ", style_begin(&cli->out, STYLE_DIM),
                  (long long) json_get_int(match, "line", 0), style_end(&cli->out, STYLE_DIM));
        text_add_clean(&t, json_get_str(match, "text", ""));
    } else {
        text_add_json(&t, match);
    }
    text_add_char(&t, '\n');
    print_text(&t);
}

int log_print_matches(struct cli *cli, const struct log_request *q, const char *wanted,
                      struct error *err)
{
    _cleanup_free_ char *path = project_path(cli, "jobs", q->job, "logs", "search", NULL);
    int64_t cursor = q->from > 0 ? q->from : 0, found = 0;

    for (;;) {
        _cleanup_text_ struct text target = { 0 };
        _cleanup_json_ json_t *page = NULL;
        text_addf(&target, "%s?limit=1000&cursor=%lld&text=", path, (long long) cursor);
        url_encode(&target, wanted, false);
        if (q->attempt)
            text_addf(&target, "&attempt=%d", q->attempt);
        if (q->rank >= 0)
            text_addf(&target, "&rank=%d", q->rank);
        if (q->stream)
            text_addf(&target, "&stream=%s", q->stream);
        int r = remote_get(cli, target.data, &page, err);
        if (r < 0)
            return r;
        size_t i;
        json_t *match;
        json_array_foreach(json_object_get(page, "items"), i, match) {
            if (found++ == q->lines)
                return 0;
            print_match(cli, match);
        }
        const char *next = json_get_str(page, "next", NULL);
        if (!next)
            return found ? 0 : 1;
        (void) str_to_i64(next, 0, INT64_MAX, (long long *) &cursor);
    }
}
