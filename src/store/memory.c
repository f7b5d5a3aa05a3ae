/* memory.c - the store without a disk: for tests and the simulator; everything on the writer's thread */
#include "store/memory.h"

#include "base/alloc.h"

#include <errno.h>
#include <string.h>

static int memory_open(const char *path, struct backend **ret, struct error *err)
{
    struct backend *b = xnew(struct backend);
    struct map **maps[] = { &b->orgs,      &b->projects, &b->keys,    &b->secrets,  &b->rows,
                            &b->manifests, &b->answers,  &b->refs,    &b->datasets, &b->images,
                            &b->tags,      &b->machines, &b->bookings };

    if (*path) {
        free(b);
        return error_set(err, -EINVAL, "store 'memory:' takes no path");
    }
    for (size_t i = 0; i < sizeof maps / sizeof maps[0]; i++)
        *maps[i] = map_new();
    *ret = b;
    return 0;
}

static void row_free(void *p)
{
    struct row *row = p;
    if (!row)
        return;
    json_decref(row->record);
    free(row->name);
    vec_foreach(&row->attempts, a)
        attempt_free(*a);
    vec_done(&row->attempts);
    free(row->artifacts);
    free(row);
}

static void free_manifest(void *p)
{
    struct kept_manifest *m = p;

    if (m)
        text_done(&m->text);
    free(m);
}

static void free_subject(void *p)
{
    struct subject_record *one = p;

    if (one)
        json_decref(one->record);
    free(one);
}
static void free_org(void *p) { org_free(p); }
static void free_project(void *p) { project_free(p); }
static void free_key(void *p) { key_free(p); }
static void free_secret(void *p) { secret_free(p); }
static void free_record(void *p) { json_decref(p); }
static void free_answer(void *p) { answer_free(p); }
static void free_dataset(void *p) { dataset_free(p); }

static void memory_close(struct backend *b)
{
    map_free_with(b->orgs, free_org);
    map_free_with(b->projects, free_project);
    map_free_with(b->keys, free_key);
    map_free_with(b->secrets, free_secret);
    map_free_with(b->images, free_record);
    map_free_with(b->tags, free_subject);
    map_free_with(b->machines, free_subject);
    map_free_with(b->bookings, free_subject);
    map_free_with(b->rows, row_free);
    map_free_with(b->manifests, free_manifest);
    map_free_with(b->answers, free_answer);
    map_free_with(b->refs, free);
    vec_done(&b->holds);
    map_free_with(b->datasets, free_dataset);
    vec_foreach(&b->uses, u)
        free(u->use.name);
    vec_done(&b->uses);
    vec_foreach(&b->events, e)
        event_free(*e);
    vec_done(&b->events);
    vec_done(&b->leftovers);
    free(b);
}

static int memory_begin(struct backend *b, struct error *err) { return 0; }
static int memory_commit(struct backend *b, struct error *err) { return 0; }
static void memory_rollback(struct backend *b) {}

/* ---- writing ---------------------------------------------------------------------------------- */

static const void *id_key(const struct id *id) { return id->bytes; }

static struct row *find_row(struct backend *b, const struct id *id)
{
    return map_get(b->rows, id_key(id), sizeof id->bytes);
}

static void put_attempt(struct row *row, const struct op *op)
{
    struct attempt *attempt = NULL;

    if (id_is_none(&op->attempt) ||
        attempt_from_json(json_object_get(op->record, "attempt"), &attempt, NULL) < 0)
        return;
    vec_foreach(&row->attempts, a)
        if (id_equal(&(*a)->id, &attempt->id)) {
            attempt_free(*a);
            *a = attempt;
            return;
        }
    vec_push(&row->attempts, attempt);
}

static void put_workload(struct backend *b, const struct op *op)
{
    struct row *row = find_row(b, &op->id);

    if (!row) {
        row = xnew(struct row);
        row->id = op->id;
        row->project = op->project;
        row->array = op->array;
        row->created_us = op->time_us;
        (void) map_set(b->rows, id_key(&op->id), sizeof op->id.bytes, row);
    }
    json_decref(row->record);
    row->record = json_deep_copy(op->record);
    row->state = op->state;
    xstr_set(&row->name, op->name);
    put_attempt(row, op);
}

