/* gang.c - a task of several: all is made, then it waits until its peers are as far */
#include "executor/internal.h"

#include "os/fd.h"

#include <errno.h>
#include <string.h>

#define PEERS_MAX_BYTES (4 << 20)

static int write_ready(struct supervisor *s, struct error *err)
{
    char *address = s->launch->net.address;
    char loopback[] = "127.0.0.1";
    struct task_ready ready = {
        .epoch = s->spec->epoch,
        .address = *address ? address : loopback,
    };
    _cleanup_json_ json_t *json = task_ready_to_json(&ready);
    _cleanup_free_ char *text = json_text(json);

    return file_replace(s->dir, "ready", 0644, text, strlen(text), false, err);
}

static int read_peers(struct supervisor *s, struct error *err)
{
    _cleanup_text_ struct text text = { 0 };

    int r = file_read(s->dir, "peers", PEERS_MAX_BYTES, &text, err);
    if (r >= 0)
        r = json_parse(text_str(&text), text.len, &s->peers, err);
    if (r < 0)
        return error_context(err, r, "peers");
    if (json_array_size(s->peers) != s->spec->gang->world_size)
        return error_set(err, -EPROTO, "peers: names %zu tasks of %u", json_array_size(s->peers),
                         s->spec->gang->world_size);
    return 0;
}

int gang_await_go(struct supervisor *s, struct error *err)
{
    int r = write_ready(s, err);
    if (r < 0)
        return r;
    control_send(s->control, "ready");
    control_run_until_go(s->control);
    if (s->cause != END_NONE)
        return error_set(err, -ECANCELED, "it was stopped before it began");
    return read_peers(s, err);
}
