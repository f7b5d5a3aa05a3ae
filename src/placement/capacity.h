/* capacity.h - what is free on every machine, kept from one decision to the next
 *
 * It is taken from and given back to; nothing is built anew for a decision. A choice for a shape of
 * request that was chosen for before looks only at the machines that changed since. Everything here is numbers:
 * which cores of a machine a task gets is fit.c's.
 *
 * Integers only. Of equal places the machine that was added first is chosen, and there the GPU that has least
 * left: the same calls always give the same answers.
 */
#ifndef PLACEMENT_CAPACITY_H
#define PLACEMENT_CAPACITY_H

#include "base/cleanup.h"
#include "base/vec.h"
#include "placement/locality.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CAPACITY_GPUS_MAX = 16,   /* of a machine */
    CAPACITY_MODELS_MAX = 64, /* names of GPUs that are told apart */
    CAPACITY_GPU = 1000,      /* a whole GPU, in thousandths */
};

/* A machine's size, or what is free of it. */
struct room {
    int32_t cpu_milli;
    int32_t memory_mib;
    uint16_t n_gpus;
    uint16_t gpu[CAPACITY_GPUS_MAX]; /* thousandths, by position */
    uint64_t model;                  /* one bit, of capacity_model(); 0: it has no GPU */
    uint32_t tasks;                  /* that are there */
};

/* What a task asks of a machine. Tasks that ask for the same are of one shape. */
struct ask {
    int32_t cpu_milli;
    int32_t memory_mib;
    uint16_t gpus;
    uint16_t gpu_milli; /* of each; CAPACITY_GPU: all of it */
    uint64_t models;    /* bits that would do; 0: any */
    uint32_t terms;     /* what else is asked, known by the host; 0: nothing */
};

struct choice {
    size_t node;
    uint32_t gpus; /* bits: positions on the machine */
    void *grant;   /* what the host gave there exactly; the host's. NULL: nothing yet */
};

/* What a task has. */
struct taken {
    const struct ask *ask;
    const struct choice *choice;
};

/* Who knows more of the machines than numbers say. It decides what a machine holds; numbers still say which of
 * several is the better one. */
struct capacity_host {
    void *userdata;
    /* Does machine NODE hold ASK, if N tasks WITHOUT were gone? */
    bool (*holds)(void *userdata, size_t node, const struct ask *ask, const struct taken *without,
                  size_t n);
    /* Might machine NODE hold ASK if nobody were there? At little cost: no may still follow. NULL: if its size does. */
    bool (*could)(void *userdata, size_t node, const struct ask *ask);
    /* Bits: of which GPUs of NODE, which holds ASK, it may have its part. */
    uint32_t (*may_share)(void *userdata, size_t node, const struct ask *ask);
    /* Take: what CHOICE had before if it has a grant, otherwise whatever is best, and of a GPU that is shared the part which CHOICE
     * says if that can be. Returns what is free then. */
    struct room (*take)(void *userdata, const struct ask *ask, struct choice *choice);
    /* The grant may be taken again. Returns what is free then. */
    struct room (*give)(void *userdata, const struct choice *choice);
    /* What ASK keeps of machine NODE from others, in numbers. */
    struct ask (*weigh)(void *userdata, size_t node, const struct ask *ask);
};

struct capacity;
struct score;

/* SCORE is borrowed, and decides which of the places that hold a request is the best. */
struct capacity *capacity_new(const struct score *score);
/* HOST is copied; before the first choice. */
void capacity_set_host(struct capacity *capacity, const struct capacity_host *host);
void capacity_free(struct capacity *capacity);
DEFINE_CLEANUP(struct capacity *, capacity_free);

/* The bit of a model of GPU; the same name has the same bit. 0: there are too many models. */
uint64_t capacity_model(struct capacity *capacity, const char *name);
/* Add an empty machine; returns its index. */
size_t capacity_add(struct capacity *capacity, const struct room *size);
size_t capacity_len(const struct capacity *capacity);
/* Goes up with every change of what is free, of what machines have, and of which are closed. */
uint64_t capacity_changes(const struct capacity *capacity);
/* Looks at machines, ever; and note WORK more, done by others. The same calls always do the same work. */
uint64_t capacity_work(const struct capacity *capacity);
void capacity_worked(struct capacity *capacity, uint64_t work);
/* What is free on machine NODE; valid until a machine is added. */
const struct room *capacity_room(const struct capacity *capacity, size_t node);

/* A machine is another now: what it has when it is empty, and what is free. */
void capacity_set(struct capacity *capacity, size_t node, const struct room *size,
                  const struct room *free);