static void delete_workload(struct backend *b, const struct op *op)
{
    struct row *row = map_remove(b->rows, id_key(&op->id), sizeof op->id.bytes);
    struct leftover leftover = { .project = op->project, .workload = op->id };

    if (!row)
        return;
    vec_push(&b->leftovers, leftover);
    vec_foreach(&row->attempts, a)
        for (size_t rank = 0; rank < attempt_n_tasks(*a); rank++) {
            leftover.attempt = *attempt_task_id(*a, rank);
            vec_push(&b->leftovers, leftover);
        }
    row_free(row);
}

static int compare_leftovers(const void *a, const void *b)
{
    const struct leftover *x = a, *y = b;
    int d = id_compare(&x->workload, &y->workload);
    return d ? d : id_compare(&x->attempt, &y->attempt);
}

static void delete_leftover(struct backend *b, const struct op *op)
{
    for (size_t i = b->leftovers.len; i-- > 0;)
        if (id_equal(&b->leftovers.items[i].workload, &op->id) &&
            id_equal(&b->leftovers.items[i].attempt, &op->attempt))
            vec_remove(&b->leftovers, i);
}

static void pair_key(const struct id *project, const struct sha256 *sum, char key[static 48])
{
    memcpy(key, project->bytes, 16);
    memcpy(key + 16, sum->bytes, 32);
}

static void put_refs(struct backend *b, const struct op *op, bool only_known)
{
    char key[48];

    for (size_t i = 0; i < op->n_sums; i++) {
        pair_key(&op->project, &op->sums[i], key);
        struct ref *ref = map_get(b->refs, key, sizeof key);
        if (!ref && only_known)
            continue;
        if (!ref) {
            ref = xnew(struct ref);
            *ref = (struct ref){ .project = op->project, .sum = op->sums[i] };
            (void) map_set(b->refs, key, sizeof key, ref);
        }
        if (ref->used_us < op->time_us)
            ref->used_us = op->time_us;
    }
}

static void put_artifacts(struct backend *b, const struct op *op)
{
    struct row *row = find_row(b, &op->id);

    put_refs(b, op, false);
    if (!row)
        return;
    free(row->artifacts);
    row->artifacts = xmemdup(op->bytes, op->len);
    row->artifacts_len = op->len;
}

static void put_manifest(struct backend *b, const struct op *op)
{
    char key[48];

    pair_key(&op->project, &op->sum, key);
    struct kept_manifest *m = map_get(b->manifests, key, sizeof key);
    if (!m) {
        m = xnew(struct kept_manifest);
        m->ref = (struct ref){ .project = op->project, .sum = op->sum };
        text_add_bytes(&m->text, op->bytes, op->len);
        (void) map_set(b->manifests, key, sizeof key, m);
    }
    if (m->ref.used_us < op->time_us)
        m->ref.used_us = op->time_us;
}

static void hold(struct backend *b, const struct op *op)
{
    struct hold hold = { op->id, op->project, op->sum };

    vec_foreach(&b->holds, known)
        if (memcmp(known, &hold, sizeof hold) == 0)
            return;
    vec_push(&b->holds, hold);
}

static void release(struct backend *b, const struct op *op)
{
    char key[48];

    for (size_t i = b->holds.len; i-- > 0;) {
        const struct hold *hold = &b->holds.items[i];
        if (!id_equal(&hold->holder, &op->id))
            continue;
        pair_key(&hold->project, &hold->manifest, key);
        struct kept_manifest *m = map_get(b->manifests, key, sizeof key);
        if (m && m->ref.used_us < op->time_us)
            m->ref.used_us = op->time_us;
        vec_remove(&b->holds, i);
    }
}

static void collect_refs(struct backend *b, const struct op *op)
{
    char key[48];

    for (size_t i = 0; i < op->n_sums; i++) {
        pair_key(&op->project, &op->sums[i], key);
        const struct ref *ref = map_get(b->refs, key, sizeof key);
        if (ref && ref->used_us < op->time_us)
            free(map_remove(b->refs, key, sizeof key));
    }
}

