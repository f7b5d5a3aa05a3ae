/* record.h - every call that changes a planner, as lines of JSON, from which its decisions can be made again
 *
 * A record begins with the planner's options; machines and jobs that are there follow as they are told of. Nothing of what
 * jobs do is in it.
 *
 *   {"do":"new","format":1,"options":{…}}
 *   {"do":"node","node":{…},"disk_used":0}            a machine is there or changed
 *   {"do":"disk","name":"n1","free":…,"used":…}       nothing but its disk did
 *   {"do":"drop","name":"n1"}
 *   {"do":"weigh","org":"…","project":"…","weight":2} without project: the org among the orgs
 *   {"do":"used","org":"…","project":"…","user":"…","used":…,"at_us":…}
 *   {"do":"book","booking":{…}}                       as a snapshot has it
 *   {"do":"unbook","id":"…"}
 *   {"do":"submit","now_us":…,"job":{…}}
 *   {"do":"run","job":{… "started_us", "allocations"},"on":["n1",null]}
 *   {"do":"hold","id":"…","held":true}
 *   {"do":"end","id":"…","now_us":…}
 *   {"do":"pass","now_us":…,"limit":512,"stops":[["…","for"]],"starts":[{"id":"…","allocations":[…]}]}
 */
#ifndef PLACEMENT_RECORD_H
#define PLACEMENT_RECORD_H

#include "placement/planner.h"

enum { RECORD_FORMAT = 1, RECORD_LINE_MAX = 16 << 20 /* bytes of a line */ };

/* Gets each line, ended by a newline. */
struct record_sink {
    void (*line)(void *userdata, const char *line, size_t len);
    void *userdata;
};

struct record;

struct record *record_new(const struct record_sink *sink, const struct planner_options *options);
void record_free(struct record *record);
DEFINE_CLEANUP(struct record *, record_free);

/* As the functions of the planner; RECORD may be NULL. */
void record_set_node(struct record *record, const struct node *node, int64_t disk_used_bytes);
void record_drop_node(struct record *record, const char *name);
void record_submit(struct record *record, const struct planner_job *job, int64_t now_us);
void record_weigh(struct record *record, const struct id *org, const struct id *project,
                  unsigned weight);
void record_used(struct record *record, const struct planner_share *share, int64_t at_us);
void record_book(struct record *record, const struct planner_booking *booking);
void record_unbook(struct record *record, const struct id *booking);
void record_hold(struct record *record, const struct id *job, bool held);
void record_run(struct record *record, const struct planner_job *job,
                const struct planner_place *tasks, size_t n, int64_t started_us);
void record_gone(struct record *record, const struct id *job, int64_t now_us);
void record_pass(struct record *record, int64_t now_us, unsigned limit,
                 const struct planner_plan *plan);

/* The decisions of a plan, as a pass has them. */
json_t *record_plan(int64_t now_us, unsigned limit, const struct planner_plan *plan);

#endif
