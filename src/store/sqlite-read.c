/* sqlite-read.c - queries as SQL; on a reader's thread with a connection of its own */
#include "store/sqlite.h"

#include "base/alloc.h"
#include "base/time.h"

#include <errno.h>
#include <string.h>

#define PREPARE(stmt, sql)                                                                         \
    sqlite3_stmt *stmt = sqlite_statement(c, sql, &q->err);                                        \
    if (!stmt)                                                                                     \
    return -EIO

/* ---- workloads --------------------------------------------------------------------------------- */

static int take_workload(sqlite3_stmt *stmt, int column, struct query *q)
{
    _cleanup_json_ json_t *record = NULL;
    struct workload *w = NULL;
    int r = column_json(stmt, column, &record, &q->err);

    if (r >= 0)
        r = workload_from_record(record, &w, &q->err);
    if (r >= 0)
        vec_push(&q->workloads, w);
    return r;
}

static bool name_matches(const struct workload_filter *f, const char *name)
{
    size_t n = f->name ? strlen(f->name) : 0;

    if (!n)
        return true;
    return f->name[n - 1] == '*' ? strncmp(f->name, name, n - 1) == 0 : strcmp(f->name, name) == 0;
}

/* Ids are made at the time of creation, give or take the clock's step: the bounds of a range of
 * times bound ids too, with a minute to spare. */
static void id_bounds(const struct workload_filter *f, struct id *ret_low, struct id *ret_high)
{
    static const uint8_t zeros[10];
    const int64_t spare = 60 * US_PER_S;

    memset(ret_low, 0, sizeof *ret_low);
    memset(ret_high, 0xff, sizeof *ret_high);
    if (f->since_us > spare)
        *ret_low = id_make(f->since_us - spare, zeros);
    if (f->until_us)
        *ret_high = id_make(f->until_us + spare, zeros);
    if (!id_is_none(&f->before) && id_compare(&f->before, ret_high) < 0)
        *ret_high = f->before;
}

enum { WALK_ALL = 0, WALK_FEW = 1000, WALK_SOME = 10000 };

static void forget_workloads(struct query *q)
{
    vec_foreach(&q->workloads, w)
        workload_free(*w);
    q->workloads.len = 0;
}

/* Where arrays are one item: not the row of one of them beside the first; with states not even that one,
 * for it is listed by those of all. */
static bool is_hidden(sqlite3_stmt *stmt, const struct workload_filter *f)
{
    if (!f->whole_arrays || sqlite3_column_type(stmt, 5) == SQLITE_NULL)
        return false;
    struct id id = column_id(stmt, 0), array = column_id(stmt, 5);
    return f->states || !id_equal(&id, &array);
}

/* Columns: id, name, state, created, record, array; newest first. Takes rows that match what the index did
 * not decide, until LIMIT. -EAGAIN, with nothing taken, after having looked at AT_MOST rows. */
static int scan(sqlite3_stmt *stmt, struct query *q, unsigned at_most)
{
    const struct workload_filter *f = &q->filter;
    size_t end = q->workloads.len + f->limit;
    unsigned seen = 0;
    int r = 0;

    while (r >= 0 && q->workloads.len < end && sqlite3_step(stmt) == SQLITE_ROW) {
        if (at_most && ++seen > at_most) {
            forget_workloads(q);
            r = -EAGAIN;
            break;
        }
        int64_t created = sqlite3_column_int64(stmt, 3);
        unsigned state = (unsigned) sqlite3_column_int(stmt, 2);
        if ((f->states && !(f->states & 1u << state)) || is_hidden(stmt, f) ||
            !name_matches(f, (const char *) sqlite3_column_text(stmt, 1)) ||
            (f->since_us && created < f->since_us) || (f->until_us && created >= f->until_us))
            continue;
        r = take_workload(stmt, 4, q);
    }
    sqlite3_reset(stmt);
    return r;
}

#define ROW "w.id, w.name, w.state, w.created, w.record, w.array"

static int list_all(struct connection *c, struct query *q, const struct id *low,
                    const struct id *high, unsigned at_most)
{
    const struct workload_filter *f = &q->filter;
    const char *sql = id_is_none(&f->project)
                          ? "SELECT " ROW " FROM workloads w WHERE w.id >= ?2 AND w.id < ?3 "
                            "ORDER BY w.id DESC"
                          : "SELECT " ROW " FROM workloads w WHERE w.project = ?1 "
                            "AND w.id >= ?2 AND w.id < ?3 ORDER BY w.id DESC";
    PREPARE(stmt, sql);
    if (!id_is_none(&f->project))
        bind_id(stmt, 1, &f->project);
    bind_id(stmt, 2, low);
    bind_id(stmt, 3, high);
    return scan(stmt, q, at_most);
}

