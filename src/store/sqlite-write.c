/* sqlite-write.c - one operation of a batch as SQL; on the writer's thread */
#include "store/sqlite.h"

#include "base/alloc.h"

#include <errno.h>
#include <string.h>

#define PREPARE(stmt, sql)                                                                         \
    sqlite3_stmt *stmt = sqlite_statement(&b->writer, sql, err);                                   \
    if (!stmt)                                                                                     \
    return -EIO

static int put_org(struct backend *b, const struct org *org, struct error *err)
{
    PREPARE(stmt, "INSERT OR REPLACE INTO orgs (id, name, created, weight) VALUES (?, ?, ?, ?)");
    bind_id(stmt, 1, &org->id);
    bind_str(stmt, 2, org->name);
    sqlite3_bind_int64(stmt, 3, org->created_us);
    sqlite3_bind_int64(stmt, 4, org->weight);
    return sqlite_run(&b->writer, stmt, err);
}

static int put_project(struct backend *b, const struct project *p, struct error *err)
{
    PREPARE(stmt,
            "INSERT OR REPLACE INTO projects (id, org, name, uid_range, created, account, weight) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)");
    bind_id(stmt, 1, &p->id);
    bind_id(stmt, 2, &p->org);
    bind_str(stmt, 3, p->name);
    sqlite3_bind_int64(stmt, 4, p->range);
    sqlite3_bind_int64(stmt, 5, p->created_us);
    bind_str(stmt, 6, p->account);
    sqlite3_bind_int64(stmt, 7, p->weight);
    return sqlite_run(&b->writer, stmt, err);
}

