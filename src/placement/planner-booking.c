/* planner-booking.c - bookings of a planner: told by names of machines, which come and go */
#include "placement/planner-internal.h"

#include "base/alloc.h"

#include <errno.h>
#include <stdlib.h>

static void kept_done(struct kept *kept) { booking_places_free(kept->places, kept->n_places); }

void bookings_free(struct planner *p)
{
    vec_foreach(&p->bookings, kept)
        kept_done(kept);
    vec_done(&p->bookings);
}

/* The schedule knows machines by number. */
static void tell(struct planner *p, const struct kept *kept)
{
    _cleanup_free_ struct booking_part *parts = xnew_n(struct booking_part, kept->n_places + 1);
    struct booking booking = { kept->number, kept->group, kept->from_us, kept->until_us, parts, 0 };

    for (size_t i = 0; i < kept->n_places; i++) {
        struct booking_part *part = &parts[booking.n_parts];
        part->milli = kept->places[i].milli;
        booking.n_parts += host_find(&p->host, kept->places[i].node, &part->node);
    }
    (void) schedule_unbook(p->schedule, kept->number);
    if (booking.n_parts > 0)
        schedule_book(p->schedule, &booking);
}

void bookings_look(struct planner *p, const char *name)
{
    vec_foreach(&p->bookings, kept)
        for (size_t i = 0; i < kept->n_places; i++)
            if (str_equal(kept->places[i].node, name)) {
                tell(p, kept);
                break;
            }
}

static bool forget(struct planner *p, const struct id *booking)
{
    for (size_t i = 0; i < p->bookings.len; i++) {
        struct kept *kept = &p->bookings.items[i];
        if (!id_equal(&kept->id, booking))
            continue;
        (void) schedule_unbook(p->schedule, kept->number);
        kept_done(kept);
        vec_remove(&p->bookings, i);
        return true;
    }
    return false;
}

void planner_book(struct planner *p, const struct planner_booking *b)
{
    struct kept kept = { .number = ++p->last,
                         .id = b->id,
                         .group = planner_group_of(p, &b->org, &b->project, NULL),
                         .from_us = b->from_us,
                         .until_us = b->until_us,
                         .places = xnew_n(struct booking_place, b->n_places + 1),
                         .n_places = b->n_places };

    record_book(p->record, b);
    (void) forget(p, &b->id);
    for (size_t i = 0; i < b->n_places; i++)
        kept.places[i] = (struct booking_place){ xstrdup(b->places[i].node), b->places[i].milli };
    vec_push(&p->bookings, kept);
    tell(p, &p->bookings.items[p->bookings.len - 1]);
}

void planner_unbook(struct planner *p, const struct id *booking)
{
    if (forget(p, booking))
        record_unbook(p->record, booking);
}

/* 0: nothing is known of it. */
static uint32_t known_group(const struct planner *p, const struct id *project)
{
    return (uint32_t) (uintptr_t) map_get(p->groups, project->bytes, sizeof project->bytes);
}

/* A group of no job. */
static uint32_t nobody(const struct planner *p) { return share_len(schedule_shares(p->schedule)); }

/* ---- a new one ---------------------------------------------------------------------------------------- */

/* Are all its GPUs of MODEL? */
static bool is_of_model(const struct node *node, const char *model)
{
    unsigned n = 0;

    if (!model)
        return true;
    vec_foreach(&node->gpus, gpu) {
        if (gpu->fault)
            continue;
        if (!gpu_is_model(gpu, model))
            return false;
        n++;
    }
    return n > 0;
}

int planner_choose(struct planner *p, const struct planner_wish *wish, int64_t now_us,
                   struct booking_place **ret, size_t *ret_n, struct error *err)
{
    uint32_t group = known_group(p, &wish->project);
    const struct booking_wish one = { .group = group ? group : nobody(p),
                                      .now_us = now_us,
                                      .from_us = wish->from_us,
                                      .until_us = wish->until_us,
                                      .nodes = wish->nodes,
                                      .gpus = wish->gpus };
    _cleanup_free_ bool *would_do = xnew_n(bool, p->host.machines.len + 1);
    _cleanup_free_ struct booking_part *parts = NULL;
    size_t n = 0;

    for (size_t i = 0; i < p->host.machines.len; i++) {
        const struct node *node = p->host.machines.items[i].node;
        would_do[i] = node && !node->cordoned && !node->fault && is_of_model(node, wish->gpu_model);
    }
    int r = schedule_choose(p->schedule, &one, would_do, &parts, &n, err);
    if (r < 0)
        return r;
    struct booking_place *places = xnew_n(struct booking_place, n + 1);
    for (size_t i = 0; i < n; i++)
        places[i] =
            (struct booking_place){ xstrdup(p->host.machines.items[parts[i].node].node->name),
                                    parts[i].milli };
    *ret = places;
    *ret_n = n;
    return 0;
}

