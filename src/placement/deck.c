/* deck.c - what is usually asked for, as cards in proportion, and what a machine makes of them */
#include "placement/score.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

enum {
    STREAM_LEN = 24,
    CARDS = DECK_STREAMS * STREAM_LEN,
    MEMO_BITS = 17, /* of yields that are remembered */
};

struct memo {
    uint64_t key; /* 0: none */
    int32_t yield;
};

/* Four cards side by side, as the compiler's vectors want them. */
typedef int32_t lanes __attribute__((vector_size(16)));
enum { LANES = 4, ROWS = STREAM_LEN / LANES };

struct stream {
    lanes cpu_milli[ROWS], memory_mib[ROWS], gpu_milli[ROWS];
    struct ask cards[STREAM_LEN];
};

struct deck {
    struct stream streams[DECK_STREAMS];
    struct ask smallest;     /* nothing that a machine cannot take of this fits at all */
    struct asked shapes[64]; /* the most asked for */
    size_t n_shapes;
    uint64_t n_asked; /* of these shapes, together */
    uint32_t left;
    uint32_t whole[CAPACITY_GPUS_MAX + 1]; /* by GPUs of a machine: deck_whole() */
    uint64_t marks[CAPACITY_GPU + 1];      /* a random number for each rest of a GPU */
    struct memo memo[1 << MEMO_BITS];
};

/* Steele, Lea, Flood: "Fast splittable pseudorandom number generators" (OOPSLA'14). */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void shuffle(struct ask *cards, size_t n, uint64_t *state)
{
    for (size_t i = n - 1; i > 0; i--) {
        size_t other = next_random(state) % (i + 1);
        struct ask card = cards[i];
        cards[i] = cards[other];
        cards[other] = card;
    }
}

static int compare_fields(int64_t a, int64_t b) { return a < b ? -1 : a > b; }

/* Most asked for first; a total order, whatever order they came in. */
static int compare_asked(const void *pa, const void *pb)
{
    const struct asked *a = pa, *b = pb;
    int r = -compare_fields((int64_t) a->times, (int64_t) b->times);

    r = r ? r : compare_fields(a->ask.gpus, b->ask.gpus);
    r = r ? r : compare_fields(a->ask.gpu_milli, b->ask.gpu_milli);
    r = r ? r : compare_fields(a->ask.cpu_milli, b->ask.cpu_milli);
    r = r ? r : compare_fields(a->ask.memory_mib, b->ask.memory_mib);
    return r ? r : compare_fields((int64_t) a->ask.models, (int64_t) b->ask.models);
}

/* Card I stands for the request that comes after the share (2I + 1) / (2 CARDS) of all. */
static void deal(struct ask *cards, const struct asked *asked, uint64_t total)
{
    uint64_t passed = 0, state = 1;
    size_t shape = 0;

    for (size_t i = 0; i < CARDS; i++) {
        while ((passed + asked[shape].times) * 2 * CARDS <= (2 * i + 1) * total)
            passed += asked[shape++].times;
        struct ask *card = &cards[i % DECK_STREAMS * STREAM_LEN + i / DECK_STREAMS];
        *card = asked[shape].ask;
        if (card->models == 0)
            card->models = UINT64_MAX;
    }
    for (size_t i = 0; i < DECK_STREAMS; i++)
        shuffle(cards + i * STREAM_LEN, STREAM_LEN, &state);
}

static void cut(struct stream *stream, const struct ask *cards)
{
    memcpy(stream->cards, cards, sizeof stream->cards);
    for (size_t i = 0; i < STREAM_LEN; i++) {
        stream->cpu_milli[i / LANES][i % LANES] = cards[i].cpu_milli;
        stream->memory_mib[i / LANES][i % LANES] = cards[i].memory_mib;
        stream->gpu_milli[i / LANES][i % LANES] = cards[i].gpu_milli;
    }
}

static void find_smallest(const struct ask *cards, struct ask *least)
{
    *least = cards[0];
    for (size_t i = 1; i < CARDS; i++) {
        const struct ask *card = &cards[i];
        if (card->cpu_milli < least->cpu_milli)
            least->cpu_milli = card->cpu_milli;
        if (card->memory_mib < least->memory_mib)
            least->memory_mib = card->memory_mib;
        if (card->gpu_milli < least->gpu_milli)
            least->gpu_milli = card->gpu_milli;
    }
    least->gpus = 1;
    least->models = UINT64_MAX;
}

