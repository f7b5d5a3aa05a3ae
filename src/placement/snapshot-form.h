/* snapshot-form.h - parts of a snapshot's JSON, which records have, too */
#ifndef PLACEMENT_SNAPSHOT_FORM_H
#define PLACEMENT_SNAPSHOT_FORM_H

#include "placement/snapshot.h"

json_t *snapshot_options_to_json(const struct schedule_options *options, const struct score *score);
json_t *snapshot_node_to_json(const struct node *node, int64_t disk_used_bytes);
json_t *snapshot_job_to_json(const struct snapshot_job *job);
json_t *snapshot_booking_to_json(const struct snapshot_booking *booking);
json_t *snapshot_project_to_json(const struct snapshot_project *project);

/* What is read is the caller's. */
int snapshot_options_from_json(const json_t *json, struct schedule_options *ret,
                               const struct score **ret_score, struct error *err);
int snapshot_node_from_json(const json_t *json, struct snapshot_node *ret, struct error *err);
/* Nothing of it may be later than NOW_US. */
int snapshot_job_from_json(const json_t *json, int64_t now_us, struct snapshot_job *ret,
                           struct error *err);
int snapshot_booking_from_json(const json_t *json, struct snapshot_booking *ret, struct error *err);
int snapshot_project_from_json(const json_t *json, struct snapshot_project *ret, struct error *err);
/* All of a snapshot. */
int snapshot_read_bookings(struct snapshot *snapshot, const json_t *json, struct error *err);
json_t *snapshot_memory_to_json(const struct capacity_memory *memory);
json_t *snapshot_promise_to_json(const struct snapshot_promise *promise);
json_t *snapshot_weight_to_json(const struct snapshot_weight *weight);
json_t *snapshot_spots_to_json(const struct snapshot *snapshot);
int snapshot_memory_from_json(const json_t *json, struct capacity_memory *ret, struct error *err);
int snapshot_promise_from_json(const json_t *json, struct snapshot_promise *ret, struct error *err);
/* Without a time of its own: NOW_US. */
int snapshot_weight_from_json(const json_t *json, int64_t now_us, struct snapshot_weight *ret,
                              struct error *err);
int snapshot_spots_from_json(const json_t *list, struct snapshot *ret, struct error *err);

/* KEY of JSON: a whole number, MIN to MAX, where it is missing the one of these that is nearest to 0; a whole number of
 * microseconds, 0 to MAX_US; a UUID. */
int snapshot_read_int(const json_t *json, const char *key, int64_t min, int64_t max, int64_t *ret,
                      struct error *err);
int snapshot_read_us(const json_t *json, const char *key, int64_t max_us, int64_t *ret,
                     struct error *err);
int snapshot_read_id(const json_t *json, const char *key, bool needed, struct id *ret,
                     struct error *err);
/* A copy; NULL: it is not there. */
int snapshot_read_text(const json_t *json, const char *key, char **ret, struct error *err);
#define SNAPSHOT_TIME_MAX_US (INT64_C(250000000000) * 1000000) /* the year 9892 */

#endif
