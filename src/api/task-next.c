/* task-next.c - the answer to a task's end waits a moment, for it may name the task that its supervisor runs next
 *
 * The engine says when it is over (lifecycle_task_linger()). A supervisor whose connection broke meanwhile is not
 * noticed here: a task that it never heard of is one that Slurm's job ended without.
 */
#include "api/internal.h"

#include "base/alloc.h"

struct next_wait {
    struct next_wait *next, **link;
    struct call *call;
    struct id task;
    int64_t size;
};

static void wait_free(void *state)
{
    struct next_wait *w = state;

    *w->link = w->next;
    if (w->next)
        w->next->link = w->link;
    free(w);
}

void next_wait(struct call *call, const struct id *task, int64_t size)
{
    struct api *api = call->api;
    struct next_wait *w = xnew(struct next_wait);

    *w = (struct next_wait){
        .call = call, .task = *task, .size = size, .next = api->next_waits, .link = &api->next_waits
    };
    if (w->next)
        w->next->link = &w->next;
    api->next_waits = w;
    call->free_state(call->state);
    call->state = w;
    call->free_state = wait_free;
}

static void answer(const struct next_wait *w, const struct id *next, const char *token)
{
    json_t *json = json_object();
    char id[ID_TEXT_LEN + 1];

    json_put_int(json, "size", w->size);
    if (next)
        json_put(json, "next", json_pack("{s:s,s:s}", "task", id_format(next, id), "token", token));
    call_answer(w->call, 200, json);
}

void next_came(struct api *api, const struct id *task, const struct id *next, const char *token)
{
    struct next_wait *w = api->next_waits;

    while (w && !id_equal(&w->task, task))
        w = w->next;
    if (w)
        answer(w, next, token);
}

void next_end(struct api *api)
{
    while (api->next_waits)
        answer(api->next_waits, NULL, NULL);
}
