/* models.c - machines with GPUs of several models: which of them a request may have */
#include "sim/machines.h"

/* ROOM of machine NODE without the GPUs that ASK cannot do with. */
static struct room visible(const struct machines_read *machines, size_t node, const struct ask *ask,
                           struct room room)
{
    for (unsigned i = 0; i < room.n_gpus && ask->models; i++)
        if (!(ask->models & machines->models.items[node].gpu[i]))
            room.gpu[i] = 0;
    return room;
}

static bool holds(void *userdata, size_t node, const struct ask *ask, const struct taken *without,
                  size_t n)
{
    const struct machines_read *machines = userdata;
    struct room room = *capacity_room(machines->capacity, node);

    for (size_t i = 0; i < n; i++)
        room_give(&room, without[i].ask, without[i].choice->gpus);
    room = visible(machines, node, ask, room);
    return room_holds(&room, ask);
}

static bool could(void *userdata, size_t node, const struct ask *ask)
{
    const struct machines_read *machines = userdata;
    const struct room room = visible(machines, node, ask, *capacity_size(machines->capacity, node));

    return room_holds(&room, ask);
}

static uint32_t may_share(void *userdata, size_t node, const struct ask *ask)
{
    const struct machines_read *machines = userdata;
    const struct room room = visible(machines, node, ask, *capacity_size(machines->capacity, node));
    uint32_t bits = 0;

    for (unsigned i = 0; i < room.n_gpus; i++)
        bits |= room.gpu[i] > 0 ? 1u << i : 0;
    return bits;
}

/* The part that the score chose, or GPUs of the models asked for with the least left. */
static struct room take(void *userdata, const struct ask *ask, struct choice *choice)
{
    const struct machines_read *machines = userdata;
    struct room room = *capacity_room(machines->capacity, choice->node);
    struct room seen = visible(machines, choice->node, ask, room);

    if (ask->gpus != 1 || seen.gpu[__builtin_ctz(choice->gpus)] < ask->gpu_milli)
        choice->gpus = room_take(&seen, ask);
    room.cpu_milli -= ask->cpu_milli;
    room.memory_mib -= ask->memory_mib;
    room.tasks++;
    for (uint32_t rest = choice->gpus; rest; rest &= rest - 1) {
        uint16_t *gpu = &room.gpu[__builtin_ctz(rest)];
        *gpu = (uint16_t) (*gpu - ask->gpu_milli);
    }
    return room;
}

void machines_tell_models(struct machines_read *machines, struct capacity *capacity)
{
    const struct capacity_host host = {
        .userdata = machines, .holds = holds, .could = could, .may_share = may_share, .take = take
    };

    if (machines->models.len > 0)
        capacity_set_host(capacity, &host);
}
