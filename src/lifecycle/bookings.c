/* bookings.c - machines that are kept for a project from a time to a time: made, begun, ended, given up
 *
 * Which machines they are is decided when the booking is made, and whoever makes it learns at once if it cannot be
 * honoured. From then on nothing is let in that is in the way (placement/booking.h), and what may be stopped is, in time.
 */
#include "lifecycle/bookings.h"

#include "base/text.h"
#include "base/time.h"

#include <errno.h>
#include <string.h>

enum { BOOKINGS_MAX = 4096, AHEAD_MAX_DAYS = 1830, NOTICE_DEFAULT_S = 300, LOOK_S = 600 };

size_t booking_place(struct bookings *b, const char *node)
{
    size_t place = (size_t) (uintptr_t) map_get_str(b->places, node);

    if (place > 0)
        return place - 1;
    vec_push(&b->names, xstrdup(node));
    (void) map_set_str(b->places, node, (void *) (uintptr_t) b->names.len);
    return b->names.len - 1;
}

/* "is booked for p1 from 2030-01-31 14:00 until 16:00 UTC"; owned by the caller. */
static char *words_of(const struct project *project, const struct booking_record *record)
{
    char from[TIME_TEXT_LEN + 1], until[TIME_TEXT_LEN + 1];

    (void) time_format(record->from_us, from);
    (void) time_format(record->until_us, until);
    bool same_day = strncmp(from, until, 10) == 0;
    return xasprintf("is booked for %s from %.10s %.5s until %.*s%s%.5s UTC", project->name, from,
                     from + 11, same_day ? 0 : 10, until, same_day ? "" : " ", until + 11);
}

/* ---- in memory ------------------------------------------------------------------------------------------ */

static void add(struct lifecycle *lc, struct booking_record *record)
{
    struct bookings *b = lc->bookings;
    const struct project *project = project_get(lc, &record->project);
    _cleanup_free_ struct booking_part *parts = xnew_n(struct booking_part, record->n_kept + 1);
    const struct booked one = { record, ++b->last_number, words_of(project, record) };

    for (size_t i = 0; i < record->n_kept; i++)
        parts[i] =
            (struct booking_part){ booking_place(b, record->kept[i].node), record->kept[i].milli };
    vec_push(&b->items, one);
    calendar_add(b->calendar,
                 &(struct booking){ one.number, booking_group(project), record->from_us,
                                    record->until_us, parts, record->n_kept });
}

static void drop(struct lifecycle *lc, const struct booking_record *record)
{
    struct bookings *b = lc->bookings;

    for (size_t i = 0; i < b->items.len; i++)
        if (b->items.items[i].record == record) {
            (void) calendar_remove(b->calendar, b->items.items[i].number);
            booking_record_free(b->items.items[i].record);
            free(b->items.items[i].words);
            vec_remove(&b->items, i);
            return;
        }
}

void bookings_take(struct lifecycle *lc, struct store_state *state)
{
    const struct lifecycle_settings *set = &lc->settings;
    const struct calendar_options options = {
        .notice_us = (set->booking_notice_s ? set->booking_notice_s : NOTICE_DEFAULT_S) * US_PER_S,
        .guaranteed_us = set->guaranteed_s * US_PER_S,
    };

    lc->bookings = xnew(struct bookings);
    lc->bookings->calendar = calendar_new(&options);
    lc->bookings->places = map_new();
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
    vec_foreach(&b->items, one) {
        booking_record_free(one->record);
        free(one->words);
    }
    vec_done(&b->items);
    calendar_free(b->calendar);
    map_free(b->places);
    vec_foreach(&b->names, name)
        free(*name);
    vec_done(&b->names);
    vec_done(&b->list);
    free(b);
}

/* Soon enough to see it when the clock is set. */
static void arm(struct lifecycle *lc)
{
    int64_t now_us = lc_now(lc), next_us = calendar_next_us(lc->bookings->calendar, now_us);

    if (next_us == INT64_MAX)
        return;
    int64_t wait_us = next_us - now_us < LOOK_S * US_PER_S ? next_us - now_us : LOOK_S * US_PER_S;
    timer_add(lc, &(struct timer){ .due_us = lc_boot(lc) + wait_us, .kind = TIMER_BOOKING });
}

/* ---- changes --------------------------------------------------------------------------------------------- */

