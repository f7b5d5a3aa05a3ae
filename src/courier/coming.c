/* coming.c - how far a task is that has not begun, told about once a second; whoever tells hears what home wants */
#include "courier/internal.h"

#include "base/text.h"
#include "os/clock.h"

#include <errno.h>
#include <string.h>

#define TELL_US  INT64_C(1000000)
#define QUIET_US INT64_C(300000)

/* The first order to stop among those that came; the others are heard again later. */
static const json_t *find_stop(const json_t *answer)
{
    size_t i;
    json_t *order;

    json_array_foreach(json_object_get(answer, "orders"), i, order) {
        if (str_equal(json_get_str(order, "op", ""), "stop"))
            return order;
    }
    return NULL;
}

/* What is there at once is not worth a word. */
void coming_begin(struct coming *p) { p->told_us = clock_boot_us() - TELL_US + QUIET_US; }

int coming_tell(struct coming *p, struct error *err)
{
    int64_t now_us = clock_boot_us();
    _cleanup_json_ json_t *answer = NULL;

    if (now_us - p->told_us < TELL_US)
        return 0;
    p->told_us = now_us;
    _cleanup_json_ json_t *json = json_object();
    json_put_str(json, "what", p->what);
    json_put_int(json, "done", p->done);
    json_put_int(json, "total", p->total);
    _cleanup_free_ char *body = json_text(json);
    const struct home_request request = {
        .method = "POST", .target = "progress", .body = body, .body_len = strlen(body)
    };
    int r = home_call_json(p->home, &request, &answer, err);
    const json_t *stop = r < 0 ? NULL : find_stop(answer);
    if (stop) {
        p->stopped = end_cause_parse(json_get_str(stop, "cause", "stopped"));
        return error_set(err, -ECANCELED, "it was stopped while %s came", p->what);
    }
    return r == -ESTALE ? r : 0; /* otherwise what matters is whether it comes */
}
