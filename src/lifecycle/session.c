/* session.c - what people do inside of running jobs goes on record; it changes no state */
#include "lifecycle/internal.h"

void lifecycle_record_session(struct lifecycle *lc, const struct session_record *record,
                              lifecycle_ok_f done, void *userdata)
{
    struct commit *c = commit_new(lc, NULL);
    struct event *event = xnew(struct event);

    event->project = record->project;
    event->subject_kind = "job";
    event->subject = record->job;
    event->type = record->ended ? "session.ended" : "session.started";
    commit_event(c, event, record->actor, record->data);
    store_add_event(c->batch, event);
    c->ok = done;
    c->userdata = userdata;
    commit_send(c);
}
