/* datasets.c - datasets live in memory whole, like tenants: their versions are numbered and pinned here
 *
 * The trees themselves are the blob store's. Who adds a version has made sure of its manifest before.
 */
#include "lifecycle/internal.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* ---- finding ------------------------------------------------------------------------------------- */

static int compare(const struct dataset *d, const struct id *project, const char *name)
{
    int order = id_compare(&d->project, project);

    return order ? order : strcmp(d->name, name);
}

/* Where it is or would be. */
static size_t position(const struct lifecycle *lc, const struct id *project, const char *name)
{
    size_t low = 0, high = lc->datasets.len;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(lc->datasets.items[middle], project, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct dataset *find(const struct lifecycle *lc, const struct id *project, const char *name)
{
    size_t at = position(lc, project, name);

    return at < lc->datasets.len && compare(lc->datasets.items[at], project, name) == 0
               ? lc->datasets.items[at]
               : NULL;
}

/* One that was found before, to be changed. */
static struct dataset *own(const struct lifecycle *lc, const struct dataset *found)
{
    struct dataset *d = find(lc, &found->project, found->name);

    assert(d);
    return d;
}

const struct dataset *lifecycle_dataset(struct lifecycle *lc, const struct id *project,
                                        const char *name)
{
    return find(lc, project, name);
}

void lifecycle_datasets(struct lifecycle *lc, const struct id *project,
                        const struct dataset *const **ret, size_t *ret_n)
{
    lc->dataset_list.len = 0;
    for (size_t i = position(lc, project, "");
         i < lc->datasets.len && id_equal(&lc->datasets.items[i]->project, project); i++)
        vec_push(&lc->dataset_list, lc->datasets.items[i]);
    *ret = lc->dataset_list.items;
    *ret_n = lc->dataset_list.len;
}

static void insert(struct lifecycle *lc, struct dataset *d)
{
    size_t at = position(lc, &d->project, d->name);

    vec_push(&lc->datasets, d);
    memmove(lc->datasets.items + at + 1, lc->datasets.items + at,
            (lc->datasets.len - 1 - at) * sizeof d);
    lc->datasets.items[at] = d;
}

void datasets_take(struct lifecycle *lc, struct store_state *state)
{
    vec_foreach(&state->datasets, d)
        insert(lc, *d);
    vec_done(&state->datasets);
}

void datasets_done(struct lifecycle *lc)
{
    vec_foreach(&lc->datasets, d)
        dataset_free(*d);
    vec_done(&lc->datasets);
    vec_done(&lc->dataset_list);
}

/* ---- changing ------------------------------------------------------------------------------------- */

/* Fold an event into *D and put it into the batch; DATA is taken. It must be legal. */
static void fold(struct commit *c, struct dataset **d, const struct event *head,
                 enum dataset_event type, json_t *data, const char *actor)
{
    struct event *event = xmemdup(head, sizeof *head);
    struct error err = { 0 };

    event->subject_kind = "dataset";
    event->type = dataset_event_name(type);
    commit_event(c, event, actor, data);
    int r = dataset_apply(d, event, &err);
    assert(r == 0);
    store_add_event(c->batch, event);
}

static struct event head_of(const struct dataset *d)
{
    return (struct event){ .subject = d->id, .project = d->project };
}

static struct dataset *make(struct commit *c, const struct id *project, const char *name,
                            const char *actor)
{
    struct event head = { .subject = lc_new_id(c->lc), .project = *project };
    struct dataset *d = NULL;
    json_t *data = json_object();

    json_put_str(data, "name", name);
    fold(c, &d, &head, DATASET_CREATED, data, actor);
    insert(c->lc, d);
    return d;
}

static json_t *version_data(const struct dataset *d, const struct new_version *new,
                            const struct workload *w)
{
    char hex[SHA256_HEX_LEN + 1], id[ID_TEXT_LEN + 1];
    json_t *data = json_object();

    json_put_int(data, "number", (int64_t) d->last + 1);
    json_put_str(data, "manifest", sha256_format(&new->manifest, hex));
    json_put_int(data, "files", new->files);
    json_put_int(data, "size", new->size_bytes);
    json_put_str(data, "message", new->message);
    json_put(data, "tags", new->tags ? json_deep_copy(new->tags) : json_object());
    if (w) {
        json_put_str(data, "job", id_format(&w->id, id));
        json_put_str(data, "job_name", w->name);
    }
    return data;
}

/* Who holds the tree of a version: an id that only this version has. */
static struct id holder_of(const struct dataset *d, unsigned number)
{
    struct id id = d->id;

    for (size_t i = 0; i < sizeof number; i++)
        id.bytes[sizeof id.bytes - 1 - i] ^= (uint8_t) (number >> 8 * i);
    return id;
}

/* The newest version with this tree, made if it is not that of the newest already. */
static struct dataset *add_version(struct commit *c, const struct new_version *new,
                                   const struct workload *w)
{
    struct dataset *d = find(c->lc, &new->project, new->name);
    const struct dataset_version *newest = d ? dataset_newest(d) : NULL;

    if (newest && sha256_equal(&newest->manifest, &new->manifest))
        return d;
    if (!d)
        d = make(c, &new->project, new->name, new->actor);
    struct event head = head_of(d);
    fold(c, &d, &head, DATASET_VERSION_ADDED, version_data(d, new, w), new->actor);
    store_put_dataset(c->batch, d);
    store_put_dataset_version(c->batch, d, dataset_newest(d));
    store_put_blob_refs(c->batch, &d->project, &new->manifest, 1, d->updated_us);
    struct id holder = holder_of(d, d->last);
    store_hold(c->batch, &d->project, &new->manifest, &holder);
    return d;
}

void datasets_answer(struct lifecycle *lc, const struct commit *c)
{
    const struct dataset *d = NULL;

    vec_foreach(&lc->datasets, other)
        if (id_equal(&(*other)->id, &c->dataset))
            d = *other;
    const struct dataset_version *v =
        d && c->dataset_version ? dataset_version(d, c->dataset_version) : NULL;
    c->dataset_done(c->userdata, d, v);
}

static struct commit *begin(struct lifecycle *lc, lifecycle_dataset_f done, void *userdata)
{
    struct commit *c = commit_new(lc, NULL);

    c->dataset_done = done;
    c->userdata = userdata;
    return c;
}

static int check_new(struct lifecycle *lc, const struct new_version *new, struct error *err)
{
    int r = name_check("name", new->name, err);

    if (r >= 0)
        r = tags_check(new->tags, err);
    if (r >= 0 && new->message && strlen(new->message) > DATASET_MESSAGE_MAX)
        r = error_set(err, -EINVAL, "message: is longer than %d bytes", DATASET_MESSAGE_MAX);
    if (r >= 0 && !project_get(lc, &new->project))
        r = error_set(err, -ENOENT, "there is no such project");
    return r;
}

int lifecycle_add_version(struct lifecycle *lc, const struct new_version *new,
                          lifecycle_dataset_f done, void *userdata, struct error *err)
{
    int r = check_new(lc, new, err);

    if (r < 0)
        return r;
    struct commit *c = begin(lc, done, userdata);
    const struct dataset *d = add_version(c, new, NULL);
    c->dataset = d->id;
    c->dataset_version = dataset_newest(d)->number;
    commit_send(c);
    return 0;
}

int lifecycle_tag_dataset(struct lifecycle *lc, const struct dataset_change *change,
                          lifecycle_dataset_f done, void *userdata, struct error *err)
{
    struct dataset *d = own(lc, change->dataset);
    unsigned number = change->number;
    const struct dataset_version *v = number ? dataset_version(d, number) : NULL;
    json_t *merged = NULL, *data = json_object();
    int r = tags_merge(v ? v->tags : d->tags, change->tags, &merged, err);

    if (r < 0) {
        json_decref(data);
        return r;
    }
    json_put(data, "tags", merged);
    if (number)
        json_put_int(data, "number", number);
    struct commit *c = begin(lc, done, userdata);
    struct event head = head_of(d);
    c->dataset = d->id;
    c->dataset_version = number;
    fold(c, &d, &head, DATASET_UPDATED, data, change->actor);
    store_put_dataset(c->batch, d);
    if (v)
        store_put_dataset_version(c->batch, d, dataset_version(d, number));
    commit_send(c);
    return 0;
}

/* A job that waits or runs needs what it was promised. */
static int check_unused(const struct lifecycle *lc, const struct dataset *d, unsigned number,
                        struct error *err)
{
    const struct job *job;

    map_foreach(lc->jobs, pos, job) {
        const struct workload_spec *spec = job->w->spec;
        if (job->final || !id_equal(&job->w->project, &d->project))
            continue;
        for (size_t i = 0; i < spec->n_datasets; i++)
            if (str_equal(spec->datasets[i].name, d->name) &&
                (!number || spec->datasets[i].version == number))
                return error_set(err, -EBUSY, "job '%s', which is %s, reads version %u of '%s'",
                                 job->w->name, workload_state_name(job->w->state),
                                 spec->datasets[i].version, d->name);
    }
    return 0;
}

static void let_go(struct commit *c, const struct dataset *d, unsigned number)
{
    struct id holder = holder_of(d, number);

    store_release(c->batch, &holder, lc_now(c->lc));
}

int lifecycle_delete_dataset(struct lifecycle *lc, const struct dataset_change *change,
                             lifecycle_dataset_f done, void *userdata, struct error *err)
{
    struct dataset *d = own(lc, change->dataset);
    unsigned number = change->number;
    int r = check_unused(lc, d, number, err);

    if (r < 0)
        return r;
    struct commit *c = begin(lc, done, userdata);
    struct event head = head_of(d);
    json_t *data = json_object();
    if (number) {
        json_put_int(data, "number", number);
        fold(c, &d, &head, DATASET_VERSION_DELETED, data, change->actor);
        store_delete_dataset_version(c->batch, d, number);
        let_go(c, d, number);
        store_put_dataset(c->batch, d);
        c->dataset = d->id;
    } else {
        json_put_str(data, "name", d->name);
        size_t at = position(lc, &d->project, d->name);
        vec_remove(&lc->datasets, at);
        vec_foreach(&d->versions, v)
            let_go(c, d, v->number);
        store_delete_dataset(c->batch, d);
        fold(c, &d, &head, DATASET_DELETED, data, change->actor);
    }
    commit_send(c);
    return 0;
}

/* ---- jobs ------------------------------------------------------------------------------------------ */

static int pin(const struct lifecycle *lc, struct dataset_mount *m, const struct id *project,
               struct error *err)
{
    _cleanup_free_ char *text =
        xasprintf("%s%s%s", m->name, m->which ? "@" : "", m->which ? m->which : "");
    const struct dataset *d = find(lc, project, m->name);
    struct dataset_ref ref;
    int r = dataset_ref_parse(text, &ref, err);

    if (r < 0)
        return r;
    if (m->version) /* repeated from a record: that one and no other */
        ref = (struct dataset_ref){ .number = m->version };
    const struct dataset_version *v = NULL;
    if (!d)
        return error_set(err, -EINVAL,
                         "the project has no dataset '%s'; make it with: berth dataset push %s DIR",
                         m->name, m->name);
    r = dataset_resolve(d, &ref, &v, err);
    if (r < 0)
        return -EINVAL; /* of the request, which names it */
    if (m->version && !sha256_equal(&m->manifest, &v->manifest))
        return error_set(err, -EINVAL, "version %u of '%s' is another tree by now", m->version,
                         m->name);
    m->version = v->number;
    m->manifest = v->manifest;
    return 0;
}

int datasets_admit(struct lifecycle *lc, struct workload_spec *spec, const struct id *project,
                   struct error *err)
{
    for (size_t i = 0; i < spec->n_datasets; i++) {
        int r = pin(lc, &spec->datasets[i], project, err);
        if (r < 0)
            return error_context(err, r, "datasets[%zu]", i);
    }
    return 0;
}

void datasets_note_reads(struct commit *c, const struct workload *w)
{
    for (size_t i = 0; i < w->spec->n_datasets; i++) {
        const struct dataset_mount *m = &w->spec->datasets[i];
        const struct dataset *d = find(c->lc, &w->project, m->name);
        store_put_dataset_use(c->batch, &d->id, m->version, w, DATASET_READ);
    }
}

static int read_output(const json_t *output, const struct workload *w, struct new_version *ret)
{
    *ret = (struct new_version){
        .project = w->project,
        .name = json_get_str(output, "name", ""),
        .actor = "system",
        .files = json_get_int(output, "files", 0),
        .size_bytes = json_get_int(output, "size", 0),
    };
    return sha256_parse(json_get_str(output, "manifest", ""), &ret->manifest);
}

void datasets_add_outputs(struct commit *c, const struct job *job, json_t *data)
{
    const struct workload *w = job->w;
    enum end_cause cause = end_cause_parse(json_get_str(data, "cause", ""));
    int exit_code = (int) json_get_int(data, "exit_code", -1);
    json_t *outputs = json_object_get(json_object_get(data, "artifacts"), "outputs"), *output;
    size_t i;

    if (workload_outcome(w, cause, exit_code) != EVENT_SUCCEEDED)
        return;
    json_array_foreach(outputs, i, output) {
        struct new_version new;
        if (read_output(output, w, &new) < 0)
            continue;
        const struct dataset *d = add_version(c, &new, w);
        unsigned number = dataset_newest(d)->number;
        json_put_int(output, "version", number);
        store_put_dataset_use(c->batch, &d->id, number, w, DATASET_WROTE);
    }
}
