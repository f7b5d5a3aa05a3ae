/* sqlite-check.c - loading at start, and proving that rows are the fold of events */
#include "store/sqlite.h"

#include "base/alloc.h"

#include <errno.h>
#include <string.h>

#define PREPARE(stmt, sql)                                                                         \
    sqlite3_stmt *stmt = sqlite_statement(&b->writer, sql, err);                                   \
    if (!stmt)                                                                                     \
    return -EIO

/* ---- loading ----------------------------------------------------------------------------------- */

static int load_orgs(struct backend *b, struct store_state *ret, struct error *err)
{
    PREPARE(stmt, "SELECT id, name, created, weight FROM orgs ORDER BY id");
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        struct org *org = xnew(struct org);
        org->id = column_id(stmt, 0);
        org->name = column_str(stmt, 1);
        org->created_us = sqlite3_column_int64(stmt, 2);
        org->weight = (unsigned) sqlite3_column_int64(stmt, 3);
        vec_push(&ret->orgs, org);
    }
    sqlite3_reset(stmt);
    return 0;
}

static int load_projects(struct backend *b, struct store_state *ret, struct error *err)
{
    PREPARE(stmt,
            "SELECT id, org, name, uid_range, created, account, weight FROM projects ORDER BY id");
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        struct project *p = xnew(struct project);
        p->id = column_id(stmt, 0);
        p->org = column_id(stmt, 1);
        p->name = column_str(stmt, 2);
        p->range = (unsigned) sqlite3_column_int64(stmt, 3);
        p->created_us = sqlite3_column_int64(stmt, 4);
        p->account = column_str(stmt, 5);
        p->weight = (unsigned) sqlite3_column_int64(stmt, 6);
        if (p->range >= ret->next_range)
            ret->next_range = p->range + 1;
        vec_push(&ret->projects, p);
    }
    sqlite3_reset(stmt);
    return 0;
}

static int load_keys(struct backend *b, struct store_state *ret, struct error *err)
{
    PREPARE(stmt, "SELECT id, project, name, prefix, hash, role, created, expires "
                  "FROM access_keys ORDER BY id");
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        struct key *key = xnew(struct key);
        key->id = column_id(stmt, 0);
        key->project = column_id(stmt, 1);
        key->name = column_str(stmt, 2);
        key->prefix = column_str(stmt, 3);
        if (sqlite3_column_bytes(stmt, 4) == (int) sizeof key->hash.bytes)
            memcpy(key->hash.bytes, sqlite3_column_blob(stmt, 4), sizeof key->hash.bytes);
        key->role = (enum key_role) sqlite3_column_int(stmt, 5);
        key->created_us = sqlite3_column_int64(stmt, 6);
        key->expires_us = sqlite3_column_int64(stmt, 7);
        vec_push(&ret->keys, key);
    }
    sqlite3_reset(stmt);
    return 0;
}

static int load_secrets(struct backend *b, struct store_state *ret, struct error *err)
{
    PREPARE(stmt, "SELECT id, project, name, sealed, created, updated FROM secrets ORDER BY id");
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        struct secret *s = xnew(struct secret);
        s->id = column_id(stmt, 0);
        s->project = column_id(stmt, 1);
        s->name = column_str(stmt, 2);
        s->sealed_len = (size_t) sqlite3_column_bytes(stmt, 3);
        s->sealed = xmemdup(sqlite3_column_blob(stmt, 3), s->sealed_len);
        s->created_us = sqlite3_column_int64(stmt, 4);
        s->updated_us = sqlite3_column_int64(stmt, 5);
        vec_push(&ret->secrets, s);
    }
    sqlite3_reset(stmt);
    return 0;
}

static int load_images(struct backend *b, struct store_state *ret, struct error *err)
{
    PREPARE(stmt, "SELECT record FROM images ORDER BY id");
    int r = 0;
    while (r >= 0 && sqlite3_step(stmt) == SQLITE_ROW) {
        _cleanup_json_ json_t *record = NULL;
        struct image_record *image = NULL;
        r = column_json(stmt, 0, &record, err);
        if (r >= 0)
            r = image_record_from_json(record, &image, err);
        if (r >= 0)
            vec_push(&ret->images, image);
    }
    sqlite3_reset(stmt);
    return r < 0 ? error_context(err, r, "loading an image") : 0;
}