/* Requests for one GPU or parts of it break nothing that they do not need. */
static void find_whole(struct deck *deck, const struct asked *asked, size_t n)
{
    uint64_t whole[CAPACITY_GPUS_MAX + 1] = { 0 }, all = 0;

    for (size_t i = 0; i < n; i++) {
        const struct ask *ask = &asked[i].ask;
        uint64_t milli = (uint64_t) ask->gpus * ask->gpu_milli * asked[i].times;
        all += milli;
        for (unsigned size = ask->gpus; size < 2u * ask->gpus && size <= CAPACITY_GPUS_MAX; size++)
            whole[size] += ask->gpus > 1 ? milli : 0;
    }
    for (unsigned size = 0; size <= CAPACITY_GPUS_MAX; size++)
        deck->whole[size] = (uint32_t) (whole[size] * 1000 / all);
}

uint32_t deck_whole(const struct deck *deck, unsigned n_gpus) { return deck->whole[n_gpus]; }

uint32_t deck_left(const struct deck *deck) { return deck->left; }

struct deck *deck_new(const struct asked *asked, size_t n, uint32_t left)
{
    _cleanup_free_ struct asked *with_gpus = xnew_n(struct asked, n + 1);
    uint64_t total = 0;
    size_t len = 0;

    for (size_t i = 0; i < n; i++) {
        if (asked[i].ask.gpus == 0 || asked[i].times == 0)
            continue;
        with_gpus[len++] = asked[i];
        total += asked[i].times;
    }
    if (len == 0)
        return NULL;
    qsort(with_gpus, len, sizeof *with_gpus, compare_asked);

    _cleanup_free_ struct ask *cards = xnew_n(struct ask, CARDS);
    struct deck *deck = xnew(struct deck);
    deal(cards, with_gpus, total);
    find_smallest(cards, &deck->smallest);
    find_whole(deck, with_gpus, len);
    deck->left = left;
    for (size_t i = 0; i < DECK_STREAMS; i++)
        cut(&deck->streams[i], cards + i * STREAM_LEN);
    uint64_t state = 2;
    for (size_t i = 0; i <= CAPACITY_GPU; i++)
        deck->marks[i] = next_random(&state);
    deck->n_shapes = len < 64 ? len : 64;
    memcpy(deck->shapes, with_gpus, deck->n_shapes * sizeof *with_gpus);
    for (size_t i = 0; i < deck->n_shapes; i++)
        deck->n_asked += with_gpus[i].times;
    return deck;
}

void deck_free(struct deck *deck) { free(deck); }

static uint64_t mix(uint64_t h, uint64_t x)
{
    h = (h ^ x) * 0x9e3779b97f4a7c15u;
    return h ^ (h >> 29);
}

/* The same for rooms that differ in the order of their GPUs alone. */
static uint64_t key_of(const struct deck *deck, const struct room *room)
{
    uint64_t h = 0;

    for (unsigned i = 0; i < room->n_gpus; i++)
        h += deck->marks[room->gpu[i]];
    h = mix(h + room->n_gpus, (uint64_t) room->cpu_milli << 32 | (uint32_t) room->memory_mib);
    h = mix(h, room->model);
    return h ? h : 1;
}

/* A room whose GPUs are in order, least free first: what fits is seen by looking at one of them. */
struct jar {
    int32_t cpu_milli, memory_mib;
    unsigned end; /* of the GPUs in GPU */
    uint64_t model;
    /* Behind as many that have nothing left, so that who asks for more GPUs than there are meets one of these. */
    uint16_t gpu[2 * CAPACITY_GPUS_MAX];
};

static bool jar_holds(const struct jar *jar, const struct ask *card)
{
    return jar->cpu_milli >= card->cpu_milli && jar->memory_mib >= card->memory_mib &&
           jar->gpu[jar->end - card->gpus] >= card->gpu_milli && (card->models & jar->model);
}

/* The cards that would fit if each asked for one GPU of any model, as bits. Every other one does, at random: a branch a
 * card costs more than looking at all. */
