/* booking-record.c - a booking as it is stored and shown */
#include "tenant/tenant.h"

#include "base/alloc.h"
#include "base/time.h"

#include <errno.h>
#include <string.h>

void booking_record_free(struct booking_record *booking)
{
    if (!booking)
        return;
    for (size_t i = 0; i < booking->n_kept; i++)
        free(booking->kept[i].node);
    free(booking->kept);
    free(booking->name);
    free(booking->gpu_model);
    free(booking->actor);
    free(booking->lacks);
    free(booking);
}

json_t *booking_record_to_json(const struct booking_record *booking)
{
    json_t *json = json_object(), *kept = json_array();

    json_put_id(json, "id", &booking->id);
    json_put_id(json, "project", &booking->project);
    json_put_str(json, "name", booking->name);
    if (booking->nodes)
        json_put_int(json, "nodes", booking->nodes);
    if (booking->gpus)
        json_put_int(json, "gpus", booking->gpus);
    json_put_str(json, "gpu_model", booking->gpu_model);
    json_put_time(json, "from", booking->from_us);
    json_put_time(json, "until", booking->until_us);
    json_put_str(json, "state", booking->has_begun ? "active" : "planned");
    for (size_t i = 0; i < booking->n_kept; i++) {
        json_t *one = json_object();
        json_put_str(one, "node", booking->kept[i].node);
        json_put_int(one, "gpu_milli", booking->kept[i].milli);
        (void) json_array_append_new(kept, one);
    }
    json_put(json, "kept", kept);
    json_put_str(json, "lacks", booking->lacks);
    json_put_str(json, "by", booking->actor);
    json_put_time(json, "created", booking->created_us);
    return json;
}

static bool read_kept(struct booking_record *booking, const json_t *kept)
{
    size_t i;
    const json_t *one;

    booking->kept = xnew_n(struct booking_kept, json_array_size(kept) + 1);
    json_array_foreach(kept, i, one) {
        const char *node = json_get_str(one, "node", NULL);
        int64_t milli = json_get_int(one, "gpu_milli", 0);
        if (!node || !*node || milli <= 0 || milli > UINT32_MAX)
            return false;
        booking->kept[booking->n_kept++] = (struct booking_kept){ xstrdup(node), (uint32_t) milli };
    }
    return booking->n_kept > 0;
}

static bool get_count(const json_t *json, const char *key, unsigned *ret)
{
    int64_t n = json_get_int(json, key, 0);

    *ret = n > 0 && n <= UINT32_MAX ? (unsigned) n : 0;
    return n >= 0 && n <= UINT32_MAX;
}

static bool get_time(const json_t *json, const char *key, int64_t *ret)
{
    return time_parse(json_get_str(json, key, ""), ret) >= 0;
}

int booking_record_from_json(const json_t *json, struct booking_record **ret, struct error *err)
{
    _cleanup_(booking_record_freep) struct booking_record *b = xnew(struct booking_record);
    const char *name = json_get_str(json, "name", "");

    b->name = xstrdup(name);
    b->gpu_model = xstrdup(json_get_str(json, "gpu_model", NULL));
    b->actor = xstrdup(json_get_str(json, "by", NULL));
    b->lacks = xstrdup(json_get_str(json, "lacks", NULL));
    b->has_begun = strcmp(json_get_str(json, "state", ""), "active") == 0;
    bool is_good = *name && id_parse(json_get_str(json, "id", ""), &b->id) >= 0 &&
                   id_parse(json_get_str(json, "project", ""), &b->project) >= 0 &&
                   get_count(json, "nodes", &b->nodes) && get_count(json, "gpus", &b->gpus) &&
                   (b->nodes == 0) != (b->gpus == 0) && get_time(json, "from", &b->from_us) &&
                   get_time(json, "until", &b->until_us) && b->from_us < b->until_us &&
                   get_time(json, "created", &b->created_us) &&
                   read_kept(b, json_object_get(json, "kept"));
    if (!is_good)
        return error_set(err, -EBADMSG, "the record of booking '%s' is damaged", name);
    *ret = take_ptr(b);
    return 0;
}

uint32_t booking_record_keeps(const struct booking_record *booking, const char *node)
{
    for (size_t i = 0; i < booking->n_kept; i++)
        if (strcmp(booking->kept[i].node, node) == 0)
            return booking->kept[i].milli;
    return 0;
}