/* With the tag of the filter, if there is one. */
static int list_state(struct connection *c, struct query *q, unsigned state, const struct id *low,
                      const struct id *high)
{
#define TAGGED "SELECT " ROW " FROM workload_tags t "
#define OF_TAG                                                                                     \
    "JOIN workloads w ON w.id = t.workload WHERE t.project = ?1 AND t.state = ?2 "                 \
    "AND t.workload >= ?3 AND t.workload < ?4 AND t.tag = ?5 "
    const struct workload_filter *f = &q->filter;
#define OF_STATE                                                                                   \
    " FROM workloads w WHERE w.project = ?1 AND w.state = ?2 AND w.id >= ?3 AND w.id < ?4 "
    const char *sql = !f->tag_key && f->whole_arrays ? "SELECT " ROW OF_STATE
                                                       "AND w.array IS NULL ORDER BY w.id DESC"
                      : !f->tag_key   ? "SELECT " ROW OF_STATE "ORDER BY w.id DESC"
                      : !f->tag_value ? TAGGED "INDEXED BY workload_tags_any_by_state " OF_TAG
                                               "ORDER BY t.workload DESC"
                                      : TAGGED "INDEXED BY workload_tags_by_state " OF_TAG
                                               "AND t.value = ?6 ORDER BY t.workload DESC";
    PREPARE(stmt, sql);
    bind_id(stmt, 1, &f->project);
    sqlite3_bind_int(stmt, 2, (int) state);
    bind_id(stmt, 3, low);
    bind_id(stmt, 4, high);
    if (f->tag_key)
        bind_str(stmt, 5, f->tag_key);
    if (f->tag_key && f->tag_value)
        bind_str(stmt, 6, f->tag_value);
    return scan(stmt, q, WALK_ALL);
}

static int list_tag(struct connection *c, struct query *q, const struct id *low,
                    const struct id *high)
{
    const struct workload_filter *f = &q->filter;
    const char *sql = f->tag_value ? "SELECT " ROW " FROM workload_tags t "
                                     "JOIN workloads w ON w.id = t.workload "
                                     "WHERE t.project = ?1 AND t.tag = ?2 AND t.value = ?5 "
                                     "AND t.workload >= ?3 AND t.workload < ?4 "
                                     "ORDER BY t.workload DESC"
                                   : "SELECT " ROW " FROM workload_tags t "
                                     "INDEXED BY workload_tags_any "
                                     "JOIN workloads w ON w.id = t.workload "
                                     "WHERE t.project = ?1 AND t.tag = ?2 "
                                     "AND t.workload >= ?3 AND t.workload < ?4 "
                                     "ORDER BY t.workload DESC";
    PREPARE(stmt, sql);
    bind_id(stmt, 1, &f->project);
    bind_str(stmt, 2, f->tag_key);
    bind_id(stmt, 3, low);
    bind_id(stmt, 4, high);
    if (f->tag_value)
        bind_str(stmt, 5, f->tag_value);
    return scan(stmt, q, WALK_ALL);
}

static int list_name(struct connection *c, struct query *q, const struct id *low,
                     const struct id *high)
{
    PREPARE(stmt, "SELECT " ROW " FROM workloads w WHERE w.project = ? AND w.name = ? "
                  "AND w.id >= ? AND w.id < ? ORDER BY w.id DESC");
    bind_id(stmt, 1, &q->filter.project);
    bind_str(stmt, 2, q->filter.name);
    bind_id(stmt, 3, low);
    bind_id(stmt, 4, high);
    return scan(stmt, q, WALK_ALL);
}

typedef VEC(struct id) id_list;

static int newest_id_first(const void *a, const void *b) { return id_compare(b, a); }

