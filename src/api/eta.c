/* eta.c - when those that wait will begin, in words */
#include "api/internal.h"

#include "base/alloc.h"
#include "base/time.h"
#include "os/clock.h"

#include <stdio.h>

enum { OLD_S = 5 };

static bool is_rule(const char *rule, enum placement_rule other)
{
    return str_equal(rule, placement_rule_name(other));
}

/* Of a job that waits for RULE. */
static char *words(const struct forecast_start *start, int64_t in_s, const char *rule)
{
    char in[32];

    (void) seconds_to_str(in_s, in);
    switch ((int) start->basis) {
    case FORECAST_NOW:
        if (in_s > 0 && is_rule(rule, PLACEMENT_BOOKED))
            return xasprintf("in %s, when what is booked there is over", in);
        return in_s > 0 ? xasprintf("in %s: nothing has to end first", in) : xstrdup("now");
    case FORECAST_DECLARED:
        return xasprintf("in %s or sooner, by the max_time of what goes before it", in);
    case FORECAST_HISTORY:
        return xasprintf("in about %s, by how long jobs of these projects ran lately", in);
    default:
        return xstrdup(
            is_rule(rule, PLACEMENT_CORDONED)
                ? "not known: it waits for machines that take no work"
                : "not known: something that goes before it declares no max_time, and its project's jobs have not "
                  "shown how long they run");
    }
}

static json_t *eta_json(const struct forecast_start *start, int64_t now_us, int64_t age_us,
                        const char *rule)
{
    bool is_known = start->start_us != INT64_MAX;
    int64_t us = start->start_us > now_us ? start->start_us : now_us;
    int64_t in_s = is_known ? (us - now_us + US_PER_S - 1) / US_PER_S : 0;
    _cleanup_free_ char *told = words(start, in_s, rule);
    char time[TIME_TEXT_LEN + 1], age[32];
    _cleanup_free_ char *text =
        age_us < OLD_S * US_PER_S
            ? xstrdup(told)
            : xasprintf("%s (as of %s ago)", told, seconds_to_str(age_us / US_PER_S, age));
    json_t *json = json_object();

    if (is_known) {
        json_put_str(json, "begins", time_format(us, time));
        json_put_int(json, "seconds", in_s);
    }
    json_put_str(json, "basis", forecast_basis_name(start->basis));
    json_put_str(json, "text", text);
    return json;
}

static void put(const struct expectation *expectation, const struct id *job, int64_t now_us,
                json_t *json)
{
    const struct expectation_job *seen = expectation_find(expectation, job);

    if (seen && seen->is_foretold)
        json_put(json, "eta",
                 eta_json(&seen->start, now_us, now_us - expectation->at_us,
                          json_get_str(json, "rule", "")));
}

void eta_put(const struct api *api, const struct workload *w, json_t *json)
{
    if (w->state == WORKLOAD_QUEUED)
        put(lifecycle_expectation(api->options.lifecycle), &w->id, clock_now_us(), json);
}

void eta_put_planned(const struct expectation *expectation, const struct id *job, json_t *json)
{
    put(expectation, job, expectation->at_us, json);
}
