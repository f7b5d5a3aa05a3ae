/* scheduler.c - what the scheduler knows */
#include "api/ahead.h"

static void found(struct call *call, const char *text)
{
    call_answer_text(call, 200, text, strlen(text));
}

static void scheduler_snapshot(struct call *call) { ahead_snapshot(call, found); }

const struct api_route scheduler_routes[] = {
    { "scheduler.snapshot", scheduler_snapshot },
    { NULL, NULL },
};
