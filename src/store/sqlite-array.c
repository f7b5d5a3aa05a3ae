/* sqlite-array.c - arrays of jobs: the rows that stand for them, and how many of them are in each state */
#include "store/sqlite.h"

#include "base/alloc.h"

#include <errno.h>
#include <string.h>

static int count_array(struct connection *c, struct workload *head, struct error *err)
{
    sqlite3_stmt *stmt =
        sqlite_statement(c, "SELECT state, count(*) FROM workloads WHERE array = ? GROUP BY state",
                         err);
    if (!stmt)
        return -EIO;
    bind_id(stmt, 1, &head->id);
    free(head->array_states);
    head->array_states = xnew_n(unsigned, WORKLOAD_STATE_MAX);
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        int state = sqlite3_column_int(stmt, 0);
        if (state >= 0 && state < WORKLOAD_STATE_MAX)
            head->array_states[state] = (unsigned) sqlite3_column_int(stmt, 1);
    }
    sqlite3_reset(stmt);
    return 0;
}

int sqlite_count_arrays(struct connection *c, struct query *q)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < q->workloads.len; i++)
        if (workload_heads_array(q->workloads.items[i]))
            r = count_array(c, q->workloads.items[i], &q->err);
    return r;
}

static bool matches(const struct workload *w, const char *name, const struct workload_filter *f)
{
    const char *tag = f->tag_key ? json_get_str(w->tags, f->tag_key, NULL) : NULL;
    size_t n = f->name ? strlen(f->name) : 0;

    if (f->tag_key && (!tag || (f->tag_value && strcmp(tag, f->tag_value) != 0)))
        return false;
    if ((f->since_us && w->created_us < f->since_us) ||
        (f->until_us && w->created_us >= f->until_us))
        return false;
    if (!n)
        return true;
    return f->name[n - 1] == '*' ? strncmp(f->name, name, n - 1) == 0 : strcmp(f->name, name) == 0;
}

int sqlite_list_heads(struct connection *c, struct query *q, const struct id *low,
                      const struct id *high)
{
    const struct workload_filter *f = &q->filter;
    sqlite3_stmt *stmt = sqlite_statement(
        c,
        "SELECT w.record, w.name FROM workloads w WHERE w.array = w.id AND w.project = ?1 "
        "AND w.id >= ?2 AND w.id < ?3 AND EXISTS (SELECT 1 FROM workloads e WHERE e.array = w.id "
        "AND (1 << e.state) & ?4) ORDER BY w.id DESC",
        &q->err);
    if (!stmt)
        return -EIO;
    bind_id(stmt, 1, &f->project);
    bind_id(stmt, 2, low);
    bind_id(stmt, 3, high);
    sqlite3_bind_int64(stmt, 4, f->states);
    size_t end = q->workloads.len + f->limit;
    int r = 0;
    while (r >= 0 && q->workloads.len < end && sqlite3_step(stmt) == SQLITE_ROW) {
        _cleanup_json_ json_t *record = NULL;
        _cleanup_(workload_freep) struct workload *w = NULL;
        r = column_json(stmt, 0, &record, &q->err);
        if (r >= 0)
            r = workload_from_record(record, &w, &q->err);
        if (r >= 0 && matches(w, (const char *) sqlite3_column_text(stmt, 1), f))
            vec_push(&q->workloads, take_ptr(w));
    }
    sqlite3_reset(stmt);
    return r;
}

int sqlite_outcome(struct backend *b, struct store_outcome *ret, struct error *err)
{
#define BEGUN                                                                                      \
    "max(coalesce(json_extract(record, '$.started'), json_extract(record, '$.ended'), ''))"
    /* By IS_ARRAY and WITH_BEGUN. */
    static const char *const queries[2][2] = {
        { "SELECT state, count(*), '' FROM workloads WHERE id = ? GROUP BY state",
          "SELECT state, count(*), " BEGUN " FROM workloads WHERE id = ? GROUP BY state" },
        { "SELECT state, count(*), '' FROM workloads WHERE array = ? GROUP BY state",
          "SELECT state, count(*), " BEGUN " FROM workloads WHERE array = ? GROUP BY state" },
    };
    sqlite3_stmt *stmt = sqlite_statement(&b->writer, queries[ret->is_array][ret->with_begun], err);

    if (!stmt)
        return -EIO;
    bind_id(stmt, 1, &ret->id);
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        outcome_add(ret, (enum workload_state) sqlite3_column_int(stmt, 0),
                    (unsigned) sqlite3_column_int(stmt, 1));
        outcome_add_begun(ret, (const char *) sqlite3_column_text(stmt, 2));
    }
    sqlite3_reset(stmt);
    return 0;
}