static bool is_held(const struct backend *b, const struct ref *ref)
{
    for (size_t i = 0; i < b->holds.len; i++)
        if (id_equal(&b->holds.items[i].project, &ref->project) &&
            sha256_equal(&b->holds.items[i].manifest, &ref->sum))
            return true;
    return false;
}

static void collect_manifests(struct backend *b, const struct op *op)
{
    struct kept_manifest *m;
    char key[48];

    map_foreach(b->manifests, pos, m)
        if (m->ref.used_us < op->time_us && !is_held(b, &m->ref)) {
            pair_key(&m->ref.project, &m->ref.sum, key);
            free_manifest(map_remove(b->manifests, key, sizeof key));
        }
}

static void delete_answers(struct backend *b, int64_t before_us)
{
    struct idempotent_answer *answer;
    map_foreach(b->answers, pos, answer)
        if (answer->created_us < before_us)
            answer_free(map_remove_str(b->answers, answer->scope));
}

/* ---- datasets --------------------------------------------------------------------------------- */

static struct dataset *find_dataset(struct backend *b, const struct id *id)
{
    return map_get(b->datasets, id_key(id), sizeof id->bytes);
}

/* The row alone: its versions stay. */
static int put_dataset(struct backend *b, const struct op *op, struct error *err)
{
    struct dataset *d = NULL, *old = find_dataset(b, &op->id);
    int r = dataset_from_json(op->record, &d, err);

    if (r < 0)
        return r;
    if (old) {
        d->versions.items = take_ptr(old->versions.items);
        d->versions.len = old->versions.len;
        d->versions.cap = old->versions.cap;
        old->versions.len = 0;
    }
    dataset_free(map_set(b->datasets, id_key(&op->id), sizeof op->id.bytes, d));
    return 0;
}

/* By way of a copy, because a version that is put again replaces the one of its number. */
static int put_version(struct backend *b, const struct op *op, bool keep, struct error *err)
{
    struct dataset *d = find_dataset(b, &op->id), *copy = NULL;
    _cleanup_json_ json_t *head = d ? dataset_to_json(d) : NULL;
    int r = d ? dataset_from_json(head, &copy, err) : 0;
    bool put = !keep;

    for (size_t i = 0; d && r >= 0 && i < d->versions.len; i++) {
        const struct dataset_version *v = &d->versions.items[i];
        _cleanup_json_ json_t *json = dataset_version_to_json(v);
        if (!put && v->number >= op->number) {
            r = dataset_add_version(copy, op->record, err);
            put = true;
        }
        if (r >= 0 && v->number != op->number)
            r = dataset_add_version(copy, json, err);
    }
    if (d && r >= 0 && !put)
        r = dataset_add_version(copy, op->record, err);
    if (!d || r < 0) {
        dataset_free(copy);
        return r;
    }
    copy->last = d->last;
    dataset_free(map_set(b->datasets, id_key(&op->id), sizeof op->id.bytes, copy));
    return 0;
}

static void delete_dataset(struct backend *b, const struct op *op)
{
    dataset_free(map_remove(b->datasets, id_key(&op->id), sizeof op->id.bytes));
    for (size_t i = b->uses.len; i-- > 0;) {
        if (!id_equal(&b->uses.items[i].dataset, &op->id))
            continue;
        free(b->uses.items[i].use.name);
        vec_remove(&b->uses, i);
    }
}

static void put_use(struct backend *b, const struct op *op)
{
    vec_foreach(&b->uses, row)
        if (id_equal(&row->dataset, &op->id) && row->use.number == op->number &&
            id_equal(&row->use.workload, &op->attempt) && row->use.role == op->role)
            return;
    struct use_row row = { .dataset = op->id,
                           .use = { .number = op->number,
                                    .role = op->role,
                                    .workload = op->attempt,
                                    .name = xstrdup(op->name) } };
    vec_push(&b->uses, row);
}

