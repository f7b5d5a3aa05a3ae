/* booked.c - what bookings mean for a pass: who keeps off machines, and who leaves them in time */
#include "placement/calendar.h"
#include "placement/entry.h"

#include "base/alloc.h"

#include <stdlib.h>

struct stays {
    struct stay *items; /* a vec */
    size_t len, cap;
};

struct booked {
    struct calendar *calendar;
    VEC(size_t) nodes;  /* of which something is kept, ascending */
    VEC(size_t) closed; /* for who is looked at */
    VEC(size_t) barred; /* for it, some of their GPUs */
    struct stays stays;
    uint64_t version;
    struct tenants there; /* whose stays they are */
    VEC(bool) leaves;
};

static bool is_within(const void *userdata, uint32_t group, uint32_t ancestor)
{
    return share_is_below(((const struct schedule *) userdata)->share, group, ancestor);
}

static struct booked *booked_new(struct schedule *s)
{
    struct booked *b = xnew(struct booked);

    b->calendar = calendar_new(&(const struct calendar_options){
        .notice_us = s->options.notice_us,
        .guaranteed_us = s->options.guaranteed_us,
        .is_within = is_within,
        .userdata = s,
    });
    return b;
}

void booked_free(struct booked *b)
{
    if (!b)
        return;
    calendar_free(b->calendar);
    vec_done(&b->nodes);
    vec_done(&b->closed);
    vec_done(&b->barred);
    vec_done(&b->stays);
    vec_done(&b->there);
    vec_done(&b->leaves);
    free(b);
}

static void find_nodes(struct schedule *s)
{
    struct booked *b = s->booked;

    b->nodes.len = 0;
    b->version++;
    for (size_t node = 0; node < capacity_len(s->capacity); node++)
        if (calendar_has(b->calendar, node))
            vec_push(&b->nodes, node);
}

void schedule_book(struct schedule *s, const struct booking *booking)
{
    if (!s->booked)
        s->booked = booked_new(s);
    calendar_add(s->booked->calendar, booking);
    find_nodes(s);
}

bool schedule_unbook(struct schedule *s, uint64_t id)
{
    if (!s->booked || !calendar_remove(s->booked->calendar, id))
        return false;
    find_nodes(s);
    return true;
}

const struct calendar *schedule_calendar(const struct schedule *s)
{
    return s->booked ? s->booked->calendar : NULL;
}

/* ---- who is on a machine ------------------------------------------------------------------------------ */

static bool is_part(const struct ask *ask)
{
    return ask->gpus > 0 && ask->gpu_milli < CAPACITY_GPU;
}

/* TASKS tasks of JOB are there from then on; if they have parts of GPUs, of these. Of which several have them is not known. */
static struct stay stay_from(const struct schedule *s, const struct schedule_job *job, size_t node,
                             unsigned tasks, uint32_t gpus, int64_t from_us)
{
    const struct room *size = capacity_size(s->capacity, node);
    struct ask ask = capacity_weigh(s->capacity, node, &job->ask);
    bool is_known = job->limit_us > 0 && job->limit_us < INT64_MAX - from_us;

    if (ask.gpus > 0 && gpus == 0)
        ask.gpu_milli = CAPACITY_GPU;
    return (struct stay){ .group = job->group,
                          .from_us = from_us,
                          .until_us = is_known ? from_us + job->limit_us : INT64_MAX,
                          .preemptible = job->preemptible,
                          .milli = booking_share(size, &ask, tasks),
                          .gpus = is_part(&job->ask) ? gpus : 0 };
}

static struct schedule_job job_of(const struct entry *entry)
{
    return (struct schedule_job){ .ask = *entry_ask(entry),
                                  .group = entry->line->group,
                                  .preemptible = entry->line->preemptible,
                                  .limit_us = entry->limit_us };
}

