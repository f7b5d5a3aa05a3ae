/* ahead.h - looking ahead beside the loop: who asks waits until it was looked
 *
 * What those that wait can expect takes long to find out where there is much hardware. So the loop only says what changed since it
 * was looked last (placement/mirror.h), in steps of some milliseconds; a thread of the pool has the mirror, and looks. There is one
 * look at a time, for all that ask until it begins; the next begins when nine times as long has passed as the loop had to do
 * for the last. Who asks meanwhile is answered by the last look if it knows what is asked, and hears how old it is.
 */
#ifndef API_AHEAD_H
#define API_AHEAD_H

#include "api/internal.h"

/* GO is called when it was looked for CALL; ASKED: a job of which all is to be known, NULL: of all the usual. */
void ahead_await(struct call *call, const struct id *asked, handler_f go);

/* Looks with JOB, whose specification in full is SPEC, beside those that wait. Both become its own; EXPECTATION is valid during FOUND
 * alone, which takes SPEC. */
typedef void (*ahead_found_f)(struct call *call, const struct snapshot_job *job,
                              const struct expectation *expectation, json_t *spec);
void ahead_plan(struct call *call, const struct snapshot_job *job, json_t *spec,
                ahead_found_f found);
/* FOUND gets the text of a snapshot, as JSON. */
typedef void (*ahead_text_f)(struct call *call, const char *text);
void ahead_snapshot(struct call *call, ahead_text_f found);

void ahead_end(struct api *api);

#endif