static int apply_dataset(struct backend *b, const struct op *op, struct error *err)
{
    if (op->kind == OP_DATASET)
        return put_dataset(b, op, err);
    if (op->kind == OP_DATASET_VERSION || op->kind == OP_DATASET_VERSION_DELETE)
        return put_version(b, op, op->kind == OP_DATASET_VERSION, err);
    if (op->kind == OP_DATASET_DELETE)
        delete_dataset(b, op);
    else
        put_use(b, op);
    return 0;
}

static struct event *copy_event(const struct event *event)
{
    struct event *copy = xmemdup(event, sizeof *event);
    copy->actor = xstrdup(event->actor);
    copy->names = NULL; /* here kinds and types are static, as their folders gave them */
    copy->data = event->data ? json_deep_copy(event->data) : NULL;
    return copy;
}

/* The row is taken out of the operation: the batch frees what is left in it. */
static void put_subject(struct backend *b, const struct op *op)
{
    struct map *map = op->kind == OP_TAGS      ? b->tags
                      : op->kind == OP_MACHINE ? b->machines
                                               : b->bookings;
    struct subject_record *one = NULL;

    if (op->record) {
        one = xnew(struct subject_record);
        *one = (struct subject_record){ op->id, json_incref(op->record) };
        free_subject(map_set(map, id_key(&op->id), sizeof op->id.bytes, one));
    } else {
        free_subject(map_remove(map, id_key(&op->id), sizeof op->id.bytes));
    }
}

#define KEEP(map, field, free_fn)                                                                  \
    do {                                                                                           \
        struct op *mine = (struct op *) (uintptr_t) op;                                            \
        free_fn(map_set(b->map, id_key(&op->id), sizeof op->id.bytes, take_ptr(mine->field)));     \
    } while (0)

static void put_answer(struct backend *b, const struct idempotent_answer *answer)
{
    struct idempotent_answer *copy = answer_copy(answer);

    answer_free(map_set_str(b->answers, copy->scope, copy));
}

static int memory_apply(struct backend *b, const struct op *op, struct error *err)
{
    switch (op->kind) {
    case OP_ORG:
        KEEP(orgs, org, free_org);
        break;
    case OP_PROJECT:
        KEEP(projects, project_row, free_project);
        break;
    case OP_KEY:
        KEEP(keys, key, free_key);
        break;
    case OP_KEY_DELETE:
        free_key(map_remove(b->keys, id_key(&op->id), sizeof op->id.bytes));
        break;
    case OP_SECRET:
        KEEP(secrets, secret, free_secret);
        break;
    case OP_SECRET_DELETE:
        free_secret(map_remove(b->secrets, id_key(&op->id), sizeof op->id.bytes));
        break;
    case OP_IMAGE:
        json_decref(
            map_set(b->images, id_key(&op->id), sizeof op->id.bytes, json_incref(op->record)));
        break;
    case OP_IMAGE_DELETE:
        json_decref(map_remove(b->images, id_key(&op->id), sizeof op->id.bytes));
        break;
    case OP_TAGS:
    case OP_MACHINE:
    case OP_BOOKING:
        put_subject(b, op);
        break;
    case OP_WORKLOAD:
        put_workload(b, op);
        break;
    case OP_WORKLOAD_DELETE:
        delete_workload(b, op);
        break;
    case OP_LEFTOVER_DELETE:
        delete_leftover(b, op);
        break;
    case OP_ARTIFACTS:
        put_artifacts(b, op);
        break;
    case OP_BLOB_REFS:
    case OP_BLOB_TOUCH:
        put_refs(b, op, op->kind == OP_BLOB_TOUCH);
        break;
    case OP_HOLD:
        hold(b, op);
        break;
    case OP_RELEASE:
        release(b, op);
        break;
    case OP_REFS_COLLECT:
    case OP_MANIFESTS_COLLECT:
        (op->kind == OP_REFS_COLLECT ? collect_refs : collect_manifests)(b, op);
        break;
    case OP_MANIFEST:
        put_manifest(b, op);
        break;
    case OP_DATASET:
    case OP_DATASET_DELETE:
    case OP_DATASET_VERSION:
    case OP_DATASET_VERSION_DELETE:
    case OP_DATASET_USE:
        return apply_dataset(b, op, err);
    case OP_ANSWER:
        put_answer(b, op->answer);
        break;
    case OP_ANSWERS_DELETE:
        delete_answers(b, op->time_us);
        break;
    case OP_EVENT:
        vec_push(&b->events, copy_event(op->event));
        break;
    }
    return 0;
}

