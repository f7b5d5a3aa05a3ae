/* simulate-bookings.c - bookings in the answer of `berth simulate queue` */
#include "admin/simulate.h"

#include "base/time.h"
#include "sim/sim.h"

static const char *state_of(const struct queue_booking *b)
{
    if (b->refusal)
        return "refused";
    if (b->honoured_us == INT64_MAX)
        return b->is_made ? "not honoured, or the jobs ended before"
                          : "not made: the jobs ended before";
    return b->honoured_us > b->begin_us ? "late" : "honoured";
}

static json_t *booking_to_json(const struct queue_booking *b)
{
    json_t *json = json_object();

    json_put_str(json, "group", b->group);
    if (b->nodes)
        json_put_int(json, "nodes", (int64_t) b->nodes);
    if (b->gpus)
        json_put_int(json, "gpus", b->gpus);
    json_put_time(json, "from", b->from_us);
    json_put_time(json, "until", b->until_us);
    json_put_str(json, "state", state_of(b));
    json_put_str(json, "refusal", b->refusal);
    if (b->honoured_us != INT64_MAX)
        json_put_int(json, "late", (b->honoured_us - b->begin_us) / US_PER_S);
    if (b->n_parts)
        json_put_int(json, "machines", (int64_t) b->n_parts);
    return json;
}

static void add_booking(struct text *table, const struct queue_booking *b)
{
    char from[TIME_TEXT_LEN + 1], until[TIME_TEXT_LEN + 1];
    char what[40];

    (void) time_format(b->from_us, from);
    (void) time_format(b->until_us, until);
    (void) snprintf(what, sizeof what, b->nodes ? "%zu machines" : "%zu GPUs",
                    b->nodes ? b->nodes : (size_t) b->gpus);
    text_addf(table, "%-20s %-14s %.16s %.16s  %s", b->group, what, from, until, state_of(b));
    if (b->refusal)
        text_addf(table, ": %s", b->refusal);
    else if (b->honoured_us > b->begin_us && b->honoured_us != INT64_MAX)
        text_addf(table, ": %lld s after it began",
                  (long long) ((b->honoured_us - b->begin_us) / US_PER_S));
    if (b->n_parts)
        text_addf(table, ", on %zu machine%s", b->n_parts, b->n_parts == 1 ? "" : "s");
    text_add_char(table, '\n');
}

void simulate_bookings(const struct queue_figures *with, const struct queue_figures *without,
                       json_t *json, struct text *table)
{
    json_t *list = json_array(), *other = json_object();

    text_addf(
        table,
        "without bookings   wait, mean %lld s, p99 %lld s, longest %lld s; %llu preemptions\n",
        (long long) (without->wait_mean_us / US_PER_S),
        (long long) (without->wait_p99_us / US_PER_S),
        (long long) (without->wait_max_us / US_PER_S), (unsigned long long) without->n_preemptions);
    text_add(table, "\nbooked for           what           from             until\n");
    for (size_t i = 0; i < with->n_bookings; i++) {
        add_booking(table, &with->bookings[i]);
        (void) json_array_append_new(list, booking_to_json(&with->bookings[i]));
    }
    json_put_int(other, "wait_mean", without->wait_mean_us / US_PER_S);
    json_put_int(other, "wait_p99", without->wait_p99_us / US_PER_S);
    json_put_int(other, "wait_max", without->wait_max_us / US_PER_S);
    json_put_int(other, "preemptions", (int64_t) without->n_preemptions);
    json_put(json, "bookings", list);
    json_put(json, "without_bookings", other);
}
