/* capacity.c - choices that look only at what changed
 *
 * Each shape of request has a view: the score of every machine for it. What was taken or given is written in a
 * ring of changes, and a view that is asked again reads what came since; one that is too far behind reads all.
 */
#include "placement/score.h"
#include "placement/table.h"

#include "base/alloc.h"
#include "base/text.h"
#include "base/vec.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    VIEWS_MAX = 256,  /* beyond these, the one that was asked longest ago goes */
    SEEN_MAX = 4096,  /* shapes that are counted */
    LEARN_FIRST = 16, /* requests; and then whenever their number doubled */
    BLOCK = 64,       /* machines whose best gain a view keeps */
    HOST_WORK = 8,    /* looks that a look of a host counts for */
};
#define BLOCK_STALE INT32_MAX

struct view {
    struct ask ask;
    int32_t *gains;      /* by machine; CAPACITY_NO_ROOM: it does not hold the request */
    int32_t *tops;       /* by block, the best of them; BLOCK_STALE: not known */
    size_t n;            /* machines it knows */
    uint64_t change;     /* changes it has read */
    uint64_t generation; /* of the deck */
    uint64_t used;       /* when it was asked last */
};

struct machine {
    struct room size, free;
    bool closed;
    uint32_t barred; /* bits: GPUs of which no parts are given */
};

struct capacity {
    const struct score *score;
    struct capacity_host host; /* without functions: rooms decide */
    VEC(struct machine) machines;
    struct room largest;
    VEC(char *) models;
    VEC(struct view *) views;
    uint32_t *ring; /* machines that changed, newest last */
    size_t ring_len;
    uint64_t changes; /* ever */
    uint64_t work;    /* ever */
    uint32_t *marks;  /* by machine: the last reading that looked at it */
    uint32_t reading;
    VEC(struct asked) seen;
    VEC(uint64_t) dealt; /* by shape seen: how often when the deck was cut */
    uint32_t left;       /* then */
    uint64_t n_seen, learn_at;
    uint64_t n_taken, n_given; /* tasks, ever */
    struct deck *deck;
    uint64_t generation, uses;
    struct locality *locality;
    enum level limit; /* machines outside of domain LIMIT_DOMAIN of it are not chosen */
    size_t limit_domain;
};

/* ---- rooms ----------------------------------------------------------------------------------------- */

static unsigned gpus_that_do(const struct room *room, const struct ask *ask)
{
    unsigned n = 0;

    for (unsigned i = 0; i < room->n_gpus; i++)
        n += room->gpu[i] >= ask->gpu_milli;
    return n;
}

bool room_equal(const struct room *a, const struct room *b)
{
    return a->cpu_milli == b->cpu_milli && a->memory_mib == b->memory_mib &&
           a->n_gpus == b->n_gpus && memcmp(a->gpu, b->gpu, a->n_gpus * sizeof *a->gpu) == 0 &&
           a->model == b->model && a->tasks == b->tasks;
}

bool ask_equal(const struct ask *a, const struct ask *b)
{
    return a->cpu_milli == b->cpu_milli && a->memory_mib == b->memory_mib && a->gpus == b->gpus &&
           a->gpu_milli == b->gpu_milli && a->models == b->models && a->terms == b->terms;
}

uint64_t ask_hash(const struct ask *ask)
{
    uint64_t hash =
        hash_mix(0, (uint64_t) (uint32_t) ask->cpu_milli << 32 | (uint32_t) ask->memory_mib);

    hash =
        hash_mix(hash, (uint64_t) ask->terms << 32 | (uint32_t) ask->gpus << 16 | ask->gpu_milli);
    return hash_mix(hash, ask->models);
}

bool ask_covers(const struct ask *more, const struct ask *less)
{
    if (more->cpu_milli < less->cpu_milli || more->memory_mib < less->memory_mib ||
        less->terms != more->terms)
        return false;
    if (less->gpus == 0)
        return true;
    if (less->models && (more->models == 0 || more->models & ~less->models))
        return false;
    return more->gpus >= less->gpus && more->gpu_milli >= less->gpu_milli;
}

