/* replay.h - a record once more: the same calls on a new planner, and each of its decisions beside what was decided */
#ifndef PLACEMENT_REPLAY_H
#define PLACEMENT_REPLAY_H

#include "placement/record.h"

struct replay;

struct replay_counts {
    uint64_t calls, passes, starts, stops;
    uint64_t jobs;             /* that came */
    int64_t first_us, last_us; /* of the passes; 0: there was none */
};

struct replay *replay_new(void);
void replay_free(struct replay *replay);
DEFINE_CLEANUP(struct replay *, replay_free);

/* The next line: 0; 1 when it is decided otherwise now, with both in ERR; -EBADMSG when it is none, with the field and what
 * it should be. After anything but 0 it is over. */
int replay_line(struct replay *replay, const char *line, size_t len, struct error *err);
const struct replay_counts *replay_counts(const struct replay *replay);

#endif