/* ---- reading ---------------------------------------------------------------------------------- */

static bool name_matches(const char *pattern, const char *name)
{
    size_t n = strlen(pattern);
    return n && pattern[n - 1] == '*' ? strncmp(pattern, name, n - 1) == 0
                                      : str_equal(pattern, name);
}

static bool tag_matches(const struct workload_filter *f, const struct row *row)
{
    const char *value = json_get_str(json_object_get(row->record, "tags"), f->tag_key, NULL);
    return value && (!f->tag_value || str_equal(value, f->tag_value));
}

static bool is_head(const struct row *row) { return id_equal(&row->array, &row->id); }

/* Is ROW, or one of the array that it stands for, in one of the states? */
static bool state_matches(struct backend *b, const struct workload_filter *f, const struct row *row)
{
    struct row *other;

    if (!f->states || (f->states & 1u << row->state))
        return true;
    if (!f->whole_arrays || !is_head(row))
        return false;
    map_foreach(b->rows, pos, other)
        if (id_equal(&other->array, &row->id) && (f->states & 1u << other->state))
            return true;
    return false;
}

static bool array_matches(const struct workload_filter *f, const struct row *row)
{
    if (!id_is_none(&f->array))
        return id_equal(&f->array, &row->array);
    return !f->whole_arrays || id_is_none(&row->array) || is_head(row);
}

static bool filter_matches(struct backend *b, const struct workload_filter *f,
                           const struct row *row)
{
    return array_matches(f, row) &&
           (id_is_none(&f->project) || id_equal(&f->project, &row->project)) &&
           state_matches(b, f, row) && (!f->name || name_matches(f->name, row->name)) &&
           (!f->tag_key || tag_matches(f, row)) &&
           (!f->since_us || row->created_us >= f->since_us) &&
           (!f->until_us || row->created_us < f->until_us) &&
           (id_is_none(&f->before) || id_compare(&row->id, &f->before) < 0);
}

static int newest_first(const void *a, const void *b)
{
    const struct row *const *x = a, *const *y = b;
    return id_compare(&(*y)->id, &(*x)->id);
}

static void count_array(struct backend *b, struct workload *head)
{
    struct row *row;

    head->array_states = xnew_n(unsigned, WORKLOAD_STATE_MAX);
    map_foreach(b->rows, pos, row)
        if (id_equal(&row->array, &head->id))
            head->array_states[row->state]++;
}

static int answer_workloads(struct backend *b, struct query *q,
                            bool (*wanted)(struct backend *b, struct query *q, struct row *row),
                            unsigned limit)
{
    VEC(struct row *) found = { 0 };
    struct row *row;
    int r = 0;

    map_foreach(b->rows, pos, row)
        if (wanted(b, q, row))
            vec_push(&found, row);
    if (found.len)
        qsort(found.items, found.len, sizeof *found.items, newest_first);
    for (size_t i = 0; i < found.len && i < limit && r >= 0; i++) {
        struct workload *w = NULL;
        r = workload_from_record(found.items[i]->record, &w, &q->err);
        if (r >= 0)
            vec_push(&q->workloads, w);
        if (r >= 0 && workload_heads_array(w) && (q->kind == QUERY_FIND || q->filter.whole_arrays))
            count_array(b, w);
    }
    vec_done(&found);
    return r;
}

static bool by_filter(struct backend *b, struct query *q, struct row *row)
{
    return filter_matches(b, &q->filter, row);
}

static bool in_project(const struct query *q, const struct row *row)
{
    return id_is_none(&q->project) || id_equal(&q->project, &row->project);
}

static bool by_name(struct backend *b, struct query *q, struct row *row)
{
    return in_project(q, row) && str_equal(q->text, row->name);
}