/* ---- machines that take no work ------------------------------------------------------------------------- */

bool planner_serves(const struct planner *p, const char *node)
{
    size_t i;

    if (!host_find(&p->host, node, &i))
        return false;
    const struct node *machine = p->host.machines.items[i].node;
    return !machine->cordoned && !machine->fault;
}

static unsigned gpus_of(uint32_t milli) { return (milli + CAPACITY_GPU - 1) / CAPACITY_GPU; }

/* As many of WISH's machines or GPUs as there are. Returns how many. */
static unsigned choose_most(struct planner *p, struct planner_wish wish, int64_t now_us,
                            struct booking_place **ret, size_t *ret_n)
{
    unsigned most = wish.gpus ? wish.gpus : (unsigned) wish.nodes, least = 0, n = most;

    *ret = NULL;
    for (*ret_n = 0; least < most; n = (least + most + 1) / 2) {
        struct booking_place *places;
        size_t n_places;
        if (wish.gpus)
            wish.gpus = n;
        else
            wish.nodes = n;
        if (planner_choose(p, &wish, now_us, &places, &n_places, NULL) < 0) {
            most = n - 1;
            continue;
        }
        booking_places_free(*ret, *ret_n);
        *ret = places;
        *ret_n = n_places;
        least = n;
    }
    return least;
}

struct place_list {
    struct booking_place *items; /* a vec */
    size_t len, cap;
};

static void add_place(struct place_list *list, const char *node, uint32_t milli)
{
    vec_foreach(list, place)
        if (str_equal(place->node, node)) {
            place->milli += milli;
            return;
        }
    vec_push(list, ((struct booking_place){ xstrdup(node), milli }));
}

/* What KEPT has, less so much of what takes no work: WHOLE machines, or GPUs. */
static size_t take_over(const struct planner *p, const struct kept *kept, bool whole, unsigned n,
                        struct place_list *ret)
{
    size_t broken = 0;

    for (size_t i = 0; i < kept->n_places; i++) {
        const struct booking_place *place = &kept->places[i];
        unsigned has = whole ? 1 : gpus_of(place->milli);
        if (planner_serves(p, place->node)) {
            add_place(ret, place->node, place->milli);
            continue;
        }
        unsigned gone = has < n ? has : n;
        n -= gone;
        if (gone == has)
            continue;
        broken++;
        add_place(ret, place->node, gone ? (has - gone) * CAPACITY_GPU : place->milli);
    }
    return broken;
}

size_t planner_mend(struct planner *p, const struct id *booking, const struct planner_wish *wish,
                    int64_t now_us, struct booking_place **ret, size_t *ret_n)
{
    const struct kept *kept = NULL;
    struct planner_wish missing = *wish;
    struct place_list list = { 0 };

    *ret = NULL;
    *ret_n = missing.nodes = missing.gpus = 0;
    vec_foreach(&p->bookings, one)
        if (id_equal(&one->id, booking))
            kept = one;
    for (size_t i = 0; kept && i < kept->n_places; i++)
        if (!planner_serves(p, kept->places[i].node)) {
            missing.nodes += wish->gpus == 0;
            missing.gpus += wish->gpus ? gpus_of(kept->places[i].milli) : 0;
        }
    if (missing.nodes == 0 && missing.gpus == 0)
        return 0;
    struct booking_place *others;
    size_t n_others;
    unsigned n = choose_most(p, missing, now_us, &others, &n_others);
    size_t broken = take_over(p, kept, wish->gpus == 0, n, &list);
    for (size_t i = 0; i < n_others; i++)
        add_place(&list, others[i].node, others[i].milli);
    booking_places_free(others, n_others);
    if (n > 0) {
        *ret = list.items;
        *ret_n = list.len;
    } else {
        booking_places_free(list.items, list.len);
    }
    return broken;
}

/* ---- who is kept out ---------------------------------------------------------------------------------- */

const struct id *planner_obstacle(struct planner *p, const struct planner_job *job,
                                  const char *node, int64_t now_us)
{
    struct terms wanted = { .shape = shape_of(job->spec, &job->org) };
    size_t machine;

    if (p->bookings.len == 0 || !host_find(&p->host, node, &machine))
        return NULL;
    wanted.shape.owner = job->org;
    struct terms *terms = terms_take(&p->host.terms, &wanted);
    const struct schedule_job one = planner_describe(job, terms, known_group(p, &job->project));
    const struct booking *obstacle = schedule_obstacle(p->schedule, &one, machine, now_us);
    terms_unref(&p->host.terms, terms);
    vec_foreach(&p->bookings, kept)
        if (obstacle && kept->number == obstacle->id)
            return &kept->id;
    return NULL;
}
