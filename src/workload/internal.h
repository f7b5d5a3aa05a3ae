/* internal.h - what the files of workload/ share */
#ifndef WORKLOAD_INTERNAL_H
#define WORKLOAD_INTERNAL_H

#include "base/texts.h"
#include "workload/workload.h"

enum { RETRY_BACKOFF_DEFAULT = 10 };

/* The signals that a job may name for checkpoints: name without SIG. NULL or 0 when there is none. */
const char *signal_name(int signo);
int signal_parse(const char *name);

/* The fields `datasets` and `outputs` (spec-data.c). */
int read_datasets(struct workload_spec *spec, const json_t *json, struct error *err);
int read_outputs(struct workload_spec *spec, const json_t *json, struct error *err);
void put_data(json_t *json, const struct workload_spec *spec);
/* {"dataset", "version", "manifest"} */
json_t *dataset_input_json(const struct dataset_mount *d);
void free_data(struct workload_spec *spec);

/* The fields that say how many tasks there are (spec-tasks.c). */
int read_tasks(struct workload_spec *spec, const json_t *json, struct error *err);
void put_tasks(json_t *json, const struct workload_spec *spec);
void free_tasks(struct workload_spec *spec);

/* The tasks of an attempt (tasks.c): those of JSON's "tasks", and its "failed_rank". */
int attempt_tasks_read(const json_t *json, struct attempt *a, struct error *err);
json_t *attempt_tasks_to_json(const struct attempt *a);
void attempt_tasks_free(struct attempt_task *tasks, size_t n);
/* Fold what is new of some tasks, an array or NULL; the check changes nothing, and goes first. */
int attempt_tasks_check(const json_t *news, const struct attempt *a, struct error *err);
void attempt_tasks_merge(const json_t *news, struct attempt *a);

/* The fields that say which machines will do, and not before when (spec-where.c). */
int read_where(struct workload_spec *spec, const json_t *json, struct error *err);
void put_where(json_t *json, const struct workload_spec *spec);
void free_where(struct workload_spec *spec);

/* The fields `array`, `after`, `after_mode` and `when_never` (spec-batch.c). */
int read_array(struct workload_spec *spec, const json_t *json, struct error *err);
int read_after(struct workload_spec *spec, const json_t *json, struct error *err);
void put_batch(json_t *json, const struct workload_spec *spec);
void free_batch(struct workload_spec *spec);

/* NULL-terminated lists of text; an absent or empty one is NULL (attempt.c). */
json_t *texts_to_json(char *const *list);
int texts_read(const json_t *json, const char *key, char ***ret, struct error *err);

/* -EINVAL with the field's name; absent is 0. */
int read_time(const json_t *json, const char *key, int64_t *ret, struct error *err);
int read_id(const json_t *json, const char *key, struct id *ret, struct error *err);
/* A number or text with a unit; OTHERWISE when absent. */
int read_bytes(const json_t *json, const char *key, int64_t *ret, struct error *err);
int read_seconds(const json_t *json, const char *key, int64_t *ret, struct error *err);

#endif
