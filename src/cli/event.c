/* event.c - berth event follow: what happens in a project, as it happens */
#include "cli/commands.h"
#include "cli/follow.h"

#include "base/alloc.h"

#include <errno.h>
#include <stdio.h>

static const struct cli_flag flags[] = {
    { "job", NULL, "JOB", "only of this job" },
    { "since", NULL, "SEQ", "from the event after this number on; from now when left out" },
    { NULL },
};

struct stream {
    struct cli *cli;
    struct sse_reader reader;
    char *last_id;
};

static void print_event(const struct cli *cli, const json_t *event)
{
    _cleanup_free_ char *data = format_value(NULL, "", json_object_get(event, "data"));
    const char *time = json_get_str(event, "time", "");
    _cleanup_text_ struct text t = { 0 };

    text_addf(&t, "%s%-8lld %.19s%s  ", style_begin(&cli->out, STYLE_DIM),
              (long long) json_get_int(event, "seq", 0), time, style_end(&cli->out, STYLE_DIM));
    text_addf(&t, "%s%-20s%s ", style_begin(&cli->out, STYLE_CYAN), json_get_str(event, "type", ""),
              style_end(&cli->out, STYLE_CYAN));
    text_addf(&t, "%.36s  ", json_get_str(event, "subject", ""));
    _cleanup_text_ struct text clean = { 0 };
    text_add_clean(&clean, data);
    text_add_cut(&t, text_str(&clean),
                 cli->out.tty && cli->out.width > 100 ? cli->out.width - 92 : 200, cli->out.utf8);
    text_add_char(&t, '\n');
    print_text(&t);
}

static int on_event(void *userdata, const char *id, const char *name, const char *data, size_t len)
{
    struct stream *s = userdata;
    _cleanup_json_ json_t *event = NULL;

    (void) name;
    if (id && *id)
        xstr_set(&s->last_id, id);
    if (json_parse(data, len, &event, NULL) < 0 || !json_is_object(event))
        return 0;
    if (s->cli->output == OUTPUT_TABLE) {
        print_event(s->cli, event);
    } else {
        (void) printf("%.*s\n", (int) len, data);
        (void) fflush(stdout);
    }
    return 0;
}

static int on_bytes(void *userdata, const char *bytes, size_t n)
{
    struct stream *s = userdata;

    return interrupt_count() ? -EINTR : sse_reader_feed(&s->reader, bytes, n, on_event, s);
}

static int follow(struct stream *s, const char *target, struct error *err)
{
    int64_t since = 0;

    for (;;) {
        if (s->reader.id.len)
            xstr_set(&s->last_id, text_str(&s->reader.id));
        const struct remote_call call = {
            .method = "GET",
            .target = target,
            .accept = "text/event-stream",
            .last_event_id = s->last_id,
            .on_body = on_bytes,
            .userdata = s,
            .timeout_ms = 60000,
        };
        int r = remote_call(s->cli, &call, NULL, err);
        if (interrupt_count())
            return 130;
        if (r < 0 && !is_passing(r))
            return r;
        since = r == 0 ? 0 : since;
        r = wait_for_server(s->cli, r < 0 ? r : -ETIMEDOUT, &since, err);
        if (r < 0)
            return r == -EINTR ? 130 : r;
    }
}

static int run(struct cli *cli, const struct args *args, struct error *err)
{
    struct stream s = { .cli = cli };
    _cleanup_free_ char *path = project_path(cli, "events", NULL);
    _cleanup_text_ struct text target = { 0 };
    const char *since = args_get(args, "since");

    text_addf(&target, "%s?follow=true", path);
    if (args_get(args, "job")) {
        text_add(&target, "&job=");
        url_encode(&target, args_get(args, "job"), false);
    }
    if (since)
        s.last_id = xstrdup(since);
    else
        text_add(&target, "&new=true");
    interrupt_catch();
    int r = follow(&s, target.data, err);
    interrupt_release();
    sse_reader_done(&s.reader);
    free(s.last_id);
    return r;
}

const struct command command_event_follow = {
    .noun = "event",
    .verb = "follow",
    .summary = "Print events of the project as they happen",
    .examples = "berth event follow\n"
                "berth event follow --job tiny-gpt --since 0\n"
                "berth event follow -o json | jq -c 'select(.type == \"job.failed\")'",
    .flags = flags,
    .run = run,
};