static int load_subjects(struct backend *b, const char *sql, struct subject_records *ret,
                         struct error *err)
{
    PREPARE(stmt, sql);
    int r = 0;
    while (r >= 0 && sqlite3_step(stmt) == SQLITE_ROW) {
        struct subject_record one = { .subject = column_id(stmt, 0) };
        r = column_json(stmt, 1, &one.record, err);
        if (r >= 0)
            vec_push(ret, one);
    }
    sqlite3_reset(stmt);
    return r;
}

int sqlite_load_tags(struct backend *b, struct store_state *ret, struct error *err)
{
    int r = load_subjects(b, "SELECT subject, record FROM tags ORDER BY subject", &ret->tags, err);

    return r < 0 ? error_context(err, r, "loading tags") : 0;
}

static int load_machines(struct backend *b, struct store_state *ret, struct error *err)
{
    int r = load_subjects(b, "SELECT subject, record FROM machines ORDER BY subject",
                          &ret->machines, err);

    return r < 0 ? error_context(err, r, "loading machines") : 0;
}

static int load_bookings(struct backend *b, struct store_state *ret, struct error *err)
{
    int r = load_subjects(b, "SELECT subject, record FROM bookings ORDER BY subject",
                          &ret->bookings, err);

    return r < 0 ? error_context(err, r, "loading bookings") : 0;
}

static int load_workloads(struct backend *b, struct store_state *ret, struct error *err)
{
    /* The states that are not final; the condition is that of the partial index. */
    _Static_assert(WORKLOAD_SUCCEEDED == 5, "the index workloads_live knows this number");
    PREPARE(stmt, "SELECT record FROM workloads INDEXED BY workloads_live WHERE state < 5 "
                  "ORDER BY id");
    int r = 0;
    while (r >= 0 && sqlite3_step(stmt) == SQLITE_ROW) {
        _cleanup_json_ json_t *record = NULL;
        struct workload *w = NULL;
        r = column_json(stmt, 0, &record, err);
        if (r >= 0)
            r = workload_from_record(record, &w, err);
        if (r >= 0)
            vec_push(&ret->workloads, w);
    }
    sqlite3_reset(stmt);
    return r < 0 ? error_context(err, r, "loading a workload") : 0;
}

static int load_last(struct backend *b, struct store_state *ret, struct error *err)
{
    PREPARE(stmt, "SELECT seq, time FROM events ORDER BY seq DESC LIMIT 1");
    if (sqlite3_step(stmt) == SQLITE_ROW) {
        ret->seq = (uint64_t) sqlite3_column_int64(stmt, 0);
        ret->last_time_us = sqlite3_column_int64(stmt, 1);
    }
    sqlite3_reset(stmt);
    return 0;
}

int sqlite_load(struct backend *b, struct store_state *ret, struct error *err)
{
    int r = load_orgs(b, ret, err);

    if (r >= 0)
        r = load_projects(b, ret, err);
    if (r >= 0)
        r = load_keys(b, ret, err);
    if (r >= 0)
        r = load_secrets(b, ret, err);
    if (r >= 0)
        r = sqlite_load_datasets(b, ret, err);
    if (r >= 0)
        r = load_images(b, ret, err);
    if (r >= 0)
        r = sqlite_load_tags(b, ret, err);
    if (r >= 0)
        r = load_machines(b, ret, err);
    if (r >= 0)
        r = load_bookings(b, ret, err);
    if (r >= 0)
        r = load_workloads(b, ret, err);
    return r < 0 ? r : load_last(b, ret, err);
}

/* ---- checking ---------------------------------------------------------------------------------- */

void sqlite_difference(struct sqlite_check *check, const char *fmt, ...)
{
    _cleanup_text_ struct text text = { 0 };
    va_list ap;
    va_start(ap, fmt);
    text_addv(&text, fmt, ap);
    va_end(ap);
    check->found++;
    check->report(check->userdata, text_str(&text));
}

int sqlite_expect_none(struct sqlite_check *check, const struct sqlite_expectation *none)
{
    struct backend *b = check->b;
    struct error *err = check->err;

    for (; none->sql; none++) {
        PREPARE(stmt, none->sql);
        if (sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_int64(stmt, 0) > 0)
            sqlite_difference(check, "%lld %s", (long long) sqlite3_column_int64(stmt, 0),
                              none->what);
        sqlite3_reset(stmt);
    }
    return 0;
}

