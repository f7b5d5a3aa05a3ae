/* batch.c - what one commit changes: rows copied as they are now */
#include "store/internal.h"

#include "base/alloc.h"

void answer_free(struct idempotent_answer *answer)
{
    if (!answer)
        return;
    free(answer->scope);
    free(answer->body);
    free(answer);
}

struct idempotent_answer *answer_copy(const struct idempotent_answer *answer)
{
    struct idempotent_answer *copy = xmemdup(answer, sizeof *answer);
    copy->scope = xstrdup(answer->scope);
    copy->body = xstrdup(answer->body);
    return copy;
}

void op_done(struct op *op)
{
    org_free(op->org);
    project_free(op->project_row);
    key_free(op->key);
    secret_free(op->secret);
    json_decref(op->record);
    free(op->name);
    free(op->sums);
    free(op->bytes);
    answer_free(op->answer);
    event_free(op->event);
}

struct store_batch *store_batch_new(void) { return xnew(struct store_batch); }

void store_batch_free(struct store_batch *batch)
{
    if (!batch)
        return;
    vec_foreach(&batch->ops, op)
        op_done(op);
    vec_done(&batch->ops);
    free(batch);
}

static struct op *add(struct store_batch *batch, enum op_kind kind)
{
    vec_push(&batch->ops, ((struct op){ .kind = kind }));
    return &batch->ops.items[batch->ops.len - 1];
}

void store_put_org(struct store_batch *batch, const struct org *org)
{
    struct op *op = add(batch, OP_ORG);
    op->id = org->id;
    op->org = xmemdup(org, sizeof *org);
    op->org->name = xstrdup(org->name);
}

void store_put_project(struct store_batch *batch, const struct project *project)
{
    struct op *op = add(batch, OP_PROJECT);
    op->id = project->id;
    op->project_row = xmemdup(project, sizeof *project);
    op->project_row->name = xstrdup(project->name);
    op->project_row->account = xstrdup(project->account);
}

void store_put_key(struct store_batch *batch, const struct key *key)
{
    struct op *op = add(batch, OP_KEY);
    op->id = key->id;
    op->key = xmemdup(key, sizeof *key);
    op->key->name = xstrdup(key->name);
    op->key->prefix = xstrdup(key->prefix);
}

void store_delete_key(struct store_batch *batch, const struct id *key)
{
    add(batch, OP_KEY_DELETE)->id = *key;
}

void store_put_secret(struct store_batch *batch, const struct secret *secret)
{
    struct op *op = add(batch, OP_SECRET);
    op->id = secret->id;
    op->secret = xmemdup(secret, sizeof *secret);
    op->secret->name = xstrdup(secret->name);
    op->secret->sealed = xmemdup(secret->sealed, secret->sealed_len);
}

void store_put_image(struct store_batch *batch, const struct image_record *image)
{
    struct op *op = add(batch, OP_IMAGE);

    op->id = image->id;
    op->project = image->project;
    op->record = image_record_to_json(image);
}

void store_delete_image(struct store_batch *batch, const struct id *image)
{
    add(batch, OP_IMAGE_DELETE)->id = *image;
}

static void put_subject(struct store_batch *batch, enum op_kind kind, const struct id *subject,
                        const json_t *record)
{
    struct op *op = add(batch, kind);

    op->id = *subject;
    op->record = record ? json_deep_copy(record) : NULL;
}

void store_put_tags(struct store_batch *batch, const struct id *subject, const json_t *tags)
{
    put_subject(batch, OP_TAGS, subject, json_object_size(tags) ? tags : NULL);
}

void store_put_machine(struct store_batch *batch, const struct id *subject, const json_t *record)
{
    put_subject(batch, OP_MACHINE, subject, record);
}

void store_put_booking(struct store_batch *batch, const struct id *booking, const json_t *record)
{
    put_subject(batch, OP_BOOKING, booking, record);
}

void store_delete_secret(struct store_batch *batch, const struct id *secret)
{
    add(batch, OP_SECRET_DELETE)->id = *secret;
}

void store_put_workload(struct store_batch *batch, const struct workload *w)
{
    struct op *op = add(batch, OP_WORKLOAD);
    op->id = w->id;
    op->project = w->project;
    op->time_us = w->created_us;
    op->state = w->state;
    op->name = workload_listed_name(w);
    if (workload_in_array(w))
        op->array = w->spec->array->id;
    /* The writer reads this tree on its own thread. jansson counts references atomically; what may
     * still change here (the tags) must not be shared, everything else is never written again. */
    op->record = workload_to_record(w);
    json_put(op->record, "tags", json_deep_copy(w->tags));
    op->attempt = w->attempt ? w->attempt->id : id_none;
}