bool room_holds(const struct room *room, const struct ask *ask)
{
    if (room->cpu_milli < ask->cpu_milli || room->memory_mib < ask->memory_mib)
        return false;
    if (ask->gpus == 0)
        return true;
    if (ask->models && !(ask->models & room->model))
        return false;
    return gpus_that_do(room, ask) >= ask->gpus;
}

static void room_use(struct room *room, const struct ask *ask, uint32_t gpus)
{
    room->cpu_milli -= ask->cpu_milli;
    room->memory_mib -= ask->memory_mib;
    room->tasks++;
    for (; gpus; gpus &= gpus - 1) {
        unsigned i = (unsigned) __builtin_ctz(gpus);
        room->gpu[i] = (uint16_t) (room->gpu[i] - ask->gpu_milli);
    }
}

static uint32_t tightest(const struct room *room, const struct ask *ask)
{
    uint32_t gpus = 0;

    for (unsigned n = 0; n < ask->gpus; n++) {
        unsigned best = CAPACITY_GPUS_MAX;
        for (unsigned i = 0; i < room->n_gpus; i++) {
            if (room->gpu[i] < ask->gpu_milli || gpus & 1u << i)
                continue;
            if (best == CAPACITY_GPUS_MAX || room->gpu[i] < room->gpu[best])
                best = i;
        }
        assert(best < CAPACITY_GPUS_MAX);
        gpus |= 1u << best;
    }
    return gpus;
}

uint32_t room_take(struct room *room, const struct ask *ask)
{
    uint32_t gpus = tightest(room, ask);

    room_use(room, ask, gpus);
    return gpus;
}

void room_give(struct room *room, const struct ask *ask, uint32_t gpus)
{
    room->cpu_milli += ask->cpu_milli;
    room->memory_mib += ask->memory_mib;
    room->tasks--;
    for (; gpus; gpus &= gpus - 1) {
        unsigned i = (unsigned) __builtin_ctz(gpus);
        room->gpu[i] = (uint16_t) (room->gpu[i] + ask->gpu_milli);
    }
}

static unsigned at_most(unsigned n, int64_t is_free, int64_t each)
{
    int64_t times = each > 0 ? is_free / each : n;

    return times < n ? (unsigned) times : n;
}

unsigned room_times(const struct room *room, const struct ask *ask, unsigned n)
{
    struct room rest = *room;
    unsigned count = 0;

    if (!room_holds(room, ask))
        return 0;
    n = at_most(n, room->cpu_milli, ask->cpu_milli);
    n = at_most(n, room->memory_mib, ask->memory_mib);
    if (ask->gpus == 0)
        return n;
    for (; count < n && room_holds(&rest, ask); count++)
        (void) room_take(&rest, ask);
    return count;
}

bool capacity_holds(const struct capacity *c, size_t node, const struct ask *ask,
                    const struct taken *without, size_t n)
{
    if (c->host.holds)
        return c->host.holds(c->host.userdata, node, ask, without, n);
    struct room room = c->machines.items[node].free;
    for (size_t i = 0; i < n; i++)
        room_give(&room, without[i].ask, without[i].choice->gpus);
    return room_holds(&room, ask);
}

bool capacity_could(const struct capacity *c, size_t node, const struct ask *ask)
{
    return room_holds(&c->machines.items[node].size, ask) &&
           (!c->host.could || c->host.could(c->host.userdata, node, ask));
}

/* ---- views ----------------------------------------------------------------------------------------- */

static int32_t gain_with(struct capacity *c, const struct room *before, const struct ask *ask,
                         uint32_t gpus)
{
    struct room after = *before;

    room_use(&after, ask, gpus);
    return c->score->gain(c->deck, &c->largest, before, &after);
}

/* GPUs that ASK may have its part of, and how much is left of them; of others nothing. */
static struct room shareable(struct capacity *c, size_t node, const struct ask *ask)
{
    struct room room = c->machines.items[node].free;
    uint32_t may = c->host.may_share ? c->host.may_share(c->host.userdata, node, ask) : UINT32_MAX;

    may &= ~c->machines.items[node].barred;
    for (unsigned i = 0; i < room.n_gpus; i++)
        if (!(may & 1u << i))
            room.gpu[i] = 0;
    return room;
}