/* The attempt's own row, against the fold up to an event that changed it last. */
static int check_attempt(struct sqlite_check *check, const struct attempt *attempt)
{
    struct backend *b = check->b;
    struct error *err = check->err;
    _cleanup_json_ json_t *stored = NULL, *folded = attempt_to_json(attempt);
    char name[ID_TEXT_LEN + 1];

    PREPARE(stmt, "SELECT record FROM attempts WHERE id = ?");
    bind_id(stmt, 1, &attempt->id);
    if (sqlite3_step(stmt) == SQLITE_ROW)
        (void) column_json(stmt, 0, &stored, err);
    sqlite3_reset(stmt);
    _cleanup_free_ char *x = stored ? json_canonical(stored) : NULL, *y = json_canonical(folded);
    if (!str_equal(x, y))
        sqlite_difference(check, "attempt %s: the row differs from its events",
                          id_format(&attempt->id, name));
    return 0;
}

static int fold(struct sqlite_check *check, const struct id *subject, struct workload **ret)
{
    struct backend *b = check->b;
    struct error *err = check->err;
    char name[ID_TEXT_LEN + 1];
    PREPARE(stmt, "SELECT " EVENT_COLUMNS " FROM events WHERE subject = ? AND type LIKE 'job.%' "
                  "ORDER BY seq");
    bind_id(stmt, 1, subject);
    int r = 0;
    while (r >= 0 && sqlite3_step(stmt) == SQLITE_ROW) {
        _cleanup_(event_freep) struct event *e = event_of_row(stmt, err);
        struct error why = { 0 };
        if (e && *ret && (*ret)->attempt && workload_event_parse(e->type) == EVENT_STARTING)
            r = check_attempt(check, (*ret)->attempt); /* the last that is seen of it */
        if (!e || workload_apply(ret, e, &why) < 0) {
            sqlite_difference(check, "job %s, event %lld: %s", id_format(subject, name),
                              (long long) sqlite3_column_int64(stmt, 0), e ? why.text : err->text);
            break;
        }
    }
    sqlite3_reset(stmt);
    return r < 0 || !*ret || !(*ret)->attempt ? r : check_attempt(check, (*ret)->attempt);
}

/* What lists look at, beside the record. */
struct columns {
    struct id id, project;
    char *name;
    struct id array;
    int state;
    int64_t created_us;
};

static bool columns_agree(const struct columns *row, const struct workload *w)
{
    _cleanup_free_ char *name = workload_listed_name(w);
    const struct id *array = workload_in_array(w) ? &w->spec->array->id : &id_none;

    return id_equal(&row->project, &w->project) && str_equal(row->name, name) &&
           id_equal(&row->array, array) && row->state == (int) w->state &&
           row->created_us == w->created_us;
}

/* The row's record against the fold of its events, as canonical text. */
static int check_row(struct sqlite_check *check, const struct columns *row, const char *record)
{
    _cleanup_(workload_freep) struct workload *w = NULL;
    _cleanup_json_ json_t *stored = NULL, *folded = NULL;
    char name[ID_TEXT_LEN + 1];

    int r = fold(check, &row->id, &w);
    if (r < 0)
        return r;
    if (json_parse(record, strlen(record), &stored, check->err) < 0 || !w) {
        sqlite_difference(check, "job %s: %s", id_format(&row->id, name),
                          w ? check->err->text : "has no events");
        return 0;
    }
    folded = workload_to_record(w);
    _cleanup_free_ char *a = json_canonical(stored), *b = json_canonical(folded);
    if (!str_equal(a, b) || !columns_agree(row, w))
        sqlite_difference(check, "job %s: the row differs from its events",
                          id_format(&row->id, name));
    return 0;
}

static int check_rows(struct sqlite_check *check)
{
    struct backend *b = check->b;
    struct error *err = check->err;
    PREPARE(stmt, "SELECT id, record, project, name, state, created, array FROM workloads "
                  "ORDER BY id");
    int r = 0;
    while (r >= 0 && sqlite3_step(stmt) == SQLITE_ROW) {
        _cleanup_free_ char *record = column_str(stmt, 1), *name = column_str(stmt, 3);
        const struct columns row = { .id = column_id(stmt, 0),
                                     .project = column_id(stmt, 2),
                                     .name = name,
                                     .state = sqlite3_column_int(stmt, 4),
                                     .created_us = sqlite3_column_int64(stmt, 5),
                                     .array = column_id(stmt, 6) };
        r = check_row(check, &row, record);
    }
    sqlite3_reset(stmt);
    return r;
}

