/* bookings.c - machines that are kept for a project from a time to a time: made, begun, ended, given up
 *
 * Which machines they are is decided when the booking is made, and whoever makes it learns at once if it cannot be
 * honoured. From then on the planner lets in nothing that is in the way, and stops in time what may be stopped.
 */
#include "lifecycle/bookings.h"

#include "base/text.h"
#include "base/time.h"

#include <errno.h>

enum { BOOKINGS_MAX = 4096, AHEAD_MAX_DAYS = 1830, LOOK_S = 600 };

/* ---- in memory ------------------------------------------------------------------------------------------ */

void booking_keep(struct lifecycle *lc, const struct booking_record *record)
{
    _cleanup_free_ struct booking_place *places = xnew_n(struct booking_place, record->n_kept + 1);

    for (size_t i = 0; i < record->n_kept; i++)
        places[i] = (struct booking_place){ record->kept[i].node, record->kept[i].milli };
    planner_book(lc->planner,
                 &(struct planner_booking){ .id = record->id,
                                            .org = project_get(lc, &record->project)->org,
                                            .project = record->project,
                                            .from_us = record->from_us,
                                            .until_us = record->until_us,
                                            .places = places,
                                            .n_places = record->n_kept });
}

static void add(struct lifecycle *lc, struct booking_record *record)
{
    vec_push(&lc->bookings->items, ((struct booked){ .record = record }));
    booking_keep(lc, record);
}

static void drop(struct lifecycle *lc, const struct booking_record *record)
{
    struct bookings *b = lc->bookings;

    for (size_t i = 0; i < b->items.len; i++)
        if (b->items.items[i].record == record) {
            planner_unbook(lc->planner, &record->id);
            booking_record_free(b->items.items[i].record);
            vec_remove(&b->items, i);
            return;
        }
}

void bookings_take(struct lifecycle *lc, struct store_state *state)
{
    lc->bookings = xnew(struct bookings);
    vec_foreach(&state->bookings, one) {
        struct booking_record *record = NULL;
        if (booking_record_from_json(one->record, &record, NULL) >= 0) {
            if (project_get(lc, &record->project))
                add(lc, record);
            else
                booking_record_free(record);
        }
        json_decref(one->record);
    }
    vec_done(&state->bookings);
}

void bookings_done(struct lifecycle *lc)
{
    struct bookings *b = lc->bookings;

    if (!b)
        return;
    vec_foreach(&b->items, one)
        booking_record_free(one->record);
    vec_done(&b->items);
    vec_done(&b->list);
    free(b);
}

/* When ONE needs a look again, by the clock of boot. */
static int64_t due_us(struct lifecycle *lc, const struct booked *one)
{
    const struct booking_record *record = one->record;
    int64_t mend_us = booking_mend_due_us(lc, one);
    int64_t next_us = record->has_begun ? record->until_us : record->from_us;
    int64_t turn_us = lc_boot(lc) + (next_us - lc_now(lc));

    return turn_us < mend_us ? turn_us : mend_us;
}

void bookings_arm(struct lifecycle *lc, int64_t at_us)
{
    if (lc->bookings->armed_us && lc->bookings->armed_us <= at_us)
        return;
    lc->bookings->armed_us = at_us;
    timer_add(lc, &(struct timer){ .due_us = at_us, .kind = TIMER_BOOKING });
}

/* The planner knows when machines are to be left. Soon enough to see it when the clock is set. */
static void arm(struct lifecycle *lc)
{
    int64_t boot_us = lc_boot(lc), next_us = boot_us + LOOK_S * US_PER_S;

    if (lc->bookings->items.len == 0)
        return;
    vec_foreach(&lc->bookings->items, one) {
        int64_t at_us = due_us(lc, one);
        next_us = at_us < next_us ? at_us : next_us;
    }
    bookings_arm(lc, next_us > boot_us ? next_us : boot_us);
}

/* ---- changes --------------------------------------------------------------------------------------------- */

struct commit *booking_note(struct lifecycle *lc, const struct booking_record *record,
                            const char *type, const char *actor, bool is_kept)
{
    struct commit *c = commit_new(lc, NULL);
    struct event *event = xnew(struct event);
    json_t *data = booking_record_to_json(record);

    store_put_booking(c->batch, &record->id, is_kept ? data : NULL);
    event->subject_kind = "booking";
    event->subject = record->id;
    event->project = record->project;
    event->type = type;
    commit_event(c, event, actor, data);
    store_add_event(c->batch, event);
    return c;
}

