/* sqlite-dataset.c - datasets as rows: writing, loading, uses, and rows = fold(events) */
#include "store/sqlite.h"

#include "base/alloc.h"

#include <errno.h>
#include <string.h>

#define PREPARE_ON(c, stmt, sql, err)                                                              \
    sqlite3_stmt *stmt = sqlite_statement(c, sql, err);                                            \
    if (!stmt)                                                                                     \
    return -EIO

/* ---- writing ----------------------------------------------------------------------------------- */

static int put_dataset(struct backend *b, const struct op *op, struct error *err)
{
    PREPARE_ON(&b->writer, stmt,
               "INSERT OR REPLACE INTO datasets (id, project, name, record) VALUES (?, ?, ?, ?)",
               err);
    bind_id(stmt, 1, &op->id);
    bind_id(stmt, 2, &op->project);
    bind_str(stmt, 3, op->name);
    bind_json(stmt, 4, op->record);
    return sqlite_run(&b->writer, stmt, err);
}

static int put_version(struct backend *b, const struct op *op, struct error *err)
{
    PREPARE_ON(&b->writer, stmt,
               "INSERT OR REPLACE INTO dataset_versions (dataset, number, manifest, record) "
               "VALUES (?, ?, ?, ?)",
               err);
    bind_id(stmt, 1, &op->id);
    sqlite3_bind_int64(stmt, 2, op->number);
    bind_sum(stmt, 3, &op->sum);
    bind_json(stmt, 4, op->record);
    return sqlite_run(&b->writer, stmt, err);
}

static int delete_version(struct backend *b, const struct op *op, struct error *err)
{
    PREPARE_ON(&b->writer, stmt, "DELETE FROM dataset_versions WHERE dataset = ? AND number = ?",
               err);
    bind_id(stmt, 1, &op->id);
    sqlite3_bind_int64(stmt, 2, op->number);
    return sqlite_run(&b->writer, stmt, err);
}

