/* bookings.c - machines that are kept for projects */
#include "api/internal.h"

#include "base/alloc.h"
#include "base/names.h"
#include "base/time.h"
#include "os/clock.h"

#include <errno.h>

static struct lifecycle *lifecycle_of(const struct call *call)
{
    return call->api->options.lifecycle;
}

/* So many machines from the first on are kept as it is. */
static size_t equal_kept(const struct booking_kept *kept, size_t n, bool by_gpus)
{
    size_t len = 1;

    while (len < n && (!by_gpus || kept[len].milli == kept->milli))
        len++;
    return len;
}

/* "n[1-16]", "n[1-3] (8 GPUs each), n4 (4 GPUs)": what is kept whole needs no number. Owned by the caller. */
static char *machines_text(const struct booking_record *booking)
{
    const char **names = xnew_n(const char *, booking->n_kept + 1);
    struct text out = { 0 };
    size_t len;

    for (size_t i = 0; i < booking->n_kept; i++)
        names[i] = booking->kept[i].node;
    for (size_t i = 0; i < booking->n_kept; i += len) {
        uint32_t milli = booking->kept[i].milli;
        len = equal_kept(booking->kept + i, booking->n_kept - i, booking->gpus > 0);
        text_add(&out, i ? ", " : "");
        names_add(&out, names + i, len);
        if (booking->gpus)
            text_addf(&out, " (%u GPU%s%s)", milli / 1000, milli == 1000 ? "" : "s",
                      len > 1 ? " each" : "");
    }
    free(names);
    return text_take(&out);
}

json_t *booking_json(const struct call *call, const struct booking_record *booking)
{
    json_t *json = booking_record_to_json(booking);
    _cleanup_free_ char *on = machines_text(booking);
    char id[ID_TEXT_LEN + 1];
    const struct project *project =
        lifecycle_project(lifecycle_of(call), id_format(&booking->project, id));

    json_put_str(json, "project_name", project ? project->name : id);
    json_put_str(json, "on", on);
    return json;
}

static void booking_list(struct call *call)
{
    const struct booking_record *const *bookings;
    json_t *answer = json_object(), *array = json_array();
    bool all = json_get_bool(call->query, "all", false);
    size_t n;

    if (all && !id_is_none(&call->key_project)) {
        json_decref(answer);
        json_decref(array);
        call_refuse(call, -EPERM, "all: a key of one project sees the bookings of that project");
        return;
    }
    lifecycle_bookings(lifecycle_of(call), all ? &id_none : &call->project, &bookings, &n);
    for (size_t i = 0; i < n; i++)
        add_tagged(call, array, &bookings[i]->id, booking_json(call, bookings[i]));
    json_put(answer, "items", array);
    call_answer(call, 200, answer);
}

static const struct booking_record *of_path(struct call *call)
{
    const char *name = call_param(call, "booking");
    const struct booking_record *booking =
        lifecycle_booking(lifecycle_of(call), &call->project, name);

    if (!booking)
        call_refuse(call, -ENOENT, "the project has no booking '%s' that has not ended", name);
    return booking;
}

static void booking_show(struct call *call)
{
    const struct booking_record *booking = of_path(call);

    if (booking)
        call_answer(call, 200, with_tags(call, &booking->id, booking_json(call, booking)));
}

struct made {
    struct id id;
};

static void booking_made(void *userdata)
{
    struct call *call = userdata;
    const struct made *made = call->state;
    char id[ID_TEXT_LEN + 1];
    const struct booking_record *booking =
        lifecycle_booking(lifecycle_of(call), &call->project, id_format(&made->id, id));

    if (booking)
        call_answer_once(call, 201, with_tags(call, &made->id, booking_json(call, booking)));
    else
        call_refuse(call, -ENOENT, "the booking was given up at once");
}

/* FROM defaults to now; UNTIL to FROM and the duration. */
static int read_times(const struct call *call, struct new_booking *ret, struct error *err)
{
    const char *from = json_get_str(call->body, "from", NULL);
    const char *until = json_get_str(call->body, "until", NULL);
    int64_t duration_s = json_get_int(call->body, "duration", 0);

    ret->from_us = clock_now_us();
    if (from)
        (void) time_parse(from, &ret->from_us); /* checked before */
    if (until && duration_s)
        return error_set(err, -EINVAL, "until, duration: say one of them");
    if (!until && !duration_s)
        return error_set(err, -EINVAL, "until: say when it ends, or its duration");
    ret->until_us = ret->from_us + duration_s * US_PER_S;
    if (until)
        (void) time_parse(until, &ret->until_us);
    return 0;
}

static void booking_create(struct call *call)
{
    struct made *made = xnew(struct made);
    struct error err = { 0 };
    struct new_booking new = {
        .project = call->project,
        .name = json_get_str(call->body, "name", ""),
        .nodes = (unsigned) json_get_int(call->body, "nodes", 0),
        .gpus = (unsigned) json_get_int(call->body, "gpus", 0),
        .gpu_model = json_get_str(call->body, "gpu_model", NULL),
        .tags = json_object_get(call->body, "tags"),
        .actor = call->actor,
    };

    call->state = made;
    call->free_state = free;
    int r = read_times(call, &new, &err);
    if (r >= 0)
        r = lifecycle_book(lifecycle_of(call), &new, booking_made, call, &made->id, &err);
    if (r < 0)
        call_fail(call, r, &err);
}

static void booking_deleted(void *userdata) { call_answer_empty(userdata); }

static void booking_delete(struct call *call)
{
    struct error err = { 0 };
    int r = lifecycle_unbook(lifecycle_of(call), &call->project, call_param(call, "booking"),
                             call->actor, booking_deleted, call, &err);

    if (r < 0)
        call_fail(call, r, &err);
}

const struct api_route booking_routes[] = {
    { "booking.list", booking_list },
    { "booking.create", booking_create },
    { "booking.show", booking_show },
    { "booking.delete", booking_delete },
    { NULL, NULL },
};