/* A part of a GPU may come from any that has enough: of those with equally much left one is looked at. */
static int32_t best_part(struct capacity *c, size_t node, const struct ask *ask, uint32_t *ret)
{
    const struct room *before = &c->machines.items[node].free;
    const struct room room = shareable(c, node, ask);
    int32_t best = CAPACITY_NO_ROOM;
    uint16_t looked = (uint16_t) (ask->gpu_milli - 1);

    for (;;) {
        unsigned next = CAPACITY_GPUS_MAX;
        for (unsigned i = 0; i < room.n_gpus; i++)
            if (room.gpu[i] > looked && (next == CAPACITY_GPUS_MAX || room.gpu[i] < room.gpu[next]))
                next = i;
        if (next == CAPACITY_GPUS_MAX)
            return best;
        looked = room.gpu[next];
        int32_t gain = gain_with(c, before, ask, 1u << next);
        if (gain > best) {
            best = gain;
            *ret = 1u << next;
        }
    }
}

/* The best gain of ASK on machine NODE, which holds it, and with which GPUs. */
static int32_t best_gain(struct capacity *c, size_t node, const struct ask *ask, uint32_t *ret)
{
    const struct room *room = &c->machines.items[node].free;

    if (ask->gpus == 1 && ask->gpu_milli < CAPACITY_GPU)
        return best_part(c, node, ask, ret);
    *ret = tightest(room, ask);
    return gain_with(c, room, ask, *ret);
}

static void look_at(struct capacity *c, struct view *view, size_t i)
{
    int32_t *top = &view->tops[i / BLOCK], before = view->gains[i];
    uint32_t gpus;

    c->work += c->host.holds ? HOST_WORK : 1;
    view->gains[i] = !c->machines.items[i].closed && capacity_holds(c, i, &view->ask, NULL, 0)
                         ? best_gain(c, i, &view->ask, &gpus)
                         : CAPACITY_NO_ROOM;
    if (view->gains[i] >= *top)
        *top = view->gains[i];
    else if (before == *top)
        *top = BLOCK_STALE;
}

static size_t blocks_of(size_t n) { return (n + BLOCK - 1) / BLOCK; }

static void look_at_all(struct capacity *c, struct view *view)
{
    view->n = c->machines.len;
    view->gains = xrealloc(view->gains, view->n * sizeof *view->gains);
    view->tops = xrealloc(view->tops, blocks_of(view->n) * sizeof *view->tops);
    for (size_t i = 0; i < blocks_of(view->n); i++)
        view->tops[i] = CAPACITY_NO_ROOM;
    for (size_t i = 0; i < view->n; i++) {
        view->gains[i] = CAPACITY_NO_ROOM;
        look_at(c, view, i);
    }
}

static void look_at_changes(struct capacity *c, struct view *view)
{
    c->reading++;
    for (uint64_t at = c->changes; at > view->change; at--) {
        uint32_t i = c->ring[(at - 1) % c->ring_len];
        if (c->marks[i] == c->reading)
            continue;
        c->marks[i] = c->reading;
        look_at(c, view, i);
    }
}

static void look(struct capacity *c, struct view *view)
{
    if (view->n != c->machines.len || view->generation != c->generation ||
        c->changes - view->change > c->ring_len)
        look_at_all(c, view);
    else
        look_at_changes(c, view);
    view->change = c->changes;
    view->generation = c->generation;
    view->used = ++c->uses;
}

static struct view *view_of(struct capacity *c, const struct ask *ask)
{
    struct view *oldest = NULL;

    vec_foreach(&c->views, view) {
        if (ask_equal(&(*view)->ask, ask))
            return *view;
        if (!oldest || (*view)->used < oldest->used)
            oldest = *view;
    }
    struct view *view = oldest;
    if (!view || c->views.len < VIEWS_MAX) {
        view = xnew(struct view);
        vec_push(&c->views, view);
    }
    view->ask = *ask;
    view->n = 0;
    return view;
}

/* ---- the capacity ---------------------------------------------------------------------------------- */

struct capacity *capacity_new(const struct score *score)
{
    struct capacity *c = xnew(struct capacity);

