/* walk.h - one walk over those who wait, in the policy's order, while they start
 *
 * Groups that go by shares are in a heap by what they have had; only the first has its own heap made, of its columns (one line of
 * each) and of those who are looked at alone. A column that nothing can come of is passed over without a look at its lines, so a
 * walk costs what columns there are, and the lines that somebody is looked at in. The lines may change meanwhile: who comes to
 * stand where the walk was already is not come to in it.
 *
 * The order: groups that run nothing, for those who are overdue there, as long as these wait; then groups by their shares. In a
 * group priority, level, time.
 */
#ifndef PLACEMENT_WALK_H
#define PLACEMENT_WALK_H

#include "placement/entry.h"

/* What a walk does about a line that it comes to. */
enum walk_verdict {
    WALK_TAKE,
    WALK_PASS_LINE,
    WALK_PASS_PRIORITY, /* and all of the same priority behind it in its column */
    WALK_PASS_COLUMN,
};

struct walk;

/* LOOK is asked about each line before its first is given out, perhaps more than once; what it passes over it must pass over from
 * then on. NULL: all are taken. Levels of those who stand apart are as ENTRY_LEVEL says. */
struct walk *walk_new(struct schedule *s, int64_t now_us,
                      enum walk_verdict (*look)(void *userdata, const struct line *line),
                      void *userdata);
void walk_free(struct walk *walk);

/* The next that waits; NULL: there is none. Of a line it is the first, unless ENTRY was added alone. */
struct entry *walk_next(struct walk *walk);
/* Was who was given out last added only to be passed? */
bool walk_is_passing(const struct walk *walk);
/* Whoever waits is come to where it stands, or next if the walk is further. PASSING is told when it is. */
void walk_add(struct walk *walk, struct entry *entry, bool passing);
/* Nobody of GROUP any more. */
void walk_drop(struct walk *walk, uint32_t group);
/* Somebody was stopped: groups may have less than they had. */
void walk_renew(struct walk *walk);

#endif