void store_delete_workload(struct store_batch *batch, const struct workload *w, int64_t now_us)
{
    store_release(batch, &w->id, now_us);
    struct op *op = add(batch, OP_WORKLOAD_DELETE);
    op->id = w->id;
    op->project = w->project;
}

void store_hold(struct store_batch *batch, const struct id *project, const struct sha256 *manifest,
                const struct id *holder)
{
    struct op *op = add(batch, OP_HOLD);
    op->id = *holder;
    op->project = *project;
    op->sum = *manifest;
}

void store_release(struct store_batch *batch, const struct id *holder, int64_t now_us)
{
    struct op *op = add(batch, OP_RELEASE);
    op->id = *holder;
    op->time_us = now_us;
}

void store_collect_manifests(struct store_batch *batch, int64_t before_us)
{
    add(batch, OP_MANIFESTS_COLLECT)->time_us = before_us;
}

void store_collect_refs(struct store_batch *batch, const struct id *project,
                        const struct sha256 *sums, size_t n, int64_t before_us)
{
    store_put_blob_refs(batch, project, sums, n, before_us);
    batch->ops.items[batch->ops.len - 1].kind = OP_REFS_COLLECT;
}

void store_touch_blob_refs(struct store_batch *batch, const struct id *project,
                           const struct sha256 *sums, size_t n, int64_t now_us)
{
    store_put_blob_refs(batch, project, sums, n, now_us);
    batch->ops.items[batch->ops.len - 1].kind = OP_BLOB_TOUCH;
}

void store_delete_leftover(struct store_batch *batch, const struct leftover *leftover)
{
    struct op *op = add(batch, OP_LEFTOVER_DELETE);
    op->id = leftover->workload;
    op->attempt = leftover->attempt;
}

void store_put_artifacts(struct store_batch *batch, const struct workload *w,
                         const struct manifest *manifest)
{
    struct op *op = add(batch, OP_ARTIFACTS);
    op->id = w->id;
    op->project = w->project;
    op->time_us = w->updated_us;
    op->bytes = manifest_format(manifest, &op->len);
    op->sums = xnew_n(struct sha256, manifest->n);
    for (size_t i = 0; i < manifest->n; i++)
        if (!manifest->entries[i].link)
            op->sums[op->n_sums++] = manifest->entries[i].sum;
}

void store_put_blob_refs(struct store_batch *batch, const struct id *project,
                         const struct sha256 *sums, size_t n, int64_t now_us)
{
    struct op *op = add(batch, OP_BLOB_REFS);
    op->project = *project;
    op->sums = xmemdup(sums, n * sizeof *sums);
    op->n_sums = n;
    op->time_us = now_us;
}

void store_put_manifest(struct store_batch *batch, const struct id *project,
                        const struct sha256 *sum, const char *bytes, size_t len, int64_t now_us)
{
    struct op *op = add(batch, OP_MANIFEST);
    op->project = *project;
    op->sum = *sum;
    op->bytes = xmemdup(bytes, len);
    op->len = len;
    op->time_us = now_us;
}

void store_put_dataset(struct store_batch *batch, const struct dataset *d)
{
    struct op *op = add(batch, OP_DATASET);
    op->id = d->id;
    op->project = d->project;
    op->name = xstrdup(d->name);
    op->record = dataset_to_json(d);
}

void store_delete_dataset(struct store_batch *batch, const struct dataset *d)
{
    add(batch, OP_DATASET_DELETE)->id = d->id;
}

void store_put_dataset_version(struct store_batch *batch, const struct dataset *d,
                               const struct dataset_version *v)
{
    struct op *op = add(batch, OP_DATASET_VERSION);
    op->id = d->id;
    op->number = v->number;
    op->sum = v->manifest;
    op->record = dataset_version_to_json(v);
}

void store_delete_dataset_version(struct store_batch *batch, const struct dataset *d,
                                  unsigned number)
{
    struct op *op = add(batch, OP_DATASET_VERSION_DELETE);
    op->id = d->id;
    op->number = number;
}

void store_put_dataset_use(struct store_batch *batch, const struct id *dataset, unsigned number,
                           const struct workload *w, enum dataset_role role)
{
    struct op *op = add(batch, OP_DATASET_USE);
    op->id = *dataset;
    op->number = number;
    op->attempt = w->id;
    op->role = role;
    op->name = xstrdup(w->name);
}

void store_put_answer(struct store_batch *batch, const struct idempotent_answer *answer)
{
    add(batch, OP_ANSWER)->answer = answer_copy(answer);
}

void store_delete_answers_before(struct store_batch *batch, int64_t before_us)
{
    add(batch, OP_ANSWERS_DELETE)->time_us = before_us;
}

void store_add_event(struct store_batch *batch, struct event *event)
{
    add(batch, OP_EVENT)->event = event;
}