/* Who waits is looked at again, and who is in the way. */
static void changed(struct lifecycle *lc)
{
    lc->changes++;
    lc_want_pass(lc);
    arm(lc);
}

/* The first that is due has its event: true. */
static bool turn_one(struct lifecycle *lc, int64_t now_us)
{
    vec_foreach(&lc->bookings->items, one) {
        struct booking_record *record = one->record;
        if (record->until_us <= now_us) {
            struct commit *c = booking_note(lc, record, "booking.ended", "system", false);
            tags_forget(c, &record->id);
            commit_send(c);
            drop(lc, record);
            return true;
        }
        if (!record->has_begun && record->from_us <= now_us) {
            record->has_begun = true;
            commit_send(booking_note(lc, record, "booking.begun", "system", true));
            return true;
        }
    }
    return false;
}

void bookings_fire(struct lifecycle *lc)
{
    int64_t now_us = lc_now(lc);

    if (lc->bookings->armed_us <= lc_boot(lc))
        lc->bookings->armed_us = 0;
    while (turn_one(lc, now_us))
        ;
    bookings_mend(lc);
    changed(lc);
}

/* ---- making one -------------------------------------------------------------------------------------------- */

static int check_times(const struct new_booking *new, int64_t now_us, struct error *err)
{
    if (new->from_us < now_us - 60 * US_PER_S)
        return error_set(err, -EINVAL, "from: is past; leave it out for now, or name a later time");
    if (new->until_us <= new->from_us || new->until_us <= now_us)
        return error_set(err, -EINVAL, "until: must be later than from, and not past");
    if (new->until_us - now_us > AHEAD_MAX_DAYS * 86400 * US_PER_S)
        return error_set(err, -EINVAL, "until: must be within %d days", AHEAD_MAX_DAYS);
    return 0;
}

/* Are all GPUs of NODE of MODEL, whether they work or not? */
static bool has_only(const struct node *node, const char *model)
{
    vec_foreach(&node->gpus, gpu)
        if (!gpu_is_model(gpu, model))
            return false;
    return node->gpus.len > 0;
}

/* Models of which a machine has all its GPUs; "none". Owned by the caller. */
static char *models_of(const struct lifecycle *lc)
{
    struct text out = { 0 };

    for (size_t i = 0; i < lc->nodes.len; i++) {
        const struct node *node = lc->nodes.items[i].node;
        const char *model = node->gpus.len ? node->gpus.items[0].model : NULL;
        bool is_new = model && has_only(node, model);
        for (size_t k = 0; is_new && k < i; k++)
            is_new = !has_only(lc->nodes.items[k].node, model);
        if (is_new)
            text_addf(&out, "%s%s", out.len ? ", " : "", model);
    }
    if (!out.len)
        text_add(&out, "none");
    return text_take(&out);
}

/* Whatever is free: is there a machine of that model? */
static int check_model(const struct lifecycle *lc, const char *model, struct error *err)
{
    for (size_t i = 0; i < lc->nodes.len; i++)
        if (has_only(lc->nodes.items[i].node, model))
            return 0;
    _cleanup_free_ char *models = models_of(lc);
    return error_set(
        err, -EINVAL,
        "gpu_model: no machine has GPUs of model %s alone; those that have one model: %s", model,
        models);
}

static int check(struct lifecycle *lc, const struct new_booking *new, struct error *err)
{
    int r = name_check("name", new->name, err);

    if (r >= 0)
        r = tags_check(new->tags, err);
    if (r >= 0)
        r = check_times(new, lc_now(lc), err);
    if (r < 0)
        return r;
    if (!project_get(lc, &new->project))
        return error_set(err, -ENOENT, "there is no such project");
    if ((new->nodes == 0) == (new->gpus == 0))
        return error_set(err, -EINVAL, "nodes, gpus: say one of them");
    r = new->gpu_model ? check_model(lc, new->gpu_model, err) : 0;
    if (r < 0)
        return r;
    if (lifecycle_booking(lc, &new->project, new->name))
        return error_set(err, -EEXIST, "name: the project has a booking '%s' already", new->name);
    if (lc->bookings->items.len >= BOOKINGS_MAX)
        return error_set(err, -EBUSY, "there are %d bookings; there can be no more", BOOKINGS_MAX);
    return 0;
}

struct planner_wish booking_wish(struct lifecycle *lc, const struct booking_record *record)
{
    return (struct planner_wish){
        .org = project_get(lc, &record->project)->org,
        .project = record->project,
        .from_us = record->from_us,
        .until_us = record->until_us,
        .nodes = record->nodes,
        .gpus = record->gpus,
        .gpu_model = record->gpu_model,
    };
}