/* The ids of a prefix, newest first, from the index alone: rows are long. At most AT_MOST. */
static int prefix_ids(struct connection *c, struct query *q, const char *const range[static 2],
                      unsigned at_most, id_list *ret)
{
    PREPARE(stmt, "SELECT id FROM workloads INDEXED BY workloads_by_name "
                  "WHERE project = ? AND name >= ? AND name < ? LIMIT ?");
    bind_id(stmt, 1, &q->filter.project);
    bind_str(stmt, 2, range[0]);
    bind_str(stmt, 3, range[1]);
    sqlite3_bind_int64(stmt, 4, at_most);
    while (sqlite3_step(stmt) == SQLITE_ROW)
        vec_push(ret, column_id(stmt, 0));
    sqlite3_reset(stmt);
    if (ret->len)
        qsort(ret->items, ret->len, sizeof *ret->items, newest_id_first);
    return 0;
}

/* The page of those of IDS that lie within the bounds. */
static int take_ids(struct connection *c, struct query *q, const id_list *ids, const struct id *low,
                    const struct id *high)
{
    int r = 0;

    for (size_t i = 0; i < ids->len && r >= 0 && q->workloads.len < q->filter.limit; i++) {
        const struct id *id = &ids->items[i];
        if (id_compare(id, low) < 0 || id_compare(id, high) >= 0)
            continue;
        PREPARE(stmt, "SELECT " ROW " FROM workloads w WHERE w.id = ?");
        bind_id(stmt, 1, id);
        r = scan(stmt, q, WALK_ALL);
    }
    return r;
}

/* A prefix that many jobs have is found soon by walking back from the newest, unless all of them are
 * old; one that few have by the index on names, then sorted. */
static int list_prefix(struct connection *c, struct query *q, const struct id *low,
                       const struct id *high)
{
    enum { FEW = 5000 };
    const struct workload_filter *f = &q->filter;
    _cleanup_free_ char *from = xstrndup(f->name, strlen(f->name) - 1);
    _cleanup_free_ char *to = xasprintf("%s\x7f", from);
    const char *const range[] = { from, to };
    id_list ids = { 0 };

    int r = list_all(c, q, low, high, WALK_FEW);
    if (r != -EAGAIN)
        return r;
    r = prefix_ids(c, q, range, FEW, &ids);
    bool is_few = r >= 0 && ids.len < FEW;
    if (r >= 0 && !is_few)
        r = list_all(c, q, low, high, WALK_SOME);
    if (r == -EAGAIN) {
        ids.len = 0;
        r = prefix_ids(c, q, range, UINT32_MAX, &ids);
        is_few = true;
    }
    if (r >= 0 && is_few)
        r = take_ids(c, q, &ids, low, high);
    vec_done(&ids);
    return r;
}

static int newest_first(const void *a, const void *b)
{
    const struct workload *const *x = a, *const *y = b;
    return id_compare(&(*y)->id, &(*x)->id);
}

/* States are few: the newest of each, merged, so that a rare state is not searched among many. */
static int list_states(struct connection *c, struct query *q, const struct id *low,
                       const struct id *high)
{
    int r = 0;

    for (unsigned state = 0; state < WORKLOAD_STATE_MAX && r >= 0; state++)
        if (q->filter.states & 1u << state)
            r = list_state(c, q, state, low, high);
    if (r >= 0 && q->filter.whole_arrays)
        r = sqlite_list_heads(c, q, low, high);
    if (r < 0 || !q->workloads.len)
        return r;
    qsort(q->workloads.items, q->workloads.len, sizeof *q->workloads.items, newest_first);
    while (q->workloads.len > q->filter.limit)
        workload_free(q->workloads.items[--q->workloads.len]);
    return 0;
}

/* Have at most an eighth of all jobs one of these states? Then they lead to a page sooner than a name
 * does. */
static bool states_are_rare(struct connection *c, unsigned states)
{
    uint64_t all = 0, these = 0;
    sqlite3_stmt *stmt = sqlite_statement(c, "SELECT state, n FROM workload_counts", NULL);

    while (stmt && sqlite3_step(stmt) == SQLITE_ROW) {
        uint64_t n = (uint64_t) sqlite3_column_int64(stmt, 1);
        all += n;
        if (states & 1u << sqlite3_column_int(stmt, 0))
            these += n;
    }
    sqlite3_reset(stmt);
    return these <= all / 8;
}

static int list_array(struct connection *c, struct query *q, const struct id *low,
                      const struct id *high)
{
    PREPARE(stmt, "SELECT " ROW " FROM workloads w WHERE w.array = ? AND w.id >= ? AND w.id < ? "
                  "ORDER BY w.id DESC");
    bind_id(stmt, 1, &q->filter.array);
    bind_id(stmt, 2, low);
    bind_id(stmt, 3, high);
    return scan(stmt, q, WALK_ALL);
}

