/* sqlite-kept.c - what is kept, in pages for the collector, and forgetting what is not
 *
 * Forgetting looks again at the moment of the write: what was asked for since the page was read stays.
 */
#include "store/sqlite.h"

#include <errno.h>
#include <string.h>

#define PREPARE(connection, stmt, sql, err)                                                        \
    sqlite3_stmt *stmt = sqlite_statement(connection, sql, err);                                   \
    if (!stmt)                                                                                     \
    return -EIO

enum { ROWS = 20000, LISTS = 200, LISTED_MAX = 200000 };

int sqlite_collect_refs(struct backend *b, const struct op *op, struct error *err)
{
    PREPARE(&b->writer, stmt, "DELETE FROM blob_refs WHERE project = ? AND sum = ? AND used < ?",
            err);
    int r = 0;

    for (size_t i = 0; i < op->n_sums && r >= 0; i++) {
        bind_id(stmt, 1, &op->project);
        bind_sum(stmt, 2, &op->sums[i]);
        sqlite3_bind_int64(stmt, 3, op->time_us);
        r = sqlite_run(&b->writer, stmt, err);
    }
    return r;
}

int sqlite_collect_manifests(struct backend *b, const struct op *op, struct error *err)
{
    PREPARE(&b->writer, stmt,
            "DELETE FROM manifests WHERE used < ? AND NOT EXISTS (SELECT 1 FROM holds h "
            "WHERE h.project = manifests.project AND h.manifest = manifests.sum)",
            err);
    sqlite3_bind_int64(stmt, 1, op->time_us);
    return sqlite_run(&b->writer, stmt, err);
}

/* Columns: project, digest [, used]; in that order, from the cursor on. */
static int take_rows(struct connection *c, struct query *q, const char *sql, bool has_time)
{
    PREPARE(c, stmt, sql, &q->err);
    bind_id(stmt, 1, &q->cursor.id);
    bind_sum(stmt, 2, &q->cursor.sum);
    sqlite3_bind_int64(stmt, 3, ROWS);
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        struct kept kept = { .project = column_id(stmt, 0) };
        if (sqlite3_column_bytes(stmt, 1) == (int) sizeof kept.sum.bytes)
            memcpy(kept.sum.bytes, sqlite3_column_blob(stmt, 1), sizeof kept.sum.bytes);
        if (has_time)
            kept.used_us = sqlite3_column_int64(stmt, 2);
        vec_push(&q->kept, kept);
    }
    sqlite3_reset(stmt);
    q->cursor.end = q->kept.len < ROWS;
    if (q->kept.len) {
        const struct kept *last = &q->kept.items[q->kept.len - 1];
        q->cursor.id = last->project;
        q->cursor.sum = last->sum;
    }
    return 0;
}

static int take_list(sqlite3_stmt *stmt, struct query *q)
{
    _cleanup_(manifest_freep) struct manifest *m = NULL;
    struct kept kept = { .project = column_id(stmt, 1) };

    int r = manifest_parse(sqlite3_column_blob(stmt, 2), (size_t) sqlite3_column_bytes(stmt, 2), &m,
                           &q->err);
    for (size_t i = 0; r >= 0 && i < m->n; i++) {
        kept.sum = m->entries[i].sum;
        if (!m->entries[i].link)
            vec_push(&q->kept, kept);
    }
    return r;
}

static int take_lists(struct connection *c, struct query *q)
{
    PREPARE(
        c, stmt,
        "SELECT a.workload, w.project, a.manifest FROM artifacts a "
        "JOIN workloads w ON w.id = a.workload WHERE a.workload > ? ORDER BY a.workload LIMIT ?",
        &q->err);
    unsigned n = 0;
    int r = 0;

    bind_id(stmt, 1, &q->cursor.id);
    sqlite3_bind_int64(stmt, 2, LISTS);
    q->cursor.end = true;
    while (r >= 0 && sqlite3_step(stmt) == SQLITE_ROW) {
        q->cursor.id = column_id(stmt, 0);
        r = take_list(stmt, q);
        if (++n == LISTS || q->kept.len >= LISTED_MAX) {
            q->cursor.end = false;
            break;
        }
    }
    sqlite3_reset(stmt);
    return r;
}

int sqlite_answer_kept(struct connection *c, struct query *q)
{
    switch (q->kept_kind) {
    case KEPT_HELD:
        return take_rows(c, q,
                         "SELECT DISTINCT project, manifest FROM holds "
                         "WHERE (project, manifest) > (?, ?) ORDER BY project, manifest LIMIT ?",
                         false);
    case KEPT_MANIFESTS:
        return take_rows(c, q,
                         "SELECT project, sum FROM manifests WHERE (project, sum) > (?, ?) "
                         "ORDER BY project, sum LIMIT ?",
                         false);
    case KEPT_ARTIFACTS:
        return take_lists(c, q);
    case KEPT_REFS:
        return take_rows(c, q,
                         "SELECT project, sum, used FROM blob_refs "
                         "WHERE (project, sum) > (?, ?) ORDER BY project, sum LIMIT ?",
                         true);
    }
    return -EINVAL;
}