static uint32_t jar_look(const struct jar *jar, const struct stream *stream)
{
    lanes cpu_milli = jar->cpu_milli - (lanes){ 0 }, memory_mib = jar->memory_mib - (lanes){ 0 };
    lanes gpu_milli = jar->gpu[jar->end - 1] - (lanes){ 0 };
    lanes bits = { 1, 2, 4, 8 }, found = { 0 };

    for (size_t i = 0; i < ROWS; i++, bits *= 1 << LANES)
        found |= (stream->cpu_milli[i] <= cpu_milli) & (stream->memory_mib[i] <= memory_mib) &
                 (stream->gpu_milli[i] <= gpu_milli) & bits;
    return (uint32_t) (found[0] | found[1] | found[2] | found[3]);
}

/* Of the GPUs from position I on, COUNT are less than they were: move them to where they belong. What stands
 * before the first is nothing, so the search ends there. */
static void jar_sort(struct jar *jar, unsigned i, unsigned count)
{
    for (unsigned end = i + count; i < end; i++) {
        uint16_t gpu = jar->gpu[i];
        unsigned at = i;
        for (; jar->gpu[at - 1] > gpu; at--)
            jar->gpu[at] = jar->gpu[at - 1];
        jar->gpu[at] = gpu;
    }
}

static void jar_take(struct jar *jar, const struct ask *ask)
{
    unsigned first = CAPACITY_GPUS_MAX;

    while (jar->gpu[first] < ask->gpu_milli)
        first++;
    jar->cpu_milli -= ask->cpu_milli;
    jar->memory_mib -= ask->memory_mib;
    for (unsigned i = first; i < first + ask->gpus; i++)
        jar->gpu[i] = (uint16_t) (jar->gpu[i] - ask->gpu_milli);
    jar_sort(jar, first, ask->gpus);
}

static int32_t fill_from(struct jar *jar, const struct stream *stream)
{
    uint32_t fits = jar_look(jar, stream), later = UINT32_MAX;
    int32_t taken = 0;

    /* What fits becomes less with each card that is taken in; how much less is looked at when one no longer does. */
    while ((fits &= later)) {
        unsigned i = (unsigned) __builtin_ctz(fits);
        const struct ask *card = &stream->cards[i];
        later = (UINT32_MAX - 1) << i;
        if (!jar_holds(jar, card)) {
            fits = jar_look(jar, stream);
            continue;
        }
        jar_take(jar, card);
        taken += card->gpus * card->gpu_milli;
    }
    return taken;
}

static int32_t fill(const struct deck *deck, const struct room *room)
{
    struct jar full = { .cpu_milli = room->cpu_milli,
                        .memory_mib = room->memory_mib,
                        .end = CAPACITY_GPUS_MAX + room->n_gpus,
                        .model = room->model };
    int32_t taken = 0;

    memcpy(full.gpu + CAPACITY_GPUS_MAX, room->gpu, room->n_gpus * sizeof *room->gpu);
    jar_sort(&full, CAPACITY_GPUS_MAX, room->n_gpus);
    for (size_t i = 0; i < DECK_STREAMS; i++) {
        struct jar jar = full;
        taken += fill_from(&jar, &deck->streams[i]);
    }
    return taken;
}

int32_t deck_yield(struct deck *deck, const struct room *room)
{
    if (!room_holds(room, &deck->smallest))
        return 0;
    uint64_t key = key_of(deck, room);
    struct memo *memo = &deck->memo[key >> (64 - MEMO_BITS)];
    if (memo->key != key)
        *memo = (struct memo){ .key = key, .yield = fill(deck, room) };
    return memo->yield;
}

int32_t deck_fragmentation(const struct deck *deck, const struct room *room)
{
    uint64_t sum = 0;

    for (size_t s = 0; s < deck->n_shapes; s++) {
        const struct ask *ask = &deck->shapes[s].ask;
        bool holds = room_holds(room, ask);
        uint64_t lost = 0;
        for (unsigned i = 0; i < room->n_gpus; i++)
            lost += !holds || room->gpu[i] < ask->gpu_milli ? room->gpu[i] : 0;
        sum += lost * deck->shapes[s].times;
    }
    return (int32_t) (sum / deck->n_asked);
}
