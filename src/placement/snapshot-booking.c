/* snapshot-booking.c - bookings of a snapshot, and of a record */
#include "placement/snapshot-form.h"

#include "base/alloc.h"
#include "base/text.h"

#include <errno.h>
#include <stdlib.h>

enum { MILLI_MAX = CAPACITY_GPUS_MAX * CAPACITY_GPU };

void snapshot_booking_done(struct snapshot_booking *booking)
{
    free(booking->whose);
    booking_places_free(booking->places, booking->n_places);
}

void snapshot_add_booking(struct snapshot *s, const struct snapshot_booking *booking)
{
    struct snapshot_booking copy = *booking;

    copy.whose = xstrdup(booking->whose);
    copy.places = xnew_n(struct booking_place, booking->n_places + 1);
    for (size_t i = 0; i < booking->n_places; i++)
        copy.places[i] =
            (struct booking_place){ xstrdup(booking->places[i].node), booking->places[i].milli };
    vec_push(&s->bookings, copy);
}

json_t *snapshot_booking_to_json(const struct snapshot_booking *booking)
{
    json_t *json = json_object(), *places = json_array();

    json_put_id(json, "id", &booking->id);
    json_put_id(json, "org", &booking->org);
    json_put_id(json, "project", &booking->project);
    json_put_str(json, "whose", booking->whose);
    json_put_int(json, "from_us", booking->from_us);
    json_put_int(json, "until_us", booking->until_us);
    for (size_t i = 0; i < booking->n_places; i++)
        (void) json_array_append_new(places,
                                     json_pack("{s:s, s:i}", "node", booking->places[i].node,
                                               "gpu_milli", (int) booking->places[i].milli));
    json_put(json, "on", places);
    return json;
}

static bool keeps(const struct snapshot_booking *booking, const char *node)
{
    for (size_t i = 0; i < booking->n_places; i++)
        if (str_equal(booking->places[i].node, node))
            return true;
    return false;
}

static int read_places(struct snapshot_booking *booking, const json_t *list, struct error *err)
{
    size_t n = json_array_size(list);

    if (n > SNAPSHOT_NODES_MAX)
        return error_set(err, -E2BIG, "on: has more than %d machines", SNAPSHOT_NODES_MAX);
    booking->places = xnew_n(struct booking_place, n + 1);
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_array_get(list, i);
        const char *node = json_get_str(one, "node", NULL);
        int64_t milli = json_get_int(one, "gpu_milli", 0);
        if (!node || milli < 1 || milli > MILLI_MAX || keeps(booking, node))
            return error_set(err, -EINVAL,
                             "on[%zu]: must be {\"node\":\"n1\",\"gpu_milli\":1000}, of each "
                             "machine once, up to %d",
                             i, MILLI_MAX);
        booking->places[booking->n_places++] =
            (struct booking_place){ xstrdup(node), (uint32_t) milli };
    }
    return 0;
}

int snapshot_booking_from_json(const json_t *json, struct snapshot_booking *ret, struct error *err)
{
    *ret = (struct snapshot_booking){ 0 };
    int r = snapshot_read_id(json, "id", true, &ret->id, err);
    if (r >= 0)
        r = snapshot_read_id(json, "org", true, &ret->org, err);
    if (r >= 0)
        r = snapshot_read_id(json, "project", true, &ret->project, err);
    if (r >= 0)
        r = snapshot_read_us(json, "from_us", SNAPSHOT_TIME_MAX_US, &ret->from_us, err);
    if (r >= 0)
        r = snapshot_read_us(json, "until_us", SNAPSHOT_TIME_MAX_US, &ret->until_us, err);
    if (r >= 0 && ret->until_us <= ret->from_us)
        r = error_set(err, -EINVAL, "until_us: must be later than from_us");
    if (r >= 0)
        r = snapshot_read_text(json, "whose", &ret->whose, err);
    return r < 0 ? r : read_places(ret, json_object_get(json, "on"), err);
}

int snapshot_read_bookings(struct snapshot *s, const json_t *json, struct error *err)
{
    const json_t *list = json_object_get(json, "bookings");

    if (list && (!json_is_array(list) || json_array_size(list) > SNAPSHOT_BOOKINGS_MAX))
        return error_set(err, -EINVAL, "bookings: must be a list, at most %d",
                         SNAPSHOT_BOOKINGS_MAX);
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct snapshot_booking one;
        int r = snapshot_booking_from_json(json_array_get(list, i), &one, err);
        vec_push(&s->bookings, one);
        if (r < 0)
            return error_context(err, r, "bookings[%zu]", i);
    }
    return 0;
}