    c->score = score;
    c->learn_at = LEARN_FIRST;
    c->locality = locality_new();
    return c;
}

struct ask capacity_weigh(const struct capacity *c, size_t node, const struct ask *ask)
{
    return c->host.weigh ? c->host.weigh(c->host.userdata, node, ask) : *ask;
}

void capacity_set_host(struct capacity *c, const struct capacity_host *host) { c->host = *host; }

void capacity_free(struct capacity *c)
{
    if (!c)
        return;
    vec_foreach(&c->views, view) {
        free((*view)->gains);
        free((*view)->tops);
        free(*view);
    }
    vec_foreach(&c->models, model)
        free(*model);
    vec_done(&c->views);
    vec_done(&c->models);
    vec_done(&c->machines);
    vec_done(&c->seen);
    vec_done(&c->dealt);
    deck_free(c->deck);
    locality_free(c->locality);
    free(c->ring);
    free(c->marks);
    free(c);
}

uint64_t capacity_model(struct capacity *c, const char *name)
{
    for (size_t i = 0; i < c->models.len; i++)
        if (str_equal(c->models.items[i], name))
            return UINT64_C(1) << i;
    if (c->models.len == CAPACITY_MODELS_MAX)
        return 0;
    vec_push(&c->models, xstrdup(name));
    return UINT64_C(1) << (c->models.len - 1);
}

static void enlarge(struct capacity *c, const struct room *size)
{
    struct room *largest = &c->largest;
    const struct room before = *largest;

    if (size->cpu_milli > largest->cpu_milli)
        largest->cpu_milli = size->cpu_milli;
    if (size->memory_mib > largest->memory_mib)
        largest->memory_mib = size->memory_mib;
    if (size->n_gpus > largest->n_gpus)
        largest->n_gpus = size->n_gpus;
    for (unsigned i = 0; i < largest->n_gpus; i++)
        largest->gpu[i] = CAPACITY_GPU;
    /* Scores are in proportion to it. */
    c->generation += largest->cpu_milli != before.cpu_milli ||
                     largest->memory_mib != before.memory_mib || largest->n_gpus != before.n_gpus;
}

size_t capacity_add(struct capacity *c, const struct room *size)
{
    struct machine machine = { .size = *size, .free = *size };

    vec_push(&c->machines, machine);
    locality_grow(c->locality, c->machines.len);
    enlarge(c, size);
    if (c->machines.cap > c->ring_len) {
        c->ring_len = c->machines.cap;
        c->ring = xrealloc(c->ring, c->ring_len * sizeof *c->ring);
        c->marks = xrealloc(c->marks, c->ring_len * sizeof *c->marks);
        memset(c->marks, 0, c->ring_len * sizeof *c->marks);
        c->reading = 0;
    }
    c->generation++; /* what was largest may have changed, and the ring is another */
    return c->machines.len - 1;
}

size_t capacity_len(const struct capacity *c) { return c->machines.len; }

uint64_t capacity_changes(const struct capacity *c) { return c->changes + c->machines.len; }

uint64_t capacity_work(const struct capacity *c) { return c->work; }

void capacity_worked(struct capacity *c, uint64_t work) { c->work += work; }

const struct room *capacity_room(const struct capacity *c, size_t node)
{
    assert(node < c->machines.len);
    return &c->machines.items[node].free;
}

const struct room *capacity_size(const struct capacity *c, size_t node)
{
    assert(node < c->machines.len);
    return &c->machines.items[node].size;
}

static void changed(struct capacity *c, size_t node)
{
    c->ring[c->changes++ % c->ring_len] = (uint32_t) node;
}

void capacity_close(struct capacity *c, size_t node, bool closed)
{
    assert(node < c->machines.len);
    c->machines.items[node].closed = closed;
    changed(c, node);
}

uint32_t capacity_bar(struct capacity *c, size_t node, uint32_t gpus)
{
    assert(node < c->machines.len);
    uint32_t before = c->machines.items[node].barred;

    c->machines.items[node].barred = gpus;
    if (before != gpus)
        changed(c, node);
    return before;
}