/* Who is cheaper to stop stands first. */
static int compare(const void *pa, const void *pb)
{
    const struct tenant *x = pa, *y = pb;
    const struct entry *a = x->entry, *b = y->entry;
    int64_t a_weight = entry_weight(a), b_weight = entry_weight(b);

    if (a_weight != b_weight)
        return a_weight < b_weight ? -1 : 1;
    if (a == b)
        return x->place < y->place ? -1 : x->place > y->place;
    return entry_is_before(b, a) ? -1 : entry_is_before(a, b);
}

/* Whose tasks are on the machine, and their stays in the same order. */
static void find_stays(const struct schedule *s, size_t node, struct tenants *there,
                       struct stays *ret)
{
    there->len = ret->len = 0;
    if (node < s->n_machines)
        vec_foreach(&s->machines[node], tenant)
            vec_push(there, *tenant);
    if (there->len > 1)
        qsort(there->items, there->len, sizeof *there->items, compare);
    vec_foreach(there, tenant) {
        const struct schedule_job job = job_of(tenant->entry);
        const struct stay stay =
            stay_from(s, &job, node, 1, tenant->place->gpus, tenant->entry->past->started_us);
        vec_push(ret, stay);
    }
}

static struct booking_node node_with(const struct schedule *s, size_t node,
                                     const struct stays *stays)
{
    const struct room *size = capacity_size(s->capacity, node);

    return (struct booking_node){ .milli = booking_size(size),
                                  .has_gpus = size->n_gpus > 0,
                                  .stays = stays->items,
                                  .n_stays = stays->len };
}

static struct booking_node node_of(struct schedule *s, size_t node)
{
    struct booked *b = s->booked;

    find_stays(s, node, &b->there, &b->stays);
    return node_with(s, node, &b->stays);
}

/* GPUs in ROOM of which JOB might have its part; 0: it asks for none, or there are none. */
static uint32_t gpus_for(const struct room *room, const struct schedule_job *job)
{
    uint32_t gpus = 0;

    for (unsigned i = 0; is_part(&job->ask) && i < room->n_gpus; i++)
        if (room->gpu[i] >= job->ask.gpu_milli)
            gpus |= 1u << i;
    return gpus;
}

/* Who wants to begin on a machine, and what is there for it. */
struct newcomer {
    const struct schedule_job *job;
    size_t node;
    unsigned tasks;
    const struct booking_node *there;
    const struct room *room; /* that is free */
    int64_t now_us;
};

/* The booking that keeps it off. A task alone that asks for a part of a GPU may have it of those that are not on *BARRED. NULL: none
 * does. */
static const struct booking *obstacle(const struct schedule *s, const struct newcomer *x,
                                      uint32_t *barred)
{
    const struct calendar *calendar = s->booked->calendar;
    uint32_t gpus = x->tasks == 1 ? gpus_for(x->room, x->job) : 0;
    const struct booking *found = NULL;

    *barred = 0;
    if (gpus == 0) {
        const struct stay stay = stay_from(s, x->job, x->node, x->tasks, 0, x->now_us);
        return calendar_obstacle(calendar, x->node, x->there, &stay);
    }
    for (uint32_t rest = gpus; rest; rest &= rest - 1) {
        uint32_t gpu = rest & -rest;
        const struct stay stay = stay_from(s, x->job, x->node, 1, gpu, x->now_us);
        const struct booking *b = calendar_obstacle(calendar, x->node, x->there, &stay);
        *barred |= b ? gpu : 0;
        found = b ? b : found;
    }
    return *barred == gpus ? found : NULL;
}

static const struct booking *obstacle_now(struct schedule *s, const struct schedule_job *job,
                                          size_t node, unsigned tasks, int64_t now_us,
                                          uint32_t *barred)
{
    const struct booking_node there = node_of(s, node);
    const struct newcomer newcomer = { job,   node, tasks, &there, capacity_room(s->capacity, node),
                                       now_us };

    return obstacle(s, &newcomer, barred);
}

const struct booking *schedule_obstacle(struct schedule *s, const struct schedule_job *job,
                                        size_t node, int64_t now_us)
{
    uint32_t barred;

    if (!s->booked || !calendar_has(s->booked->calendar, node))
        return NULL;
    return obstacle_now(s, job, node, 1, now_us, &barred);
}