static int put_key(struct backend *b, const struct key *key, struct error *err)
{
    PREPARE(stmt, "INSERT OR REPLACE INTO access_keys "
                  "(id, project, name, prefix, hash, role, created, expires) "
                  "VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
    bind_id(stmt, 1, &key->id);
    bind_id(stmt, 2, &key->project);
    bind_str(stmt, 3, key->name);
    bind_str(stmt, 4, key->prefix);
    bind_sum(stmt, 5, &key->hash);
    sqlite3_bind_int(stmt, 6, (int) key->role);
    sqlite3_bind_int64(stmt, 7, key->created_us);
    sqlite3_bind_int64(stmt, 8, key->expires_us);
    return sqlite_run(&b->writer, stmt, err);
}

static int put_secret(struct backend *b, const struct secret *s, struct error *err)
{
    PREPARE(stmt, "INSERT OR REPLACE INTO secrets (id, project, name, sealed, created, updated) "
                  "VALUES (?, ?, ?, ?, ?, ?)");
    bind_id(stmt, 1, &s->id);
    bind_id(stmt, 2, &s->project);
    bind_str(stmt, 3, s->name);
    sqlite3_bind_blob(stmt, 4, s->sealed, (int) s->sealed_len, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 5, s->created_us);
    sqlite3_bind_int64(stmt, 6, s->updated_us);
    return sqlite_run(&b->writer, stmt, err);
}

static int put_image(struct backend *b, const struct op *op, struct error *err)
{
    _cleanup_free_ char *record = json_text(op->record);
    PREPARE(stmt, "INSERT OR REPLACE INTO images (id, project, record) VALUES (?, ?, ?)");
    bind_id(stmt, 1, &op->id);
    bind_id(stmt, 2, &op->project);
    bind_str(stmt, 3, record);
    return sqlite_run(&b->writer, stmt, err);
}

static int delete_by_id(struct backend *b, const char *sql, const struct id *id, struct error *err)
{
    PREPARE(stmt, sql);
    bind_id(stmt, 1, id);
    return sqlite_run(&b->writer, stmt, err);
}

/* The statements of a table of records by subject. */
struct subject_sql {
    const char *put, *drop;
};

#define SUBJECT_SQL(table)                                                                         \
    {                                                                                              \
        "INSERT OR REPLACE INTO " table " (subject, record) VALUES (?, ?)",                        \
            "DELETE FROM " table " WHERE subject = ?"                                              \
    }

static int put_subject(struct backend *b, const struct op *op, struct error *err)
{
    static const struct subject_sql tags = SUBJECT_SQL("tags"), machines = SUBJECT_SQL("machines"),
                                    bookings = SUBJECT_SQL("bookings");
    const struct subject_sql *sql = op->kind == OP_TAGS      ? &tags
                                    : op->kind == OP_MACHINE ? &machines
                                                             : &bookings;

    if (!op->record)
        return delete_by_id(b, sql->drop, &op->id, err);
    _cleanup_free_ char *record = json_text(op->record);
    PREPARE(stmt, sql->put);
    bind_id(stmt, 1, &op->id);
    bind_str(stmt, 2, record);
    return sqlite_run(&b->writer, stmt, err);
}

/* ---- workloads --------------------------------------------------------------------------------- */

/* The state that is stored now: 1 when there is one. */
static int stored_state(struct backend *b, const struct id *id, int *ret, struct error *err)
{
    PREPARE(stmt, "SELECT state FROM workloads WHERE id = ?");
    bind_id(stmt, 1, id);
    int code = sqlite3_step(stmt);
    if (code == SQLITE_ROW)
        *ret = sqlite3_column_int(stmt, 0);
    sqlite3_reset(stmt);
    return code == SQLITE_ROW    ? 1
           : code == SQLITE_DONE ? 0
                                 : sqlite_refuse(&b->writer, "reading", err);
}

/* Are these the tags that are stored? Tags seldom change, workloads often. */
static int tags_are(struct backend *b, const struct op *op, const json_t *tags, struct error *err)
{
    size_t n = 0, same = 0;

    PREPARE(stmt, "SELECT tag, value FROM workload_tags WHERE workload = ?");
    bind_id(stmt, 1, &op->id);
    int code;
    for (; (code = sqlite3_step(stmt)) == SQLITE_ROW; n++) {
        const char *tag = (const char *) sqlite3_column_text(stmt, 0);
        const char *value = json_string_value(json_object_get(tags, tag));
        same += value && strcmp(value, (const char *) sqlite3_column_text(stmt, 1)) == 0;
    }
    sqlite3_reset(stmt);
    if (code != SQLITE_DONE)
        return sqlite_refuse(&b->writer, "reading", err);
    return n == same && n == json_object_size(tags);
}

static int put_state_of_tags(struct backend *b, const struct op *op, struct error *err)
{
    PREPARE(stmt, "UPDATE workload_tags SET state = ? WHERE workload = ?");
    sqlite3_bind_int(stmt, 1, (int) op->state);
    bind_id(stmt, 2, &op->id);
    return sqlite_run(&b->writer, stmt, err);
}

/* BEFORE is the state that was stored, -1 for a new workload. */
static int put_tags(struct backend *b, const struct op *op, int before, struct error *err)
{
    const json_t *tags = json_object_get(op->record, "tags");
    const char *tag;
    json_t *value;
    int r = before < 0 ? json_object_size(tags) == 0 : tags_are(b, op, tags, err);

    if (r > 0 && json_object_size(tags) > 0 && before != (int) op->state)
        return put_state_of_tags(b, op, err);
    if (r)
        return r < 0 ? r : 0;
    if (before >= 0)
        r = delete_by_id(b, "DELETE FROM workload_tags WHERE workload = ?", &op->id, err);
    json_object_foreach((json_t *) (uintptr_t) tags, tag, value) {
        if (r < 0)
            break;
        PREPARE(stmt, "INSERT OR REPLACE INTO workload_tags (project, tag, value, workload, state) "
                      "VALUES (?, ?, ?, ?, ?)");
        bind_id(stmt, 1, &op->project);
        bind_str(stmt, 2, tag);
        bind_str(stmt, 3, json_string_value(value));
        bind_id(stmt, 4, &op->id);
        sqlite3_bind_int(stmt, 5, (int) op->state);
        r = sqlite_run(&b->writer, stmt, err);
    }
    return r;
}

static int put_attempt(struct backend *b, const struct op *op, struct error *err)
{
    const json_t *attempt = json_object_get(op->record, "attempt");

    PREPARE(stmt, "INSERT OR REPLACE INTO attempts (id, workload, number, record) "
                  "VALUES (?, ?, ?, ?)");
    bind_id(stmt, 1, &op->attempt);
    bind_id(stmt, 2, &op->id);
    sqlite3_bind_int64(stmt, 3, json_get_int(attempt, "number", 0));
    bind_json(stmt, 4, attempt);
    return sqlite_run(&b->writer, stmt, err);
}

static int insert_workload(struct backend *b, const struct op *op, struct error *err)
{
    PREPARE(stmt, "INSERT INTO workloads (id, project, name, state, created, record, array) "
                  "VALUES (?, ?, ?, ?, ?, ?, ?)");
    bind_id(stmt, 1, &op->id);
    bind_id(stmt, 2, &op->project);
    bind_str(stmt, 3, op->name);
    sqlite3_bind_int(stmt, 4, (int) op->state);
    sqlite3_bind_int64(stmt, 5, op->time_us);
    bind_json(stmt, 6, op->record);
    if (!id_is_none(&op->array))
        bind_id(stmt, 7, &op->array);
    return sqlite_run(&b->writer, stmt, err);
}

static int update_workload(struct backend *b, const struct op *op, struct error *err)
{
    PREPARE(stmt, "UPDATE workloads SET state = ?, record = ? WHERE id = ?");
    sqlite3_bind_int(stmt, 1, (int) op->state);
    bind_json(stmt, 2, op->record);
    bind_id(stmt, 3, &op->id);
    return sqlite_run(&b->writer, stmt, err);
}

static int put_workload(struct backend *b, const struct op *op, struct error *err)
{
    int before = -1;
    int known = stored_state(b, &op->id, &before, err);
    int r = known < 0 ? known : known ? update_workload(b, op, err) : insert_workload(b, op, err);

    if (r >= 0)
        r = put_tags(b, op, known ? before : -1, err);
    if (r >= 0 && !id_is_none(&op->attempt))
        r = put_attempt(b, op, err);
    if (r < 0)
        return r;
    if (known)
        b->deltas[before]--;
    b->deltas[op->state]++;
    return 0;
}

/* Tasks of a gang have directories of their own; that of rank 0 is the attempt's. */
static int put_task_leftovers(struct backend *b, const struct op *op, const json_t *attempt,
                              struct error *err)
{
    const json_t *task;
    struct id id;
    size_t i;
    int r = 0;

    json_array_foreach(json_object_get(attempt, "tasks"), i, task) {
        if (r < 0 || id_parse(json_get_str(task, "id", ""), &id) < 0)
            continue;
        PREPARE(stmt, "INSERT OR REPLACE INTO leftovers (workload, attempt, project) "
                      "VALUES (?, ?, ?)");
        bind_id(stmt, 1, &op->id);
        bind_id(stmt, 2, &id);
        bind_id(stmt, 3, &op->project);
        r = sqlite_run(&b->writer, stmt, err);
    }
    return r;
}

static int put_gang_leftovers(struct backend *b, const struct op *op, struct error *err)
{
    PREPARE(stmt, "SELECT record FROM attempts WHERE workload = ? AND record LIKE '%\"tasks\"%'");
    bind_id(stmt, 1, &op->id);
    int r = 0;

    while (r >= 0 && sqlite3_step(stmt) == SQLITE_ROW) {
        _cleanup_json_ json_t *attempt = NULL;
        r = column_json(stmt, 0, &attempt, err);
        if (r >= 0)
            r = put_task_leftovers(b, op, attempt, err);
    }
    sqlite3_reset(stmt);
    return r;
}

/* No attempt: the results of the workload. */
static int put_leftovers(struct backend *b, const struct op *op, struct error *err)
{
    PREPARE(attempts, "INSERT OR REPLACE INTO leftovers (workload, attempt, project) "
                      "SELECT workload, id, ? FROM attempts WHERE workload = ?");
    bind_id(attempts, 1, &op->project);
    bind_id(attempts, 2, &op->id);
    int r = sqlite_run(&b->writer, attempts, err);
    if (r >= 0)
        r = put_gang_leftovers(b, op, err);
    if (r < 0)
        return r;
    PREPARE(results, "INSERT OR REPLACE INTO leftovers (workload, attempt, project) "
                     "VALUES (?, ?, ?)");
    bind_id(results, 1, &op->id);
    bind_id(results, 2, &id_none);
    bind_id(results, 3, &op->project);
    return sqlite_run(&b->writer, results, err);
}

static int delete_leftover(struct backend *b, const struct op *op, struct error *err)
{
    PREPARE(stmt, "DELETE FROM leftovers WHERE workload = ? AND attempt = ?");
    bind_id(stmt, 1, &op->id);
    bind_id(stmt, 2, &op->attempt);
    return sqlite_run(&b->writer, stmt, err);
}

static int delete_workload(struct backend *b, const struct op *op, struct error *err)
{
    static const char *const statements[] = {
        "DELETE FROM workloads WHERE id = ?",
        "DELETE FROM workload_tags WHERE workload = ?",
        "DELETE FROM attempts WHERE workload = ?",
        "DELETE FROM artifacts WHERE workload = ?",
    };
    int before = -1;
    int known = stored_state(b, &op->id, &before, err);

    if (known <= 0)
        return known;
    int r = put_leftovers(b, op, err);
    for (size_t i = 0; r >= 0 && i < sizeof statements / sizeof statements[0]; i++)
        r = delete_by_id(b, statements[i], &op->id, err);
    if (r < 0)
        return r;
    b->deltas[before]--;
    return 0;
}

/* ---- data -------------------------------------------------------------------------------------- */

static int put_refs(struct backend *b, const struct op *op, struct error *err)
{
    int r = 0;

    for (size_t i = 0; i < op->n_sums && r >= 0; i++) {
        PREPARE(stmt, "INSERT INTO blob_refs (project, sum, used) VALUES (?, ?, ?) "
                      "ON CONFLICT (project, sum) DO UPDATE SET used = excluded.used "
                      "WHERE used < excluded.used");
        bind_id(stmt, 1, &op->project);
        bind_sum(stmt, 2, &op->sums[i]);
        sqlite3_bind_int64(stmt, 3, op->time_us);
        r = sqlite_run(&b->writer, stmt, err);
    }
    return r;
}

static int touch_refs(struct backend *b, const struct op *op, struct error *err)
{
    int r = 0;

    for (size_t i = 0; i < op->n_sums && r >= 0; i++) {
        PREPARE(stmt, "UPDATE blob_refs SET used = ?3 WHERE project = ?1 AND sum = ?2 "
                      "AND used < ?3");
        bind_id(stmt, 1, &op->project);
        bind_sum(stmt, 2, &op->sums[i]);
        sqlite3_bind_int64(stmt, 3, op->time_us);
        r = sqlite_run(&b->writer, stmt, err);
    }
    return r;
}

static int hold(struct backend *b, const struct op *op, struct error *err)
{
    PREPARE(stmt, "INSERT OR REPLACE INTO holds (holder, project, manifest) VALUES (?, ?, ?)");
    bind_id(stmt, 1, &op->id);
    bind_id(stmt, 2, &op->project);
    bind_sum(stmt, 3, &op->sum);
    return sqlite_run(&b->writer, stmt, err);
}

static int release(struct backend *b, const struct op *op, struct error *err)
{
    PREPARE(stmt, "UPDATE manifests SET used = ?2 WHERE used < ?2 AND (project, sum) IN "
                  "(SELECT project, manifest FROM holds WHERE holder = ?1)");
    bind_id(stmt, 1, &op->id);
    sqlite3_bind_int64(stmt, 2, op->time_us);
    int r = sqlite_run(&b->writer, stmt, err);
    return r < 0 ? r : delete_by_id(b, "DELETE FROM holds WHERE holder = ?", &op->id, err);
}

static int put_artifacts(struct backend *b, const struct op *op, struct error *err)
{
    PREPARE(stmt, "INSERT OR REPLACE INTO artifacts (workload, manifest) VALUES (?, ?)");
    bind_id(stmt, 1, &op->id);
    sqlite3_bind_blob64(stmt, 2, op->bytes, op->len, SQLITE_STATIC);
    int r = sqlite_run(&b->writer, stmt, err);
    return r < 0 ? r : put_refs(b, op, err);
}

static int put_manifest(struct backend *b, const struct op *op, struct error *err)
{
    PREPARE(stmt, "INSERT INTO manifests (project, sum, bytes, used) VALUES (?, ?, ?, ?) "
                  "ON CONFLICT (project, sum) DO UPDATE SET used = excluded.used "
                  "WHERE used < excluded.used");
    bind_id(stmt, 1, &op->project);
    bind_sum(stmt, 2, &op->sum);
    sqlite3_bind_blob64(stmt, 3, op->bytes, op->len, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 4, op->time_us);
    return sqlite_run(&b->writer, stmt, err);
}

static int put_answer(struct backend *b, const struct idempotent_answer *a, struct error *err)
{
    PREPARE(stmt, "INSERT OR REPLACE INTO answers (scope, request, status, body, created) "
                  "VALUES (?, ?, ?, ?, ?)");
    bind_str(stmt, 1, a->scope);
    bind_sum(stmt, 2, &a->request);
    sqlite3_bind_int(stmt, 3, a->status);
    bind_str(stmt, 4, a->body ? a->body : "");
    sqlite3_bind_int64(stmt, 5, a->created_us);
    return sqlite_run(&b->writer, stmt, err);
}

static int delete_answers(struct backend *b, int64_t before_us, struct error *err)
{
    PREPARE(stmt, "DELETE FROM answers WHERE created < ?");
    sqlite3_bind_int64(stmt, 1, before_us);
    return sqlite_run(&b->writer, stmt, err);
}

static int add_event(struct backend *b, const struct event *e, struct error *err)
{
    PREPARE(stmt, "INSERT INTO events (" EVENT_COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    sqlite3_bind_int64(stmt, 1, (int64_t) e->seq);
    bind_id(stmt, 2, &e->id);
    sqlite3_bind_int64(stmt, 3, e->time_us);
    bind_id(stmt, 4, &e->project);
    bind_str(stmt, 5, e->subject_kind);
    bind_id(stmt, 6, &e->subject);
    bind_str(stmt, 7, e->actor);
    bind_str(stmt, 8, e->type);
    sqlite3_bind_int(stmt, 9, (int) e->version);
    bind_json(stmt, 10, e->data);
    return sqlite_run(&b->writer, stmt, err);
}

int sqlite_apply(struct backend *b, const struct op *op, struct error *err)
{
    switch (op->kind) {
    case OP_ORG:
        return put_org(b, op->org, err);
    case OP_PROJECT:
        return put_project(b, op->project_row, err);
    case OP_KEY:
        return put_key(b, op->key, err);
    case OP_KEY_DELETE:
        return delete_by_id(b, "DELETE FROM access_keys WHERE id = ?", &op->id, err);
    case OP_SECRET:
        return put_secret(b, op->secret, err);
    case OP_SECRET_DELETE:
        return delete_by_id(b, "DELETE FROM secrets WHERE id = ?", &op->id, err);
    case OP_IMAGE:
        return put_image(b, op, err);
    case OP_IMAGE_DELETE:
        return delete_by_id(b, "DELETE FROM images WHERE id = ?", &op->id, err);
    case OP_TAGS:
    case OP_MACHINE:
    case OP_BOOKING:
        return put_subject(b, op, err);
    case OP_WORKLOAD:
        return put_workload(b, op, err);
    case OP_WORKLOAD_DELETE:
        return delete_workload(b, op, err);
    case OP_LEFTOVER_DELETE:
        return delete_leftover(b, op, err);
    case OP_ARTIFACTS:
        return put_artifacts(b, op, err);
    case OP_BLOB_REFS:
        return put_refs(b, op, err);
    case OP_BLOB_TOUCH:
        return touch_refs(b, op, err);
    case OP_HOLD:
        return hold(b, op, err);
    case OP_RELEASE:
        return release(b, op, err);
    case OP_REFS_COLLECT:
        return sqlite_collect_refs(b, op, err);
    case OP_MANIFESTS_COLLECT:
        return sqlite_collect_manifests(b, op, err);
    case OP_MANIFEST:
        return put_manifest(b, op, err);
    case OP_DATASET:
    case OP_DATASET_DELETE:
    case OP_DATASET_VERSION:
    case OP_DATASET_VERSION_DELETE:
    case OP_DATASET_USE:
        return sqlite_apply_dataset(b, op, err);
    case OP_ANSWER:
        return put_answer(b, op->answer, err);
    case OP_ANSWERS_DELETE:
        return delete_answers(b, op->time_us, err);
    case OP_EVENT:
        return add_event(b, op->event, err);
    }
    return error_set(err, -EINVAL, "an operation that the store does not know");
}