static bool by_id_prefix(struct backend *b, struct query *q, struct row *row)
{
    char id[ID_TEXT_LEN + 1];
    return in_project(q, row) && str_starts(id_format(&row->id, id), q->text) &&
           (id_is_none(&row->array) || is_head(row) || strlen(q->text) == ID_TEXT_LEN);
}

static int find_text(struct backend *b, struct query *q)
{
    int r = answer_workloads(b, q, by_name, 1);
    if (r < 0 || q->workloads.len || strlen(q->text) < 4)
        return r;
    return answer_workloads(b, q, by_id_prefix, 2);
}

static bool by_index(struct backend *b, struct query *q, struct row *row)
{
    const json_t *place = json_object_get(json_object_get(row->record, "spec"), "array");

    return id_equal(&row->array, &q->subject) && json_get_int(place, "index", -1) == q->limit;
}

static int find(struct backend *b, struct query *q)
{
    int r = find_text(b, q);
    char *base = r < 0 || q->workloads.len ? NULL : array_text_split(q->text, &q->limit);

    if (!base)
        return r;
    free(q->text);
    q->text = base;
    r = find_text(b, q);
    if (r < 0 || q->workloads.len != 1)
        return r;
    struct workload *head = q->workloads.items[0];
    bool is_array = workload_heads_array(head);
    q->subject = head->id;
    q->workloads.len = 0;
    workload_free(head);
    return is_array ? answer_workloads(b, q, by_index, 1) : 0;
}

static int answer_attempts(struct backend *b, struct query *q)
{
    const struct row *row = find_row(b, &q->subject);

    for (size_t i = 0; row && i < row->attempts.len; i++) {
        _cleanup_json_ json_t *json = attempt_to_json(row->attempts.items[i]);
        struct attempt *copy = NULL;
        int r = attempt_from_json(json, &copy, &q->err);
        if (r < 0)
            return r;
        vec_push(&q->attempts, copy);
    }
    return 0;
}

static int answer_leftovers(const struct backend *b, struct query *q)
{
    for (size_t i = 0; i < b->leftovers.len; i++)
        if (compare_leftovers(&b->leftovers.items[i], &q->after_leftover) > 0)
            vec_push(&q->leftovers, b->leftovers.items[i]);
    if (q->leftovers.len)
        qsort(q->leftovers.items, q->leftovers.len, sizeof *q->leftovers.items, compare_leftovers);
    if (q->leftovers.len > q->limit)
        q->leftovers.len = q->limit;
    return 0;
}

static int answer_events(struct backend *b, struct query *q)
{
    vec_foreach(&b->events, e) {
        if ((*e)->seq <= q->after || q->events.len >= q->limit)
            continue;
        if ((id_is_none(&q->project) || id_equal(&q->project, &(*e)->project)) &&
            (id_is_none(&q->subject) || id_equal(&q->subject, &(*e)->subject)))
            vec_push(&q->events, copy_event(*e));
    }
    return 0;
}

static int answer_manifest(struct backend *b, struct query *q)
{
    char key[48];
    pair_key(&q->project, &q->sum, key);
    const struct kept_manifest *m = map_get(b->manifests, key, sizeof key);
    return m ? manifest_parse(m->text.data, m->text.len, &q->manifest, &q->err) : 0;
}

static int answer_artifacts(struct backend *b, struct query *q)
{
    const struct row *row = find_row(b, &q->subject);
    if (!row || !row->artifacts)
        return 0;
    return manifest_parse(row->artifacts, row->artifacts_len, &q->manifest, &q->err);
}

static int answer_missing(struct backend *b, struct query *q)
{
    char key[48];

    vec_foreach(&q->sums, sum) {
        pair_key(&q->project, sum, key);
        const struct ref *ref = map_get(b->refs, key, sizeof key);
        if (!ref)
            vec_push(&q->missing, *sum);
        else
            q->is_stale |= ref->used_us < q->stale_us;
    }
    return 0;
}

static int newest_use_first(const void *a, const void *b)
{
    const struct dataset_use *x = a, *y = b;
    int order = id_compare(&y->workload, &x->workload);

    if (order)
        return order;
    return x->number != y->number ? (x->number < y->number ? -1 : 1)
                                  : (int) x->role - (int) y->role;
}

