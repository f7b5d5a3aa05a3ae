/* bookings-mend.c - machines of a booking that break, are drained or go: others stand in for them
 *
 * Who drains a machine means it. A fault may pass, as when an agent or the server starts anew: it is waited for.
 */
#include "lifecycle/bookings.h"

#include "base/names.h"
#include "base/time.h"

enum { FAULT_PASSES_S = 120, AGAIN_S = 60 };

static bool is_cordoned(struct lifecycle *lc, const struct booking_record *record)
{
    for (size_t i = 0; i < record->n_kept; i++) {
        const struct node_use *use = use_find(lc, record->kept[i].node);
        if (use && use->node->cordoned)
            return true;
    }
    return false;
}

/* Names of its machines that take no work; NULL: all do. Owned by the caller. */
static char *broken_of(const struct lifecycle *lc, const struct booking_record *record)
{
    const char **names = xnew_n(const char *, record->n_kept + 1);
    struct text out = { 0 };
    size_t n = 0;

    for (size_t i = 0; i < record->n_kept; i++)
        if (!planner_serves(lc->planner, record->kept[i].node))
            names[n++] = record->kept[i].node;
    names_add(&out, names, n);
    free(names);
    return n > 0 ? text_take(&out) : NULL;
}

int64_t booking_mend_due_us(struct lifecycle *lc, const struct booked *one)
{
    if (!one->broken_us)
        return INT64_MAX;
    if (one->record->lacks)
        return lc_boot(lc) + AGAIN_S * US_PER_S;
    return is_cordoned(lc, one->record) ? one->broken_us
                                        : one->broken_us + FAULT_PASSES_S * US_PER_S;
}

/* Is it known what takes no work of its machines, among which is NODE? */
static bool is_seen(const struct lifecycle *lc, const struct booked *one, const char *node)
{
    if (!one->record->lacks)
        return planner_serves(lc->planner, node) == (one->broken_us == 0);
    _cleanup_free_ char *broken = broken_of(lc, one->record);
    return str_equal(broken, one->record->lacks);
}

void bookings_see(struct lifecycle *lc, const char *node)
{
    if (!lc->bookings) /* they are read after the machines */
        return;
    vec_foreach(&lc->bookings->items, one)
        if (booking_record_keeps(one->record, node) && !is_seen(lc, one, node)) {
            bookings_arm(lc, lc_boot(lc));
            return;
        }
}

static void say(struct lifecycle *lc, const struct booking_record *record, const char *type)
{
    commit_send(booking_note(lc, record, type, "system", true));
}

/* What it lacks now, which is said when it changes. Takes LACKS. */
static void set_lacks(struct lifecycle *lc, struct booking_record *record, char *lacks)
{
    bool is_changed = !str_equal(record->lacks, lacks);

    free(record->lacks);
    record->lacks = lacks;
    if (is_changed)
        say(lc, record, lacks ? "booking.short" : "booking.whole");
}

static void move(struct lifecycle *lc, struct booking_record *record, struct booking_place *places,
                 size_t n)
{
    booking_hold(record, places, n);
    booking_keep(lc, record);
    say(lc, record, "booking.moved");
}

static void mend(struct lifecycle *lc, struct booked *one)
{
    struct booking_record *record = one->record;
    int64_t now_us = plan_now(lc);
    struct planner_wish wish = booking_wish(lc, record);
    struct booking_place *places;
    size_t n;

    if (wish.from_us < now_us)
        wish.from_us = now_us;
    (void) planner_mend(lc->planner, &record->id, &wish, now_us, &places, &n);
    if (places)
        move(lc, record, places, n);
    set_lacks(lc, record, broken_of(lc, record));
}

void bookings_mend(struct lifecycle *lc)
{
    vec_foreach(&lc->bookings->items, one) {
        _cleanup_free_ char *broken = broken_of(lc, one->record);
        if (!broken) {
            one->broken_us = 0;
            set_lacks(lc, one->record, NULL);
            continue;
        }
        if (!one->broken_us)
            one->broken_us = lc_boot(lc);
        if (one->record->lacks || booking_mend_due_us(lc, one) <= lc_boot(lc))
            mend(lc, one);
    }
}