/* An event about RECORD; IS_KEPT: the row is as it is now, otherwise it goes. */
static struct commit *note(struct lifecycle *lc, const struct booking_record *record,
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

/* Who waits is looked at again, and who is in the way goes. */
static void changed(struct lifecycle *lc)
{
    lc->changes++;
    stays_vacate(lc);
    lc_want_pass(lc);
    arm(lc);
}

/* The first that is due has its event: true. */
static bool turn_one(struct lifecycle *lc, int64_t now_us)
{
    vec_foreach(&lc->bookings->items, one) {
        struct booking_record *record = one->record;
        if (record->until_us <= now_us) {
            struct commit *c = note(lc, record, "booking.ended", "system", false);
            tags_forget(c, &record->id);
            commit_send(c);
            drop(lc, record);
            return true;
        }
        if (!record->has_begun && record->from_us <= now_us) {
            record->has_begun = true;
            commit_send(note(lc, record, "booking.begun", "system", true));
            return true;
        }
    }
    return false;
}

void bookings_fire(struct lifecycle *lc)
{
    int64_t now_us = lc_now(lc);

    while (turn_one(lc, now_us))
        ;
    changed(lc);
}

/* ---- making one -------------------------------------------------------------------------------------------- */

static int check_times(const struct new_booking *new, int64_t now_us, struct error *err)
{
    if (new->from_us < now_us - 60 * US_PER_S)
        return error_set(err, -EINVAL, "from: is past");
    if (new->until_us <= new->from_us || new->until_us <= now_us)
        return error_set(err, -EINVAL, "until: must be later than from, and not past");
    if (new->until_us - now_us > AHEAD_MAX_DAYS * 86400 * US_PER_S)
        return error_set(err, -EINVAL, "until: must be within %d days", AHEAD_MAX_DAYS);
    return 0;
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
    if (lifecycle_booking(lc, &new->project, new->name))
        return error_set(err, -EEXIST, "name: the project has a booking '%s' already", new->name);
    if (lc->bookings->items.len >= BOOKINGS_MAX)
        return error_set(err, -EBUSY, "there are %d bookings; there can be no more", BOOKINGS_MAX);
    return 0;
}

/* The machines as the wish sees them, by their place in the calendar. */
static struct presence *look_around(struct lifecycle *lc, const struct new_booking *new,
                                    size_t *ret_n)
{
    vec_foreach(&lc->nodes, use)
        (void) booking_place(lc->bookings, use->node->name);
    size_t n = lc->bookings->names.len;
    struct presence *all = xnew_n(struct presence, n + 1);
    vec_foreach(&lc->nodes, use) {
        struct presence *here = &all[booking_place(lc->bookings, use->node->name)];
        presence_of(lc, use->node, here);
        if (!here->serves || !booking_would_do(use->node, new->gpu_model))
            here->node.milli = 0;
    }
    *ret_n = n;
    return all;
}

static int choose(struct lifecycle *lc, const struct new_booking *new,
                  struct booking_record *record, struct error *err)
{
    const struct booking_wish wish = {
        .group = booking_group(project_get(lc, &new->project)),
        .now_us = record->created_us,
        .from_us = record->from_us,
        .until_us = record->until_us,
        .nodes = new->nodes,
        .gpus = new->gpus,
    };
    size_t n, n_parts = 0;
    struct presence *around = look_around(lc, new, &n);
    _cleanup_free_ struct booking_node *nodes = xnew_n(struct booking_node, n + 1);
    _cleanup_free_ struct booking_part *parts = NULL;

    for (size_t i = 0; i < n; i++)
        nodes[i] = around[i].node;
    int r = booking_choose(lc->bookings->calendar, nodes, n, &wish, &parts, &n_parts, err);
    for (size_t i = 0; i < n; i++)
        presence_done(&around[i]);
    free(around);
    if (r < 0)
        return r;
    record->kept = xnew_n(struct booking_kept, n_parts + 1);
    for (size_t i = 0; i < n_parts; i++)
        record->kept[record->n_kept++] =
            (struct booking_kept){ xstrdup(lc->bookings->names.items[parts[i].node]),
                                   parts[i].milli };
    return 0;
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
    r = choose(lc, new, record, err);
    if (r < 0)
        return r;
    struct commit *c = note(lc, record, "booking.created", new->actor, true);
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
    struct commit *c = note(lc, record, "booking.deleted", actor, false);
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