static int delete_dataset(struct backend *b, const struct op *op, struct error *err)
{
    static const char *const statements[] = {
        "DELETE FROM datasets WHERE id = ?",
        "DELETE FROM dataset_versions WHERE dataset = ?",
        "DELETE FROM dataset_uses WHERE dataset = ?",
    };

    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        PREPARE_ON(&b->writer, stmt, statements[i], err);
        bind_id(stmt, 1, &op->id);
        int r = sqlite_run(&b->writer, stmt, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int put_use(struct backend *b, const struct op *op, struct error *err)
{
    PREPARE_ON(&b->writer, stmt,
               "INSERT OR REPLACE INTO dataset_uses (dataset, number, workload, role, name) "
               "VALUES (?, ?, ?, ?, ?)",
               err);
    bind_id(stmt, 1, &op->id);
    sqlite3_bind_int64(stmt, 2, op->number);
    bind_id(stmt, 3, &op->attempt);
    sqlite3_bind_int(stmt, 4, (int) op->role);
    bind_str(stmt, 5, op->name);
    return sqlite_run(&b->writer, stmt, err);
}

int sqlite_apply_dataset(struct backend *b, const struct op *op, struct error *err)
{
    if (op->kind == OP_DATASET)
        return put_dataset(b, op, err);
    if (op->kind == OP_DATASET_VERSION)
        return put_version(b, op, err);
    if (op->kind == OP_DATASET_VERSION_DELETE)
        return delete_version(b, op, err);
    return op->kind == OP_DATASET_DELETE ? delete_dataset(b, op, err) : put_use(b, op, err);
}

/* ---- reading ----------------------------------------------------------------------------------- */

#define USES                                                                                       \
    "SELECT u.number, u.role, u.workload, u.name, w.state FROM dataset_uses u "                    \
    "LEFT JOIN workloads w ON w.id = u.workload WHERE u.dataset = ?1 "
#define NEWEST_FIRST "ORDER BY u.workload DESC, u.number, u.role LIMIT ?2"

int sqlite_answer_uses(struct connection *c, struct query *q)
{
    const char *sql = q->after ? USES "AND u.number = ?3 " NEWEST_FIRST : USES NEWEST_FIRST;

    PREPARE_ON(c, stmt, sql, &q->err);
    bind_id(stmt, 1, &q->subject);
    sqlite3_bind_int64(stmt, 2, q->limit);
    if (q->after)
        sqlite3_bind_int64(stmt, 3, (int64_t) q->after);
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        bool deleted = sqlite3_column_type(stmt, 4) == SQLITE_NULL;
        struct dataset_use use = {
            .number = (unsigned) sqlite3_column_int64(stmt, 0),
            .role = sqlite3_column_int(stmt, 1) ? DATASET_WROTE : DATASET_READ,
            .workload = column_id(stmt, 2),
            .name = column_str(stmt, 3),
            .state = deleted ? WORKLOAD_STATE_INVALID
                             : (enum workload_state) sqlite3_column_int(stmt, 4),
        };
        vec_push(&q->uses, use);
    }
    sqlite3_reset(stmt);
    return 0;
}

/* ---- loading ----------------------------------------------------------------------------------- */

static int load_versions(struct backend *b, struct dataset *d, struct error *err)
{
    PREPARE_ON(&b->writer, stmt,
               "SELECT record FROM dataset_versions WHERE dataset = ? ORDER BY number", err);
    int r = 0;

    bind_id(stmt, 1, &d->id);
    while (r >= 0 && sqlite3_step(stmt) == SQLITE_ROW) {
        _cleanup_json_ json_t *record = NULL;
        r = column_json(stmt, 0, &record, err);
        if (r >= 0)
            r = dataset_add_version(d, record, err);
    }
    sqlite3_reset(stmt);
    return r;
}

int sqlite_load_datasets(struct backend *b, struct store_state *ret, struct error *err)
{
    PREPARE_ON(&b->writer, stmt, "SELECT record FROM datasets ORDER BY project, name", err);
    int r = 0;

    while (r >= 0 && sqlite3_step(stmt) == SQLITE_ROW) {
        _cleanup_json_ json_t *record = NULL;
        _cleanup_(dataset_freep) struct dataset *d = NULL;
        r = column_json(stmt, 0, &record, err);
        if (r >= 0)
            r = dataset_from_json(record, &d, err);
        if (r >= 0)
            r = load_versions(b, d, err);
        if (r >= 0)
            vec_push(&ret->datasets, take_ptr(d));
    }
    sqlite3_reset(stmt);
    return r < 0 ? error_context(err, r, "loading a dataset") : 0;
}

/* ---- checking ---------------------------------------------------------------------------------- */

static char *whole_text(const struct dataset *d)
{
    _cleanup_json_ json_t *whole = dataset_to_json(d);
    json_t *versions = json_array();

    vec_foreach(&d->versions, v)
        (void) json_array_append_new(versions, dataset_version_to_json(v));
    json_put(whole, "versions", versions);
    return json_canonical(whole);
}

static int check_one(struct sqlite_check *check, const struct dataset *d)
{
    struct error *err = check->err;
    _cleanup_(dataset_freep) struct dataset *folded = NULL;
    struct error why = { 0 };
    PREPARE_ON(&check->b->writer, stmt,
               "SELECT " EVENT_COLUMNS " FROM events WHERE subject = ? ORDER BY seq", err);
    int r = 0;

    bind_id(stmt, 1, &d->id);
    while (r >= 0 && sqlite3_step(stmt) == SQLITE_ROW) {
        _cleanup_(event_freep) struct event *e = event_of_row(stmt, &why);
        r = e ? dataset_apply(&folded, e, &why) : -EBADMSG;
    }
    sqlite3_reset(stmt);
    if (r < 0) {
        sqlite_difference(check, "dataset %s: %s", d->name, why.text);
        return 0;
    }
    _cleanup_free_ char *rows = whole_text(d), *fold = folded ? whole_text(folded) : NULL;
    if (!str_equal(rows, fold))
        sqlite_difference(check, "dataset %s: its rows differ from its events", d->name);
    return 0;
}

int sqlite_check_datasets(struct sqlite_check *check)
{
    static const struct sqlite_expectation none[] = {
        { "SELECT count(*) FROM dataset_versions v LEFT JOIN datasets d ON d.id = v.dataset "
          "WHERE d.id IS NULL",
          "dataset versions without a dataset" },
        { "SELECT count(*) FROM dataset_uses u LEFT JOIN datasets d ON d.id = u.dataset "
          "WHERE d.id IS NULL",
          "uses without a dataset" },
        { "SELECT count(*) FROM dataset_versions v JOIN datasets d ON d.id = v.dataset "
          "LEFT JOIN blob_refs r ON r.project = d.project AND r.sum = v.manifest "
          "WHERE r.sum IS NULL",
          "dataset versions whose manifest their project does not reference" },
        { NULL, NULL },
    };
    struct store_state state = { 0 };
    int r = sqlite_load_datasets(check->b, &state, check->err);

    vec_foreach(&state.datasets, d) {
        if (r >= 0)
            r = check_one(check, *d);
        dataset_free(*d);
    }
    vec_done(&state.datasets);
    return r < 0 ? r : sqlite_expect_none(check, none);
}
