/* sqlite.h - what the files of the SQLite variant share */
#ifndef STORE_SQLITE_H
#define STORE_SQLITE_H

#include "store/internal.h"

#include <sqlite3.h>

extern const char *const sqlite_migrations[];
extern const unsigned sqlite_n_migrations;

enum { SQLITE_READERS = 2 };

/* One connection with its statements, prepared at first use and kept. */
struct connection {
    sqlite3 *db;
    struct prepared {
        const char *sql; /* a literal: compared by address */
        sqlite3_stmt *stmt;
    } prepared[96];
    unsigned n_prepared;
};

struct backend {
    struct connection writer;
    struct connection readers[SQLITE_READERS];
    int lock_fd;
    int64_t deltas[WORKLOAD_STATE_MAX]; /* of the transaction under way */
    uint64_t counts[WORKLOAD_STATE_MAX];
};

/* The statement for SQL, reset and unbound; NULL when it cannot be prepared (ERR says why). */
sqlite3_stmt *sqlite_statement(struct connection *c, const char *sql, struct error *err);
/* Run a statement that gives no rows. */
int sqlite_run(struct connection *c, sqlite3_stmt *stmt, struct error *err);
int sqlite_refuse(struct connection *c, const char *what, struct error *err);
int sqlite_exec(struct connection *c, const char *sql, struct error *err);

void bind_id(sqlite3_stmt *stmt, int i, const struct id *id);
void bind_sum(sqlite3_stmt *stmt, int i, const struct sha256 *sum);
void bind_str(sqlite3_stmt *stmt, int i, const char *s); /* not copied */
void bind_json(sqlite3_stmt *stmt, int i, const json_t *json);
struct id column_id(sqlite3_stmt *stmt, int i);
char *column_str(sqlite3_stmt *stmt, int i); /* owned by the caller; NULL for NULL */
int column_json(sqlite3_stmt *stmt, int i, json_t **ret, struct error *err);

/* One run of `berth store verify`. */
struct sqlite_check {
    struct backend *b;
    void (*report)(void *userdata, const char *text);
    void *userdata;
    struct error *err;
    int found;
};
__attribute__((format(printf, 2, 3))) void sqlite_difference(struct sqlite_check *check,
                                                             const char *fmt, ...);
/* What SQL counts is not to be; WHAT says it after the number. The last one has no SQL, a literal. */
struct sqlite_expectation {
    const char *sql, *what;
};
int sqlite_expect_none(struct sqlite_check *check, const struct sqlite_expectation *none);

/* sqlite-write.c, sqlite-read.c, sqlite-check.c */
int sqlite_apply(struct backend *b, const struct op *op, struct error *err);
int sqlite_answer(struct backend *b, unsigned reader, struct query *q);
int sqlite_load(struct backend *b, struct store_state *ret, struct error *err);
int sqlite_check(struct backend *b, void (*report)(void *userdata, const char *text),
                 void *userdata, struct error *err);
/* sqlite-dataset.c */
int sqlite_apply_dataset(struct backend *b, const struct op *op, struct error *err);
int sqlite_answer_uses(struct connection *c, struct query *q);
int sqlite_load_datasets(struct backend *b, struct store_state *ret, struct error *err);
/* The rows of every dataset against the fold of its events. */
int sqlite_check_datasets(struct sqlite_check *check);
int sqlite_load_tags(struct backend *b, struct store_state *ret, struct error *err);
/* The rows of tags against the fold of events. */
int sqlite_check_tags(struct sqlite_check *check);
/* sqlite-array.c */
/* How many jobs are in which state, for each item that heads an array. */
int sqlite_count_arrays(struct connection *c, struct query *q);
/* The heads of arrays one of whose jobs is in a state of the filter. */
int sqlite_list_heads(struct connection *c, struct query *q, const struct id *low,
                      const struct id *high);
int sqlite_outcome(struct backend *b, struct store_outcome *ret, struct error *err);
/* sqlite-kept.c */
int sqlite_collect_refs(struct backend *b, const struct op *op, struct error *err);
int sqlite_collect_manifests(struct backend *b, const struct op *op, struct error *err);
int sqlite_answer_kept(struct connection *c, struct query *q);
struct event *event_of_row(sqlite3_stmt *stmt, struct error *err);

#define EVENT_COLUMNS "seq, id, time, project, kind, subject, actor, type, version, data"

#endif