/* Does machine NODE hold ASK, if N tasks WITHOUT that are there were gone? Whether it is closed does not matter. */
bool capacity_holds(const struct capacity *capacity, size_t node, const struct ask *ask,
                    const struct taken *without, size_t n);
/* Might it if nobody were there? Whether it is closed does not matter. */
bool capacity_could(const struct capacity *capacity, size_t node, const struct ask *ask);

/* What a task of ASK keeps of machine NODE from others: more than it asks for if it is to be alone there. */
struct ask capacity_weigh(const struct capacity *capacity, size_t node, const struct ask *ask);

/* Where the machines stand. */
void capacity_stand(struct capacity *capacity, size_t node, const struct spot *spot);
struct locality *capacity_locality(const struct capacity *capacity);
/* Only machines in domain DOMAIN of LEVEL are chosen from now on, the others count as closed; LEVEL_ALL, 0: all are. */
void capacity_limit(struct capacity *capacity, enum level level, size_t domain);
/* These machines, as places in the order of the locality. */
struct stretch capacity_limits(const struct capacity *capacity);

/* What it has when it is empty. */
const struct room *capacity_size(const struct capacity *capacity, size_t node);

/* A machine that is closed is chosen for nothing, and keeps what it has. */
void capacity_close(struct capacity *capacity, size_t node, bool closed);
bool capacity_is_closed(const struct capacity *capacity, size_t node);

/* Of these GPUs of NODE, bits, nobody is given a part; whole ones are given as ever. Returns those that were barred. */
uint32_t capacity_bar(struct capacity *capacity, size_t node, uint32_t gpus);
/* Bits: GPUs of NODE of which others have parts, and ASK, which asks for one, may have its. */
uint32_t capacity_shares(struct capacity *capacity, size_t node, const struct ask *ask);

/* Note that somebody asks for ASK: scores may learn what is usually asked for. */
void capacity_learn(struct capacity *capacity, const struct ask *ask);

/* What a capacity goes by beside what is free: what it has seen. */
struct capacity_shape {
    struct ask ask;
    uint64_t times; /* so often it was asked for; */
    uint64_t dealt; /* and so often when the deck was cut */
};
struct capacity_memory {
    VEC(struct capacity_shape) shapes; /* in the order in which they were seen first */
    uint64_t n_taken, n_given;         /* tasks, ever */
    uint32_t left;                     /* of 1,000 tasks, when the deck was cut */
    int32_t cpu_milli, memory_mib;     /* the most that any machine ever had */
    uint16_t n_gpus;
};
void capacity_memory_done(struct capacity_memory *memory);
/* RET is the caller's. And: have seen just this, whatever it has seen. */
void capacity_remember(const struct capacity *capacity, struct capacity_memory *ret);
void capacity_recall(struct capacity *capacity, const struct capacity_memory *memory);

/* The best place for one task. False: no machine holds it now. Takes nothing. */
bool capacity_choose(struct capacity *capacity, const struct ask *ask, struct choice *ret);
/* The best place for one task on machine NODE. */
bool capacity_choose_on(struct capacity *capacity, const struct ask *ask, size_t node,
                        struct choice *ret);
/* The score of ASK by machine, wherever the choice is limited to; CAPACITY_NO_ROOM: it does not hold it. Valid until
 * the next call that asks or changes anything. */
#define CAPACITY_NO_ROOM INT32_MIN
const int32_t *capacity_gains(struct capacity *capacity, const struct ask *ask);
/* Both change what is free; CHOICE must fit, and what is given must have been taken. */
void capacity_take(struct capacity *capacity, const struct ask *ask, struct choice *choice);
void capacity_give(struct capacity *capacity, const struct ask *ask, const struct choice *choice);

bool ask_equal(const struct ask *a, const struct ask *b);
/* The same for equal ones. */
uint64_t ask_hash(const struct ask *ask);
/* Does whoever holds MORE hold LESS as well? */
bool ask_covers(const struct ask *more, const struct ask *less);
bool room_equal(const struct room *a, const struct room *b);
/* Does ROOM hold ASK? */
bool room_holds(const struct room *room, const struct ask *ask);
/* How many times ASK goes into ROOM, at most N. */
unsigned room_times(const struct room *room, const struct ask *ask, unsigned n);
/* Give back what ASK took on GPUS. */
void room_give(struct room *room, const struct ask *ask, uint32_t gpus);
/* Take ASK from ROOM with the GPUs that have least left; it must hold it. Returns their bits. */
uint32_t room_take(struct room *room, const struct ask *ask);

#endif