static int list_workloads(struct connection *c, struct query *q)
{
    const struct workload_filter *f = &q->filter;
    struct id low, high;

    id_bounds(f, &low, &high);
    if (!id_is_none(&f->array))
        return list_array(c, q, &low, &high);
    if (f->states && f->whole_arrays)
        return list_states(c, q, &low, &high);
    if (id_is_none(&f->project))
        return list_all(c, q, &low, &high, WALK_ALL);
    if (f->states && (f->tag_key || !f->name || states_are_rare(c, f->states)))
        return list_states(c, q, &low, &high);
    if (f->tag_key)
        return list_tag(c, q, &low, &high);
    if (f->name && str_ends(f->name, "*"))
        return list_prefix(c, q, &low, &high);
    return f->name ? list_name(c, q, &low, &high) : list_all(c, q, &low, &high, WALK_ALL);
}

static int answer_workloads(struct connection *c, struct query *q)
{
    int r = list_workloads(c, q);

    return r >= 0 && q->filter.whole_arrays ? sqlite_count_arrays(c, q) : r;
}

/* Several statements that see one moment. */
static int at_one_moment(int (*answer)(struct connection *c, struct query *q), struct connection *c,
                         struct query *q)
{
    PREPARE(begin, "BEGIN");
    int r = sqlite_run(c, begin, &q->err);
    if (r >= 0)
        r = answer(c, q);
    PREPARE(commit, "COMMIT");
    int end = sqlite_run(c, commit, r < 0 ? NULL : &q->err);
    return r < 0 ? r : end;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The canonical text of an id is its bytes in hex with hyphens: a prefix of four digits or more
 * bounds a range. */
static bool prefix_bounds(const char *text, struct id *low, struct id *high)
{
    unsigned digits = 0;

    memset(low, 0, sizeof *low);
    memset(high, 0xff, sizeof *high);
    for (const char *p = text; *p; p++) {
        if (*p == '-')
            continue;
        int v = hex_digit(*p);
        if (v < 0 || digits == 32)
            return false;
        unsigned shift = digits % 2 ? 0 : 4;
        uint8_t mask = (uint8_t) (0xf << shift);
        low->bytes[digits / 2] = (uint8_t) ((low->bytes[digits / 2] & ~mask) | v << shift);
        high->bytes[digits / 2] = (uint8_t) ((high->bytes[digits / 2] & ~mask) | v << shift);
        digits++;
    }
    return digits >= 4;
}

/* Up to 2, so that an ambiguous prefix shows. The jobs of an array go by whole ids only: what they have in
 * common is the array's. */
static int find_by_prefix(struct connection *c, struct query *q)
{
    struct id low, high;

    if (!prefix_bounds(q->text, &low, &high))
        return 0;
    PREPARE(stmt, "SELECT project, record FROM workloads WHERE id >= ?1 AND id <= ?2 "
                  "AND (array IS NULL OR array = id OR ?1 = ?2) ORDER BY id DESC LIMIT 100");
    bind_id(stmt, 1, &low);
    bind_id(stmt, 2, &high);
    int r = 0;
    while (r >= 0 && q->workloads.len < 2 && sqlite3_step(stmt) == SQLITE_ROW) {
        struct id project = column_id(stmt, 0);
        if (id_is_none(&q->project) || id_equal(&project, &q->project))
            r = take_workload(stmt, 1, q);
    }
    sqlite3_reset(stmt);
    return r;
}

static int find_text(struct connection *c, struct query *q)
{
    PREPARE(stmt, "SELECT record FROM workloads WHERE project = ? AND name = ? "
                  "ORDER BY id DESC LIMIT 1");
    bind_id(stmt, 1, &q->project);
    bind_str(stmt, 2, q->text);
    int r = sqlite3_step(stmt) == SQLITE_ROW ? take_workload(stmt, 0, q) : 0;
    sqlite3_reset(stmt);
    return r < 0 || q->workloads.len ? r : find_by_prefix(c, q);
}

/* The job INDEX of the array that HEAD (taken) heads. */
static int find_element(struct connection *c, struct query *q, struct workload *head,
                        unsigned index)
{
    if (head->spec->array->index == index) {
        vec_push(&q->workloads, head);
        return 0;
    }
    _cleanup_free_ char *array = workload_array_name(head);
    _cleanup_free_ char *name = xasprintf("%s_%u", array, index);
    _cleanup_(workload_freep) struct workload *done = head;
    PREPARE(stmt, "SELECT record FROM workloads WHERE project = ? AND name = ? AND array = ?");
    bind_id(stmt, 1, &head->project);
    bind_str(stmt, 2, name);
    bind_id(stmt, 3, &head->id);
    int r = sqlite3_step(stmt) == SQLITE_ROW ? take_workload(stmt, 0, q) : 0;
    sqlite3_reset(stmt);
    return r;
}

/* NAME_INDEX or ID_INDEX */
static int find_indexed(struct connection *c, struct query *q)
{
    unsigned index = 0;
    char *base = array_text_split(q->text, &index);

    if (!base)
        return 0;
    free(q->text);
    q->text = base;
    int r = find_text(c, q);
    if (r < 0 || q->workloads.len != 1)
        return r;
    struct workload *head = q->workloads.items[0];
    q->workloads.len = 0;
    if (workload_heads_array(head))
        return find_element(c, q, head, index);
    workload_free(head);
    return 0;
}

static int answer_find(struct connection *c, struct query *q)
{
    int r = find_text(c, q);

    if (r >= 0 && !q->workloads.len)
        r = find_indexed(c, q);
    return r < 0 ? r : sqlite_count_arrays(c, q);
}

/* ---- the rest ---------------------------------------------------------------------------------- */

static int answer_attempts(struct connection *c, struct query *q)
{
    PREPARE(stmt, "SELECT record FROM attempts WHERE workload = ? ORDER BY number");
    bind_id(stmt, 1, &q->subject);
    int r = 0;
    while (r >= 0 && sqlite3_step(stmt) == SQLITE_ROW) {
        _cleanup_json_ json_t *record = NULL;
        struct attempt *attempt = NULL;
        r = column_json(stmt, 0, &record, &q->err);
        if (r >= 0)
            r = attempt_from_json(record, &attempt, &q->err);
        if (r >= 0)
            vec_push(&q->attempts, attempt);
    }
    sqlite3_reset(stmt);
    return r;
}

static int answer_leftovers(struct connection *c, struct query *q)
{
    PREPARE(stmt, "SELECT project, workload, attempt FROM leftovers "
                  "WHERE (workload, attempt) > (?, ?) ORDER BY workload, attempt LIMIT ?");
    bind_id(stmt, 1, &q->after_leftover.workload);
    bind_id(stmt, 2, &q->after_leftover.attempt);
    sqlite3_bind_int64(stmt, 3, q->limit);
    while (sqlite3_step(stmt) == SQLITE_ROW)
        vec_push(&q->leftovers, ((struct leftover){ .project = column_id(stmt, 0),
                                                    .workload = column_id(stmt, 1),
                                                    .attempt = column_id(stmt, 2) }));
    sqlite3_reset(stmt);
    return 0;
}

/* Kind and type in one piece of memory that the event owns. */
static void take_names(struct event *e, sqlite3_stmt *stmt)
{
    const char *kind = (const char *) sqlite3_column_text(stmt, 4);
    size_t n = strlen(kind) + 1;
    e->names = xasprintf("%s%c%s", kind, '|', (const char *) sqlite3_column_text(stmt, 7));
    e->names[n - 1] = '\0';
    e->subject_kind = e->names;
    e->type = e->names + n;
}

struct event *event_of_row(sqlite3_stmt *stmt, struct error *err)
{
    struct event *e = xnew(struct event);
    json_t *data = NULL;