static int answer_uses(struct backend *b, struct query *q)
{
    vec_foreach(&b->uses, row) {
        const struct row *job = find_row(b, &row->use.workload);
        struct dataset_use use = row->use;
        if (!id_equal(&row->dataset, &q->subject) || (q->after && use.number != q->after))
            continue;
        use.name = xstrdup(use.name);
        use.state = job ? job->state : WORKLOAD_STATE_INVALID;
        vec_push(&q->uses, use);
    }
    if (q->uses.len)
        qsort(q->uses.items, q->uses.len, sizeof *q->uses.items, newest_use_first);
    while (q->uses.len > q->limit)
        free(q->uses.items[--q->uses.len].name);
    return 0;
}

static int take_list(const struct row *row, struct query *q)
{
    _cleanup_(manifest_freep) struct manifest *m = NULL;
    struct kept kept = { .project = row->project };

    int r = row->artifacts ? manifest_parse(row->artifacts, row->artifacts_len, &m, &q->err) : 0;
    for (size_t i = 0; r >= 0 && m && i < m->n; i++) {
        kept.sum = m->entries[i].sum;
        if (!m->entries[i].link)
            vec_push(&q->kept, kept);
    }
    return r;
}

/* All in one page. */
static int answer_kept(struct backend *b, struct query *q)
{
    const struct kept_manifest *m;
    const struct ref *ref;
    const struct row *row;
    int r = 0;

    q->cursor.end = true;
    if (q->kept_kind == KEPT_HELD)
        vec_foreach(&b->holds, hold)
            vec_push(&q->kept, ((struct kept){ .project = hold->project, .sum = hold->manifest }));
    if (q->kept_kind == KEPT_MANIFESTS)
        map_foreach(b->manifests, pos, m)
            vec_push(&q->kept, ((struct kept){ .project = m->ref.project, .sum = m->ref.sum }));
    if (q->kept_kind == KEPT_ARTIFACTS)
        map_foreach(b->rows, pos, row)
            if (r >= 0)
                r = take_list(row, q);
    if (q->kept_kind == KEPT_REFS)
        map_foreach(b->refs, pos, ref)
            vec_push(&q->kept, ((struct kept){ ref->project, ref->sum, ref->used_us }));
    return r;
}

static int memory_answer(struct backend *b, unsigned reader, struct query *q)
{
    switch (q->kind) {
    case QUERY_WORKLOADS:
        return answer_workloads(b, q, by_filter, q->filter.limit);
    case QUERY_FIND:
        return find(b, q);
    case QUERY_ATTEMPTS:
        return answer_attempts(b, q);
    case QUERY_LEFTOVERS:
        return answer_leftovers(b, q);
    case QUERY_EVENTS:
        return answer_events(b, q);
    case QUERY_ARTIFACTS:
        return answer_artifacts(b, q);
    case QUERY_MANIFEST:
        return answer_manifest(b, q);
    case QUERY_MISSING:
        return answer_missing(b, q);
    case QUERY_KEPT:
        return answer_kept(b, q);
    case QUERY_ANSWER: {
        const struct idempotent_answer *answer = map_get_str(b->answers, q->text);
        q->answer = answer ? answer_copy(answer) : NULL;
        return 0;
    }
    case QUERY_USES:
        return answer_uses(b, q);
    case QUERY_COUNT:
        break;
    }
    return -EINVAL;
}

/* Moves the row of OP, which is a copy, to where its kind belongs. */
static void take_tenant(struct op *op, struct store_state *ret)
{
    if (op->org)
        vec_push(&ret->orgs, take_ptr(op->org));
    if (op->project_row) {
        if (op->project_row->range >= ret->next_range)
            ret->next_range = op->project_row->range + 1;
        vec_push(&ret->projects, take_ptr(op->project_row));
    }
    if (op->key)
        vec_push(&ret->keys, take_ptr(op->key));
    if (op->secret)
        vec_push(&ret->secrets, take_ptr(op->secret));
}