static bool is_gone(const struct tenant *tenant, const struct taken *gone, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (gone[i].choice == tenant->place)
            return true;
    return false;
}

bool booked_lets(struct schedule *s, const struct entry *entry, size_t node,
                 const struct taken *gone, size_t n, int64_t now_us)
{
    struct booked *b = s->booked;
    const struct schedule_job job = job_of(entry);
    struct room room = *capacity_room(s->capacity, node);
    size_t stay = 0;
    uint32_t barred;

    find_stays(s, node, &b->there, &b->stays);
    for (size_t i = 0; i < b->there.len; i++)
        if (!is_gone(&b->there.items[i], gone, n))
            b->stays.items[stay++] = b->stays.items[i];
    b->stays.len = stay;
    for (size_t i = 0; i < n; i++)
        room_give(&room, gone[i].ask, gone[i].choice->gpus);
    const struct booking_node there = node_with(s, node, &b->stays);
    const struct newcomer newcomer = { &job, node, 1, &there, &room, now_us };
    return !obstacle(s, &newcomer, &barred);
}

uint32_t schedule_size(const struct schedule *s, size_t node)
{
    return booking_size(capacity_size(s->capacity, node));
}

int schedule_choose(struct schedule *s, const struct booking_wish *wish, const bool *would_do,
                    struct booking_part **ret, size_t *ret_n, struct error *err)
{
    size_t n = capacity_len(s->capacity);
    struct booking_node *nodes = xnew_n(struct booking_node, n + 1);
    struct stays *stays = xnew_n(struct stays, n + 1);
    struct tenants there = { 0 };

    if (!s->booked)
        s->booked = booked_new(s);
    for (size_t i = 0; i < n; i++) {
        find_stays(s, i, &there, &stays[i]);
        nodes[i] = node_with(s, i, &stays[i]);
        if (would_do ? !would_do[i] : capacity_is_closed(s->capacity, i))
            nodes[i].milli = 0;
    }
    int r = booking_choose(s->booked->calendar, nodes, n, wish, ret, ret_n, err);
    for (size_t i = 0; i < n; i++)
        vec_done(&stays[i]);
    free(stays);
    free(nodes);
    vec_done(&there);
    return r;
}

/* ---- a pass ------------------------------------------------------------------------------------------- */

void booked_look(struct schedule *s, int64_t now_us)
{
    if (!s->booked)
        return;
    const struct booked *b = s->booked;
    calendar_expire(b->calendar, now_us);
    for (size_t i = 0; i < b->nodes.len; i++)
        if (!calendar_has(b->calendar, b->nodes.items[i])) {
            find_nodes(s);
            return;
        }
}

/* Those of NODE that are to leave now are marked in LEAVES, by their place among its stays; false: nobody is. */
static bool who_leaves(struct booked *b, size_t node, const struct booking_node *there,
                       int64_t now_us)
{
    b->leaves.len = 0;
    for (size_t k = 0; k < there->n_stays; k++)
        vec_push(&b->leaves, false);
    return there->n_stays > 0 && calendar_leave(b->calendar, node, there, now_us, b->leaves.items);
}

void booked_leave(struct schedule *s, int64_t now_us, struct entries *ret)
{
    struct booked *b = s->booked;

    for (size_t i = 0; b && i < b->nodes.len; i++) {
        const struct booking_node node = node_of(s, b->nodes.items[i]);
        if (!who_leaves(b, b->nodes.items[i], &node, now_us))
            continue;
        for (size_t k = 0; k < node.n_stays; k++)
            if (b->leaves.items[k] && entry_runs(b->there.items[k].entry)) {
                entry_halt(s, b->there.items[k].entry);
                vec_push(ret, b->there.items[k].entry);
            }
    }
}

