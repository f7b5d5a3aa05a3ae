/* mirror.h - a snapshot that follows a planner, some changes at a time
 *
 * A snapshot of a large fleet takes longer than the thread of its planner may be held up. So who looks ahead keeps a mirror: the
 * planner notes what changed, and says it in steps, of which each is as long as its limit allows. What changes meanwhile is said
 * again; after the last step the mirror is what a snapshot taken at that moment would be. Only the steps are for the planner's
 * thread; to take in what they said is for whoever has the mirror.
 */
#ifndef PLACEMENT_MIRROR_H
#define PLACEMENT_MIRROR_H

#include "placement/planner-snapshot.h"

/* Of planner_tell_news(): what a machine costs, where a job costs 1. */
enum { MIRROR_MACHINE = 4 };

struct mirror_machine {
    size_t place;
    struct snapshot_node node; /* NODE NULL: it is gone */
};

struct mirror_job {
    uint64_t number; /* by which they are ordered */
    size_t said;     /* after how many others: of two the last counts */
    bool is_gone;
    struct snapshot_job job;
};

/* What changed; all that it points to is its own. */
struct mirror_news {
    VEC(struct mirror_machine) machines;
    VEC(struct mirror_job) jobs;
    struct snapshot *rest; /* all but machines and jobs; NULL: there is more to come */
};

void mirror_news_done(struct mirror_news *news);

/* What changed since it was asked last is appended to RET (the first time all there is), as far as LIMIT goes; true: that was
 * all. Then RET->rest is there, for the caller to add what planner_tell() does not say. */
bool planner_tell_news(struct planner *planner, const struct snapshot_source *source, size_t limit,
                       struct mirror_news *ret);

struct mirror;

struct mirror *mirror_new(void);
void mirror_free(struct mirror *mirror);
DEFINE_CLEANUP(struct mirror *, mirror_free);

/* NEWS, which is whole, is taken in and is empty then. */
void mirror_take(struct mirror *mirror, struct mirror_news *news);
/* As the last news left it. Borrowed; valid until the next. */
struct snapshot *mirror_snapshot(struct mirror *mirror);

#endif