static void load_tenants(struct backend *b, struct store_state *ret)
{
    struct store_batch *copies = store_batch_new();
    struct org *org;
    struct project *project;
    struct key *key;
    struct secret *secret;

    /* A batch knows how to copy rows. */
    map_foreach(b->orgs, o, org)
        store_put_org(copies, org);
    map_foreach(b->projects, p, project)
        store_put_project(copies, project);
    map_foreach(b->keys, k, key)
        store_put_key(copies, key);
    map_foreach(b->secrets, s, secret)
        store_put_secret(copies, secret);
    vec_foreach(&copies->ops, op)
        take_tenant(op, ret);
    store_batch_free(copies);
}

static int load_datasets(struct backend *b, struct store_state *ret, struct error *err)
{
    const struct dataset *d;
    int r = 0;

    map_foreach(b->datasets, pos, d) {
        _cleanup_json_ json_t *head = dataset_to_json(d);
        struct dataset *copy = NULL;
        r = dataset_from_json(head, &copy, err);
        for (size_t i = 0; r >= 0 && i < d->versions.len; i++) {
            _cleanup_json_ json_t *version = dataset_version_to_json(&d->versions.items[i]);
            r = dataset_add_version(copy, version, err);
        }
        if (r < 0) {
            dataset_free(copy);
            return r;
        }
        vec_push(&ret->datasets, copy);
    }
    return 0;
}

static int load_images(struct backend *b, struct store_state *ret, struct error *err)
{
    json_t *record;

    map_foreach(b->images, pos, record) {
        struct image_record *image = NULL;
        int r = image_record_from_json(record, &image, err);
        if (r < 0)
            return r;
        vec_push(&ret->images, image);
    }
    return 0;
}

static void load_subjects(struct map *map, struct subject_records *ret)
{
    const struct subject_record *one;

    map_foreach(map, pos, one) {
        struct subject_record copy = { one->subject, json_deep_copy(one->record) };
        vec_push(ret, copy);
    }
}

static int memory_load(struct backend *b, struct store_state *ret, struct error *err)
{
    struct row *row;

    load_tenants(b, ret);
    load_subjects(b->tags, &ret->tags);
    load_subjects(b->machines, &ret->machines);
    load_subjects(b->bookings, &ret->bookings);
    int r = load_images(b, ret, err);
    if (r >= 0)
        r = load_datasets(b, ret, err);
    if (r < 0)
        return r;
    map_foreach(b->rows, pos, row) {
        struct workload *w = NULL;
        if (workload_state_is_final(row->state))
            continue;
        r = workload_from_record(row->record, &w, err);
        if (r < 0)
            return r;
        vec_push(&ret->workloads, w);
    }
    if (b->events.len) {
        const struct event *last = b->events.items[b->events.len - 1];
        ret->seq = last->seq;
        ret->last_time_us = last->time_us;
    }
    return 0;
}

static int memory_outcome(struct backend *b, struct store_outcome *ret, struct error *err)
{
    struct row *row;

    map_foreach(b->rows, pos, row) {
        if (!id_equal(ret->is_array ? &row->array : &row->id, &ret->id))
            continue;
        outcome_add(ret, row->state, 1);
        if (ret->with_begun)
            outcome_add_begun(ret, json_get_str(row->record, "started",
                                                json_get_str(row->record, "ended", NULL)));
    }
    return 0;
}

static int memory_counts(struct backend *b, uint64_t ret[WORKLOAD_STATE_MAX], struct error *err)
{
    struct row *row;

    memset(ret, 0, WORKLOAD_STATE_MAX * sizeof *ret);
    map_foreach(b->rows, pos, row)
        ret[row->state]++;
    return 0;
}

static int memory_check(struct backend *b, void (*report)(void *userdata, const char *text),
                        void *userdata, struct error *err)
{
    return 0;
}

const struct backend_ops backend_memory = {
    .name = "memory",
    .open = memory_open,
    .close = memory_close,
    .begin = memory_begin,
    .apply = memory_apply,
    .commit = memory_commit,
    .rollback = memory_rollback,
    .answer = memory_answer,
    .load = memory_load,
    .outcome = memory_outcome,
    .counts = memory_counts,
    .check = memory_check,
};
