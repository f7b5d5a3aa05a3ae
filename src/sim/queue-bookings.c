/* queue-bookings.c - bookings of a replay: read, made when it is time, looked at when they begin */
#include "sim/queue-bookings.h"

#include "base/alloc.h"
#include "base/text.h"
#include "base/time.h"

#include <errno.h>
#include <string.h>

enum { NODES_MAX = 100000, GPUS_MAX = 1000000 };

void queue_booking_done(struct queue_booking *booking)
{
    free(booking->group);
    free(booking->refusal);
    free(booking->parts);
}

void queue_bookings_done(struct queue_bookings *b)
{
    vec_foreach(&b->list, booking)
        queue_booking_done(booking);
    vec_done(&b->list);
}

/* ---- texts ---------------------------------------------------------------------------------------------- */

static bool read_value(struct queue_booking *b, const char *key, const char *value,
                       long long *for_s)
{
    long long n = 0;

    if (str_equal(key, "group"))
        return !b->group && *value && (b->group = xstrdup(value));
    if (str_equal(key, "gpus") && !b->gpus && str_to_i64(value, 1, GPUS_MAX, &n) >= 0)
        return (b->gpus = (unsigned) n);
    if (str_equal(key, "nodes") && !b->nodes && str_to_i64(value, 1, NODES_MAX, &n) >= 0)
        return (b->nodes = (size_t) n);
    if (str_equal(key, "for"))
        return str_to_seconds(value, for_s) >= 0 && *for_s > 0;
    if (str_equal(key, "from"))
        return time_parse(value, &b->from_us) >= 0;
    if (str_equal(key, "until"))
        return time_parse(value, &b->until_us) >= 0;
    return str_equal(key, "made") && time_parse(value, &b->made_us) >= 0;
}

static int check(const struct queue_booking *b, const char *text, struct error *err)
{
    if (!b->group || (b->gpus == 0) == (b->nodes == 0) || b->from_us == 0 || b->until_us == 0)
        return error_set(err, -EINVAL,
                         "--booking: '%.100s': needs group, gpus or nodes, from, and until or for",
                         text);
    if (b->until_us <= b->from_us || b->made_us >= b->until_us)
        return error_set(err, -EINVAL,
                         "--booking: '%.100s': until must be later than from and made", text);
    return 0;
}

static int read_one(struct queue_booking *b, const char *text, struct error *err)
{
    _cleanup_free_ char *copy = xstrdup(text);
    long long for_s = 0;
    char *save = NULL;

    for (char *word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
        char *sign = strchr(word, '=');
        if (sign)
            *sign = '\0';
        if (!sign || !read_value(b, word, sign + 1, &for_s))
            return error_set(err, -EINVAL,
                             "--booking: '%.40s%s%.60s': must be group=NAME, gpus=N or nodes=N, "
                             "from=, until= or made=2017-10-05T12:00:00Z, or for=4h",
                             word, sign ? "=" : "", sign ? sign + 1 : "");
    }
    if (for_s > 0 && b->until_us == 0)
        b->until_us = b->from_us + for_s * US_PER_S;
    else if (for_s > 0)
        return error_set(err, -EINVAL, "--booking: '%.100s': until or for, not both", text);
    return check(b, text, err);
}

/* Of "physics/vision" each. */
static uint32_t group_of(struct queue_groups *groups, const char *path)
{
    _cleanup_free_ char *copy = xstrdup(path);
    uint32_t number = 0;
    unsigned depth = 0;
    char *save = NULL;

    for (char *name = strtok_r(copy, "/", &save); name; name = strtok_r(NULL, "/", &save)) {
        number = depth++ < SHARE_DEPTH ? queue_groups_add(groups, number, name) : 0;
        if (!number)
            return 0;
    }
    return number;
}

int queue_booking_check(const char *text, struct error *err)
{
    struct queue_booking one = { 0 };
    int r = read_one(&one, text, err);

    queue_booking_done(&one);
    return r;
}

int queue_bookings_read(struct queue_bookings *b, const char *const *texts, size_t n,
                        struct queue_groups *groups, struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        struct queue_booking one = { .honoured_us = INT64_MAX };
        int r = read_one(&one, texts[i], err);
        vec_push(&b->list, one);
        if (r < 0)
            return r;
        b->list.items[i].number = group_of(groups, one.group);
        if (!b->list.items[i].number)
            return error_set(err, -EINVAL, "--booking: group: '%.60s' is no org, project or user",
                             one.group);
    }
    return 0;
}

/* ---- in the replay -------------------------------------------------------------------------------------- */

int64_t queue_bookings_next_us(const struct queue_bookings *b)
{
    int64_t next_us = INT64_MAX;

    vec_foreach(&b->list, one)
        if (!one->is_made && one->made_us < next_us)
            next_us = one->made_us;
    return next_us;
}

static void make(struct queue_bookings *b, struct queue_booking *one, int64_t now_us)
{
    const struct booking_wish wish = { .group = one->number,
                                       .now_us = now_us,
                                       .from_us = one->from_us > now_us ? one->from_us : now_us,
                                       .until_us = one->until_us,
                                       .nodes = one->nodes,
                                       .gpus = one->gpus };
    struct error err = { 0 };

    one->is_made = true;
    if (schedule_choose(b->schedule, &wish, NULL, &one->parts, &one->n_parts, &err) < 0) {
        one->refusal = xstrdup(err.text);
        return;
    }
    one->begin_us = wish.from_us;
    schedule_book(b->schedule, &(struct booking){ .id = (uint64_t) (one - b->list.items) + 1,
                                                  .group = one->number,
                                                  .from_us = wish.from_us,
                                                  .until_us = one->until_us,
                                                  .parts = one->parts,
                                                  .n_parts = one->n_parts });
}

void queue_bookings_make(struct queue_bookings *b, int64_t now_us)
{
    vec_foreach(&b->list, one)
        if (!one->is_made && one->made_us <= now_us)
            make(b, one, now_us);
}

static bool is_there(const struct queue_bookings *b, const struct queue_booking *one,
                     queue_others_f others, const void *userdata)
{
    for (size_t i = 0; i < one->n_parts; i++) {
        const struct booking_part *part = &one->parts[i];
        uint64_t size = schedule_size(b->schedule, part->node);
        if (others(userdata, one->number, part->node) + part->milli > size)
            return false;
    }
    return true;
}

void queue_bookings_look(struct queue_bookings *b, int64_t now_us, queue_others_f others,
                         const void *userdata)
{
    vec_foreach(&b->list, one)
        if (one->n_parts > 0 && one->begin_us <= now_us && now_us < one->until_us &&
            one->honoured_us == INT64_MAX && is_there(b, one, others, userdata))
            one->honoured_us = now_us;
}