/* Each file of an artifact list is one that its project references. */
static int check_list(struct sqlite_check *check, const struct id *workload,
                      const struct id *project, const struct manifest *manifest)
{
    struct backend *b = check->b;
    struct error *err = check->err;
    char name[ID_TEXT_LEN + 1];

    PREPARE(stmt, "SELECT 1 FROM blob_refs WHERE project = ? AND sum = ?");
    bind_id(stmt, 1, project);
    for (size_t i = 0; i < manifest->n; i++) {
        const struct manifest_entry *entry = &manifest->entries[i];
        if (entry->link)
            continue;
        bind_sum(stmt, 2, &entry->sum);
        if (sqlite3_step(stmt) != SQLITE_ROW)
            sqlite_difference(check, "job %s: its artifact %s is not referenced by its project",
                              id_format(workload, name), entry->path);
        sqlite3_reset(stmt);
    }
    return 0;
}

static int check_references(struct sqlite_check *check)
{
    struct backend *b = check->b;
    struct error *err = check->err;
    PREPARE(stmt, "SELECT a.workload, w.project, a.manifest FROM artifacts a "
                  "JOIN workloads w ON w.id = a.workload");
    int r = 0;
    while (r >= 0 && sqlite3_step(stmt) == SQLITE_ROW) {
        struct id workload = column_id(stmt, 0), project = column_id(stmt, 1);
        _cleanup_(manifest_freep) struct manifest *manifest = NULL;
        char name[ID_TEXT_LEN + 1];
        struct error why = { 0 };
        if (manifest_parse(sqlite3_column_blob(stmt, 2), (size_t) sqlite3_column_bytes(stmt, 2),
                           &manifest, &why) < 0)
            sqlite_difference(check, "job %s: its artifact list: %s", id_format(&workload, name),
                              why.text);
        else
            r = check_list(check, &workload, &project, manifest);
    }
    sqlite3_reset(stmt);
    return r;
}

static int check_queries(struct sqlite_check *check)
{
    static const struct sqlite_expectation none[] = {
        { "SELECT count(*) FROM (SELECT state, count(*) AS k FROM workloads GROUP BY state) s "
          "LEFT JOIN workload_counts c ON c.state = s.state WHERE c.n IS NULL OR c.n <> s.k",
          "states whose count is wrong" },
        { "SELECT count(*) FROM workload_tags t LEFT JOIN workloads w ON w.id = t.workload "
          "WHERE w.id IS NULL OR w.project <> t.project",
          "tags without a job" },
        { "SELECT count(*) FROM workload_tags t JOIN workloads w ON w.id = t.workload "
          "WHERE w.state <> t.state",
          "tags with another state than their job" },
        { "SELECT count(*) FROM attempts a LEFT JOIN workloads w ON w.id = a.workload "
          "WHERE w.id IS NULL",
          "attempts without a job" },
        { "SELECT count(*) FROM artifacts a LEFT JOIN workloads w ON w.id = a.workload "
          "WHERE w.id IS NULL",
          "artifact lists without a job" },
        { "SELECT count(*) FROM holds h LEFT JOIN blob_refs r ON r.project = h.project "
          "AND r.sum = h.manifest WHERE r.sum IS NULL",
          "holds of manifests that their project does not reference" },
        { "SELECT count(*) FROM events a JOIN events b ON b.seq = a.seq + 1 WHERE b.time < a.time",
          "events earlier than the one before" },
        { NULL, NULL },
    };

    return sqlite_expect_none(check, none);
}

static int check_pages(struct sqlite_check *check)
{
    struct backend *b = check->b;
    struct error *err = check->err;
    PREPARE(stmt, "PRAGMA integrity_check(20)");
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        const char *text = (const char *) sqlite3_column_text(stmt, 0);
        if (strcmp(text, "ok") != 0)
            sqlite_difference(check, "database: %s", text);
    }
    sqlite3_reset(stmt);
    return 0;
}

int sqlite_check(struct backend *b, void (*report)(void *userdata, const char *text),
                 void *userdata, struct error *err)
{
    struct error mine = { 0 };
    struct sqlite_check check = {
        .b = b, .report = report, .userdata = userdata, .err = err ? err : &mine
    };
    int r = check_pages(&check);

    if (r >= 0)
        r = check_rows(&check);
    if (r >= 0)
        r = check_references(&check);
    if (r >= 0)
        r = check_queries(&check);
    if (r >= 0)
        r = sqlite_check_datasets(&check);
    if (r >= 0)
        r = sqlite_check_tags(&check);
    return r < 0 ? r : check.found;
}