uint32_t capacity_shares(struct capacity *c, size_t node, const struct ask *ask)
{
    uint32_t gpus = 0;

    if (ask->gpus != 1 || ask->gpu_milli >= CAPACITY_GPU || c->machines.items[node].closed ||
        !capacity_holds(c, node, ask, NULL, 0))
        return 0;
    const struct room room = shareable(c, node, ask);
    for (unsigned i = 0; i < room.n_gpus; i++)
        if (room.gpu[i] >= ask->gpu_milli && room.gpu[i] < CAPACITY_GPU)
            gpus |= 1u << i;
    return gpus;
}

bool capacity_is_closed(const struct capacity *c, size_t node)
{
    assert(node < c->machines.len);
    if (c->machines.items[node].closed || c->limit == LEVEL_ALL)
        return c->machines.items[node].closed;
    return locality_domain_at(c->locality, c->limit, locality_at(c->locality, node)) !=
           c->limit_domain;
}

void capacity_stand(struct capacity *c, size_t node, const struct spot *spot)
{
    locality_stand(c->locality, node, spot);
}

struct locality *capacity_locality(const struct capacity *c) { return c->locality; }

void capacity_limit(struct capacity *c, enum level level, size_t domain)
{
    c->limit = level;
    c->limit_domain = domain;
}

struct stretch capacity_limits(const struct capacity *c)
{
    return c->limit == LEVEL_ALL ? (struct stretch){ 0, c->machines.len }
                                 : locality_range(c->locality, c->limit, c->limit_domain);
}

void capacity_set(struct capacity *c, size_t node, const struct room *size, const struct room *free)
{
    assert(node < c->machines.len);
    c->machines.items[node].size = *size;
    c->machines.items[node].free = *free;
    enlarge(c, size);
    changed(c, node);
}

static struct asked *asked_of(struct capacity *c, const struct ask *ask)
{
    vec_foreach(&c->seen, asked)
        if (ask_equal(&asked->ask, ask))
            return asked;
    if (c->seen.len == SEEN_MAX)
        return NULL;
    vec_push(&c->seen, ((struct asked){ .ask = *ask }));
    return &c->seen.items[c->seen.len - 1];
}

void capacity_learn(struct capacity *c, const struct ask *ask)
{
    struct ask numbers = *ask; /* what is usually asked for has no terms */

    numbers.terms = 0;
    struct asked *asked = c->score->learns ? asked_of(c, &numbers) : NULL;

    if (!asked)
        return;
    asked->times++;
    if (++c->n_seen < c->learn_at)
        return;
    c->learn_at *= 2;
    c->left = c->n_taken ? (uint32_t) (c->n_given * 1000 / c->n_taken) : 0;
    c->dealt.len = 0;
    vec_foreach(&c->seen, one)
        vec_push(&c->dealt, one->times);
    deck_free(c->deck);
    c->deck = deck_new(c->seen.items, c->seen.len, c->left);
    c->generation++;
}

void capacity_memory_done(struct capacity_memory *memory) { vec_done(&memory->shapes); }

void capacity_remember(const struct capacity *c, struct capacity_memory *ret)
{
    *ret = (struct capacity_memory){ .n_taken = c->n_taken,
                                     .n_given = c->n_given,
                                     .left = c->left,
                                     .cpu_milli = c->largest.cpu_milli,
                                     .memory_mib = c->largest.memory_mib,
                                     .n_gpus = c->largest.n_gpus };
    for (size_t i = 0; i < c->seen.len; i++) {
        const struct capacity_shape shape = { c->seen.items[i].ask, c->seen.items[i].times,
                                              i < c->dealt.len ? c->dealt.items[i] : 0 };
        vec_push(&ret->shapes, shape);
    }
}

static void cut_again(struct capacity *c)
{
    _cleanup_free_ struct asked *dealt = xnew_n(struct asked, c->seen.len + 1);

    for (size_t i = 0; i < c->seen.len; i++)
        dealt[i] = (struct asked){ c->seen.items[i].ask, c->dealt.items[i] };
    deck_free(c->deck);
    c->deck = deck_new(dealt, c->seen.len, c->left);
    c->generation++;
}

