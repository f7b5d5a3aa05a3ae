/* event.c - one change of one subject */
#include "base/event.h"

#include "base/time.h"

void event_free(struct event *event)
{
    if (!event)
        return;
    free(event->actor);
    free(event->names);
    json_decref(event->data);
    free(event);
}

json_t *event_to_json(const struct event *event)
{
    json_t *json = json_object();
    char id[ID_TEXT_LEN + 1], time[TIME_TEXT_LEN + 1];

    json_put_int(json, "seq", (int64_t) event->seq);
    json_put_str(json, "id", id_format(&event->id, id));
    json_put_str(json, "time", time_format(event->time_us, time));
    if (!id_is_none(&event->project))
        json_put_str(json, "project", id_format(&event->project, id));
    json_put_str(json, "subject_kind", event->subject_kind);
    json_put_str(json, "subject", id_format(&event->subject, id));
    json_put_str(json, "actor", event->actor);
    json_put_str(json, "type", event->type);
    json_put_int(json, "version", event->version);
    json_put(json, "data", event->data ? json_incref(event->data) : json_object());
    return json;
}