void booking_hold(struct booking_record *record, struct booking_place *places, size_t n)
{
    for (size_t i = 0; i < record->n_kept; i++)
        free(record->kept[i].node);
    free(record->kept);
    record->kept = xnew_n(struct booking_kept, n + 1);
    record->n_kept = n;
    for (size_t i = 0; i < n; i++)
        record->kept[i] = (struct booking_kept){ xstrdup(places[i].node), places[i].milli };
    booking_places_free(places, n);
}

static int choose(struct lifecycle *lc, struct booking_record *record, struct error *err)
{
    const struct planner_wish wish = booking_wish(lc, record);
    struct booking_place *places;
    size_t n;

    int r = planner_choose(lc->planner, &wish, record->created_us, &places, &n, err);
    if (r >= 0)
        booking_hold(record, places, n);
    return r;
}

int lifecycle_book(struct lifecycle *lc, const struct new_booking *new, lifecycle_ok_f done,
                   void *userdata, struct id *ret, struct error *err)
{
    _cleanup_(booking_record_freep) struct booking_record *record = xnew(struct booking_record);
    int r = check(lc, new, err);

    if (r < 0)
        return r;
    record->id = lc_new_id(lc);
    record->project = new->project;
    record->name = xstrdup(new->name);
    record->nodes = new->nodes;
    record->gpus = new->gpus;
    record->gpu_model = xstrdup(new->gpu_model);
    record->from_us = new->from_us;
    record->until_us = new->until_us;
    record->actor = xstrdup(new->actor);
    record->created_us = lc_now(lc);
    r = choose(lc, record, err);
    if (r < 0)
        return r;
    struct commit *c = booking_note(lc, record, "booking.created", new->actor, true);
    if (json_object_size(new->tags))
        tags_put(c, &record->id, new->tags);
    c->ok = done;
    c->userdata = userdata;
    *ret = record->id;
    add(lc, take_ptr(record));
    commit_send(c);
    bookings_fire(lc);
    return 0;
}

int lifecycle_unbook(struct lifecycle *lc, const struct id *project, const char *name,
                     const char *actor, lifecycle_ok_f done, void *userdata, struct error *err)
{
    const struct booking_record *record = lifecycle_booking(lc, project, name);

    if (!record)
        return error_set(err, -ENOENT, "there is no booking '%s'", name);
    struct commit *c = booking_note(lc, record, "booking.deleted", actor, false);
    c->ok = done;
    c->userdata = userdata;
    tags_forget(c, &record->id);
    drop(lc, record);
    commit_send(c);
    changed(lc);
    return 0;
}

/* ---- looking --------------------------------------------------------------------------------------------- */

const struct booking_record *lifecycle_booking(struct lifecycle *lc, const struct id *project,
                                               const char *name)
{
    struct id id;
    bool is_id = id_parse(name, &id) >= 0;

    vec_foreach(&lc->bookings->items, one)
        if (id_equal(&one->record->project, project) &&
            (str_equal(one->record->name, name) || (is_id && id_equal(&one->record->id, &id))))
            return one->record;
    return NULL;
}

void lifecycle_bookings(struct lifecycle *lc, const struct id *project,
                        const struct booking_record *const **ret, size_t *ret_n)
{
    struct bookings *b = lc->bookings;

    b->list.len = 0;
    vec_foreach(&b->items, one) {
        if (!id_is_none(project) && !id_equal(&one->record->project, project))
            continue;
        size_t at = b->list.len;
        vec_push(&b->list, one->record);
        for (; at > 0 && b->list.items[at - 1]->from_us > one->record->from_us; at--)
            b->list.items[at] = b->list.items[at - 1];
        b->list.items[at] = one->record;
    }
    *ret = b->list.items;
    *ret_n = b->list.len;
}

void bookings_put(const struct lifecycle *lc, struct snapshot *s)
{
    vec_foreach(&lc->bookings->items, one) {
        const struct booking_record *record = one->record;
        const struct project *project = project_get(lc, &record->project);
        _cleanup_free_ struct booking_place *places =
            xnew_n(struct booking_place, record->n_kept + 1);
        for (size_t i = 0; i < record->n_kept; i++)
            places[i] = (struct booking_place){ record->kept[i].node, record->kept[i].milli };
        snapshot_add_booking(s, &(struct snapshot_booking){ .id = record->id,
                                                            .org = project->org,
                                                            .project = record->project,
                                                            .whose = project->name,
                                                            .from_us = record->from_us,
                                                            .until_us = record->until_us,
                                                            .places = places,
                                                            .n_places = record->n_kept });
    }
}
