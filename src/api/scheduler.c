/* scheduler.c - what the scheduler knows */
#include "api/internal.h"

struct snapshot_answer {
    struct call *call;
    struct snapshot *snapshot;
    char *text;
};

/* A large fleet takes its time to be written: off the loop. */
static void write_text(void *item)
{
    struct snapshot_answer *a = item;
    _cleanup_json_ json_t *json = snapshot_to_json(a->snapshot);

    a->text = json_text(json);
}

static void answer(void *item)
{
    struct snapshot_answer *a = item;

    call_answer_text(a->call, 200, a->text, strlen(a->text));
    snapshot_free(a->snapshot);
    free(a->text);
    free(a);
}

static void scheduler_snapshot(struct call *call)
{
    struct snapshot_answer *a = xnew(struct snapshot_answer);

    a->call = call;
    a->snapshot = lifecycle_snapshot(call->api->options.lifecycle);
    pool_submit(call->api->options.pool, write_text, answer, a);
}

const struct api_route scheduler_routes[] = {
    { "scheduler.snapshot", scheduler_snapshot },
    { NULL, NULL },
};