void capacity_recall(struct capacity *c, const struct capacity_memory *memory)
{
    const struct room size = { .cpu_milli = memory->cpu_milli,
                               .memory_mib = memory->memory_mib,
                               .n_gpus = memory->n_gpus };

    enlarge(c, &size);
    c->n_taken = memory->n_taken;
    c->n_given = memory->n_given;
    c->left = memory->left;
    c->seen.len = c->dealt.len = 0;
    c->n_seen = 0;
    c->learn_at = LEARN_FIRST;
    vec_foreach(&memory->shapes, shape) {
        vec_push(&c->seen, ((struct asked){ shape->ask, shape->times }));
        vec_push(&c->dealt, shape->dealt);
        c->n_seen += shape->times;
    }
    while (c->learn_at <= c->n_seen)
        c->learn_at *= 2;
    cut_again(c);
}

const int32_t *capacity_gains(struct capacity *c, const struct ask *ask)
{
    struct view *view = view_of(c, ask);

    look(c, view);
    return view->gains;
}

static int32_t top_of(struct view *view, size_t block)
{
    size_t end = (block + 1) * BLOCK < view->n ? (block + 1) * BLOCK : view->n;
    int32_t top = CAPACITY_NO_ROOM;

    if (view->tops[block] != BLOCK_STALE)
        return view->tops[block];
    for (size_t i = block * BLOCK; i < end; i++)
        top = view->gains[i] > top ? view->gains[i] : top;
    return view->tops[block] = top;
}

/* The first of the best of all machines; their number: none holds it. */
static size_t best_of_all(struct view *view)
{
    int32_t best = CAPACITY_NO_ROOM;
    size_t block = 0, at;

    for (size_t i = 0; i < blocks_of(view->n); i++)
        if (top_of(view, i) > best) {
            best = view->tops[i];
            block = i;
        }
    if (best == CAPACITY_NO_ROOM)
        return view->n;
    for (at = block * BLOCK; view->gains[at] != best; at++)
        ;
    return at;
}

static size_t best_in_limits(struct capacity *c, const int32_t *gains)
{
    const uint32_t *order = locality_order(c->locality);
    struct stretch range = capacity_limits(c);
    int32_t best = CAPACITY_NO_ROOM;
    size_t node = c->machines.len;

    for (size_t at = range.first; at < range.end; at++) {
        uint32_t i = order[at];
        if (gains[i] > best || (gains[i] == best && i < node && best != CAPACITY_NO_ROOM)) {
            best = gains[i];
            node = i;
        }
    }
    return node;
}

bool capacity_choose(struct capacity *c, const struct ask *ask, struct choice *ret)
{
    struct view *view = view_of(c, ask);

    look(c, view);
    c->work += blocks_of(view->n) / BLOCK + 1;
    size_t node = c->limit == LEVEL_ALL ? best_of_all(view) : best_in_limits(c, view->gains);
    if (node == c->machines.len)
        return false;
    *ret = (struct choice){ .node = node };
    (void) best_gain(c, node, ask, &ret->gpus);
    return true;
}

bool capacity_choose_on(struct capacity *c, const struct ask *ask, size_t node, struct choice *ret)
{
    const struct machine *m = &c->machines.items[node];

    if (m->closed || !capacity_holds(c, node, ask, NULL, 0))
        return false;
    *ret = (struct choice){ .node = node };
    return best_gain(c, node, ask, &ret->gpus) != CAPACITY_NO_ROOM;
}

void capacity_take(struct capacity *c, const struct ask *ask, struct choice *choice)
{
    assert(choice->node < c->machines.len);
    if (c->host.take)
        c->machines.items[choice->node].free = c->host.take(c->host.userdata, ask, choice);
    else
        room_use(&c->machines.items[choice->node].free, ask, choice->gpus);
    c->n_taken++;
    changed(c, choice->node);
}

void capacity_give(struct capacity *c, const struct ask *ask, const struct choice *choice)
{
    assert(choice->node < c->machines.len);
    if (c->host.give)
        c->machines.items[choice->node].free = c->host.give(c->host.userdata, choice);
    else
        room_give(&c->machines.items[choice->node].free, ask, choice->gpus);
    c->n_given++;
    changed(c, choice->node);
}