    e->seq = (uint64_t) sqlite3_column_int64(stmt, 0);
    e->id = column_id(stmt, 1);
    e->time_us = sqlite3_column_int64(stmt, 2);
    e->project = column_id(stmt, 3);
    e->subject = column_id(stmt, 5);
    e->actor = column_str(stmt, 6);
    take_names(e, stmt);
    e->version = (unsigned) sqlite3_column_int(stmt, 8);
    if (column_json(stmt, 9, &data, err) < 0) {
        event_free(e);
        return NULL;
    }
    e->data = data;
    return e;
}

static int answer_events(struct connection *c, struct query *q)
{
    bool of_subject = !id_is_none(&q->subject);
    bool of_project = !of_subject && !id_is_none(&q->project);
    const char *sql =
        of_subject   ? "SELECT " EVENT_COLUMNS " FROM events WHERE subject = ?3 AND seq > ?1 "
                       "ORDER BY seq LIMIT ?2"
        : of_project ? "SELECT " EVENT_COLUMNS " FROM events WHERE project = ?3 AND seq > ?1 "
                       "ORDER BY seq LIMIT ?2"
                     : "SELECT " EVENT_COLUMNS " FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    PREPARE(stmt, sql);
    sqlite3_bind_int64(stmt, 1, (int64_t) q->after);
    sqlite3_bind_int64(stmt, 2, q->limit);
    if (of_subject || of_project)
        bind_id(stmt, 3, of_subject ? &q->subject : &q->project);
    int r = 0;
    while (r >= 0 && sqlite3_step(stmt) == SQLITE_ROW) {
        struct event *e = event_of_row(stmt, &q->err);
        if (!e)
            r = -EBADMSG;
        else if (of_subject && !id_is_none(&q->project) && !id_equal(&e->project, &q->project))
            event_free(e);
        else
            vec_push(&q->events, e);
    }
    sqlite3_reset(stmt);
    return r;
}

static int take_manifest(sqlite3_stmt *stmt, struct query *q)
{
    int r = 0;
    if (sqlite3_step(stmt) == SQLITE_ROW)
        r = manifest_parse(sqlite3_column_blob(stmt, 0), (size_t) sqlite3_column_bytes(stmt, 0),
                           &q->manifest, &q->err);
    sqlite3_reset(stmt);
    return r;
}

static int answer_artifacts(struct connection *c, struct query *q)
{
    PREPARE(stmt, "SELECT manifest FROM artifacts WHERE workload = ?");
    bind_id(stmt, 1, &q->subject);
    return take_manifest(stmt, q);
}

static int answer_manifest(struct connection *c, struct query *q)
{
    PREPARE(stmt, "SELECT bytes FROM manifests WHERE project = ? AND sum = ?");
    bind_id(stmt, 1, &q->project);
    bind_sum(stmt, 2, &q->sum);
    return take_manifest(stmt, q);
}

static int answer_missing(struct connection *c, struct query *q)
{
    PREPARE(stmt, "SELECT used FROM blob_refs WHERE project = ? AND sum = ?");

    bind_id(stmt, 1, &q->project);
    for (size_t i = 0; i < q->sums.len; i++) {
        struct sha256 sum = q->sums.items[i];
        bind_sum(stmt, 2, &sum);
        if (sqlite3_step(stmt) != SQLITE_ROW)
            vec_push(&q->missing, sum);
        else
            q->is_stale |= sqlite3_column_int64(stmt, 0) < q->stale_us;
        sqlite3_reset(stmt);
    }
    return 0;
}

static int answer_answer(struct connection *c, struct query *q)
{
    PREPARE(stmt, "SELECT request, status, body, created FROM answers WHERE scope = ?");
    bind_str(stmt, 1, q->text);
    if (sqlite3_step(stmt) == SQLITE_ROW) {
        struct idempotent_answer *a = q->answer = xnew(struct idempotent_answer);
        a->scope = xstrdup(q->text);
        if (sqlite3_column_bytes(stmt, 0) == (int) sizeof a->request.bytes)
            memcpy(a->request.bytes, sqlite3_column_blob(stmt, 0), sizeof a->request.bytes);
        a->status = sqlite3_column_int(stmt, 1);
        a->body = column_str(stmt, 2);
        a->created_us = sqlite3_column_int64(stmt, 3);
    }
    sqlite3_reset(stmt);
    return 0;
}

int sqlite_answer(struct backend *b, unsigned reader, struct query *q)
{
    struct connection *c = &b->readers[reader];

    switch (q->kind) {
    case QUERY_WORKLOADS:
        return at_one_moment(answer_workloads, c, q);
    case QUERY_FIND:
        return at_one_moment(answer_find, c, q);
    case QUERY_ATTEMPTS:
        return answer_attempts(c, q);
    case QUERY_LEFTOVERS:
        return answer_leftovers(c, q);
    case QUERY_EVENTS:
        return answer_events(c, q);
    case QUERY_ARTIFACTS:
        return answer_artifacts(c, q);
    case QUERY_MANIFEST:
        return answer_manifest(c, q);
    case QUERY_MISSING:
        return at_one_moment(answer_missing, c, q); /* one lock for all of them */
    case QUERY_KEPT:
        return sqlite_answer_kept(c, q);
    case QUERY_ANSWER:
        return answer_answer(c, q);
    case QUERY_USES:
        return sqlite_answer_uses(c, q);
    case QUERY_COUNT:
        break;
    }
    return -EINVAL;
}