/* How many tasks of a gang may come to stand there, when what is free is all there is, or when others are stopped. */
static unsigned tasks_on(const struct schedule *s, const struct entry *entry, size_t node,
                         bool by_force)
{
    struct room room =
        by_force ? *capacity_size(s->capacity, node) : *capacity_room(s->capacity, node);
    bool is_apart = entry->line->demand->wish.apart && capacity_len(s->capacity) > 1;
    unsigned n = 0, max = is_apart ? 1 : entry_tasks(entry);

    while (n < max && room_holds(&room, entry_ask(entry))) {
        (void) room_take(&room, entry_ask(entry));
        n++;
    }
    return n;
}

/* NODE, that is booked from now or soon, as far as ENTRY may not have it. */
static void close_one(struct schedule *s, const struct entry *entry, size_t node, bool by_force,
                      int64_t now_us)
{
    const struct schedule_job job = job_of(entry);
    unsigned tasks = entry_tasks(entry) == 1 ? 1 : tasks_on(s, entry, node, by_force);
    uint32_t barred;

    if (capacity_is_closed(s->capacity, node) || tasks == 0)
        return;
    bool is_out = obstacle_now(s, &job, node, tasks, now_us, &barred);
    if (is_out || (by_force && barred)) {
        capacity_close(s->capacity, node, true);
        vec_push(&s->booked->closed, node);
    } else if (barred) {
        (void) capacity_bar(s->capacity, node, barred);
        vec_push(&s->booked->barred, node);
    }
}

bool booked_close(struct schedule *s, const struct entry *entry, bool by_force, int64_t now_us)
{
    const struct booked *b = s->booked;

    for (size_t i = 0; b && i < b->nodes.len; i++)
        close_one(s, entry, b->nodes.items[i], by_force, now_us);
    return b && b->closed.len + b->barred.len > 0;
}

size_t booked_closed(const struct schedule *s, const size_t **ret)
{
    *ret = s->booked ? s->booked->closed.items : NULL;
    return s->booked ? s->booked->closed.len : 0;
}

void booked_admit(struct schedule *s, const struct entry *entry, size_t node, int64_t now_us)
{
    const struct schedule_job job = job_of(entry);
    uint32_t barred;

    if (obstacle_now(s, &job, node, 1, now_us, &barred))
        return;
    capacity_close(s->capacity, node, false);
    (void) capacity_bar(s->capacity, node, barred);
    vec_push(&s->booked->barred, node);
}

void booked_open(struct schedule *s)
{
    for (size_t i = 0; s->booked && i < s->booked->closed.len; i++)
        capacity_close(s->capacity, s->booked->closed.items[i], false);
    for (size_t i = 0; s->booked && i < s->booked->barred.len; i++)
        (void) capacity_bar(s->capacity, s->booked->barred.items[i], 0);
    if (s->booked)
        s->booked->closed.len = s->booked->barred.len = 0;
}

static bool is_inside(const struct schedule *s, const struct entry *entry, size_t node,
                      int64_t now_us)
{
    const struct page *page = calendar_page(s->booked->calendar, node);

    if (!page)
        return false;
    vec_foreach(&page->entries, kept) {
        const struct booking *booking = kept->booking;
        if (booking->from_us <= now_us && now_us < booking->until_us &&
            share_is_below(s->share, entry->line->group, booking->group))
            return true;
    }
    return false;
}

bool booked_take(struct schedule *s, const struct entry *entry, struct choice *places,
                 int64_t now_us)
{
    const struct booked *b = s->booked;

    for (size_t i = 0; b && entry_tasks(entry) == 1 && i < b->nodes.len; i++) {
        size_t node = b->nodes.items[i];
        if (!is_inside(s, entry, node, now_us) || capacity_is_closed(s->capacity, node) ||
            !capacity_choose_on(s->capacity, entry_ask(entry), node, places))
            continue;
        capacity_take(s->capacity, entry_ask(entry), places);
        return true;
    }
    return false;
}

uint64_t booked_version(const struct schedule *s) { return s->booked ? s->booked->version : 0; }

int64_t booked_next_us(const struct schedule *s, int64_t now_us)
{
    return s->booked ? calendar_next_us(s->booked->calendar, now_us) : INT64_MAX;
}
