/* images.c - images of projects: brought once, pinned by digest, kept while they are used
 *
 * A reference is looked up when the project first uses it, or when somebody pulls it; from then on it
 * means the digest that was found. A job is pinned to that digest when it is submitted, or, when the image
 * is still on its way, as soon as it is there; until then it is queued and held, and takes no hardware.
 * A new digest under an old name gets a record of its own; the old one goes by its digest then.
 *
 * Where tasks run on other machines the puller keeps layers packed, else unpacked. After a change of the engine
 * an image is there in the other form: it is brought again, by its digest, when a job is to use it.
 */
#include "lifecycle/internal.h"

#include "base/text.h"
#include "base/time.h"

#include <errno.h>
#include <string.h>

enum { TRIES_MAX = 5, BACKOFF_S = 2 };

static bool is_host(const struct workload_spec *spec) { return str_equal(spec->image, "host"); }

static struct image_record *get(const struct lifecycle *lc, const struct id *id)
{
    vec_foreach(&lc->images, image)
        if (id_equal(&(*image)->id, id))
            return *image;
    return NULL;
}

/* READY before PULLING before FAILED; the newest of equals. */
static struct image_record *find_name(const struct lifecycle *lc, const struct id *project,
                                      const char *name)
{
    static const int rank[IMAGE_STATE_MAX] = { [IMAGE_READY] = 2, [IMAGE_PULLING] = 1 };
    struct image_record *best = NULL;

    vec_foreach(&lc->images, image)
        if (id_equal(&(*image)->project, project) && str_equal((*image)->name, name) &&
            (!best || rank[(*image)->state] >= rank[best->state]))
            best = *image;
    return best;
}

static struct image_record *find_state(const struct lifecycle *lc, const struct id *project,
                                       const char *name, enum image_state state)
{
    vec_foreach(&lc->images, image)
        if (id_equal(&(*image)->project, project) && str_equal((*image)->name, name) &&
            (*image)->state == state)
            return *image;
    return NULL;
}

/* Are its layers there, as tasks need them? */
static bool is_here(const struct lifecycle *lc, const struct image_record *image)
{
    return image->state == IMAGE_READY &&
           (!lc->puller || image->is_packed == lc->puller->keeps_packed);
}

/* Of several of one digest, that which jobs can use is the best, or will be able to use soon; then that of NAME. */
static int worth(const struct lifecycle *lc, const struct image_record *image, const char *name)
{
    static const int states[IMAGE_STATE_MAX] = { [IMAGE_READY] = 1, [IMAGE_PULLING] = 2 };

    return (is_here(lc, image) ? 3 : states[image->state]) * 2 + str_equal(image->name, name);
}

static struct image_record *find_digest(const struct lifecycle *lc, const struct id *project,
                                        const struct sha256 *digest)
{
    struct image_record *best = NULL;

    vec_foreach(&lc->images, image)
        if (id_equal(&(*image)->project, project) && (*image)->state == IMAGE_READY &&
            sha256_equal(&(*image)->digest, digest) &&
            (!best || worth(lc, *image, "") > worth(lc, best, "")))
            best = *image;
    return best;
}

static bool is_of_digest(const struct image_record *image, const struct workload *w)
{
    return w->spec->image_pinned && image->has_digest && id_equal(&image->project, &w->project) &&
           sha256_equal(&image->digest, &w->spec->image_digest);
}

/* The one that W is pinned to, whatever its state; NULL: none. */
static struct image_record *image_of_job(const struct lifecycle *lc, const struct workload *w)
{
    const char *name = w->spec->image;
    struct image_record *best = NULL;

    vec_foreach(&lc->images, image)
        if (is_of_digest(*image, w) && (!best || worth(lc, *image, name) > worth(lc, best, name)))
            best = *image;
    return best;
}

/* ---- names ------------------------------------------------------------------------------------- */

static int check_path(const struct lifecycle *lc, const char *path, struct error *err)
{
    for (const char *const *p = lc->settings.image_paths; p && *p; p++) {
        size_t n = strlen(*p);
        while (n > 1 && (*p)[n - 1] == '/')
            n--;
        if (strncmp(path, *p, n) == 0 && (path[n] == '/' || n == 1))
            return 0;
    }
    return error_set(err, -EPERM,
                     "image: the operator does not let images be taken from %.100s (setting "
                     "image_paths); send it instead: berth image import ARCHIVE",
                     path);
}

int image_check_registry(const struct lifecycle *lc, const char *registry, struct error *err)
{
    const char *const *p = lc->settings.image_registries;

    if (!p || !*p)
        return 0;
    for (; *p; p++)
        if (str_equal(*p, registry))
            return 0;
    return error_set(err, -EPERM,
                     "image: the operator does not let registry %.100s be used "
                     "(setting image_registries)",
                     registry);
}

/* Images that were made or imported here go before those of the default registry. */
static char *local_name(const struct lifecycle *lc, const struct id *project,
                        const struct image_reference *ref)
{
    struct image_reference local = *ref;
    const char *library = "library/";

    if (ref->has_digest && str_equal(ref->registry, REGISTRY_OF_BUILDS)) {
        const struct image_record *image = find_digest(lc, project, &ref->digest);
        return image ? xstrdup(image->name) : NULL;
    }
    if (ref->kind != REFERENCE_REGISTRY || ref->named_registry)
        return NULL;
    char registry[] = REGISTRY_OF_BUILDS;
    local.registry = registry;
    if (str_starts(ref->repository, library))
        local.repository += strlen(library);
    char *name = image_reference_format(&local);
    if (find_name(lc, project, name))
        return name;
    free(name);
    return NULL;
}

/* The canonical name of TEXT; owned by the caller. */
static int resolve_name(const struct lifecycle *lc, const struct id *project, const char *text,
                        char **ret, struct error *err)
{
    struct image_reference ref;
    int r = image_reference_parse(text, &ref, err);

    if (r < 0)
        return r;
    *ret = local_name(lc, project, &ref);
    if (!*ret)
        *ret = image_reference_format(&ref);
    if (ref.path)
        r = check_path(lc, ref.path, err);
    else if (ref.registry && !str_equal(ref.registry, REGISTRY_OF_BUILDS))
        r = image_check_registry(lc, ref.registry, err);
    else if (ref.registry && !find_name(lc, project, *ret))
        r = error_set(
            err, -EINVAL,
            "image: the project has no image '%.100s'; make it with berth image build, or "
            "send it with berth image import",
            text);
    image_reference_done(&ref);
    if (r < 0)
        free(take_ptr(*ret));
    return r;
}

int images_admit(struct lifecycle *lc, const struct id *project, struct workload_spec *spec,
                 struct error *err)
{
    if (is_host(spec))
        return 0;
    if (!lc->puller)
        return error_set(err, -EINVAL, "image: '%.80s' cannot be had here; only host can",
                         spec->image);
    char *name = NULL;
    int r = resolve_name(lc, project, spec->image, &name, err);
    if (r < 0)
        return r;
    free(spec->image);
    spec->image = name;
    const struct image_record *image = find_name(lc, project, name);
    spec->image_pinned = image && image->state == IMAGE_READY;
    if (spec->image_pinned)
        spec->image_digest = image->digest;
    return 0;
}

/* ---- what jobs wait for --------------------------------------------------------------------------- */

const struct image_record *images_of(const struct lifecycle *lc, const struct workload *w)
{
    return w->spec->image_pinned ? find_digest(lc, &w->project, &w->spec->image_digest) : NULL;
}

const char *images_hold(const struct lifecycle *lc, const struct workload *w)
{
    if (is_host(w->spec))
        return NULL;
    if (!w->spec->image_pinned)
        return "its image is not here yet";
    const struct image_record *image = image_of_job(lc, w);
    return image && !is_here(lc, image) ? "its image is brought again" : NULL;
}

char *images_why(const struct lifecycle *lc, const struct workload *w)
{
    const struct image_record *image =
        w->spec->image_pinned ? image_of_job(lc, w) : find_name(lc, &w->project, w->spec->image);

    if (!image)
        return xasprintf("image %s: it is not here", w->spec->image);
    _cleanup_free_ char *progress = image_record_progress(image);
    return xasprintf("image %s: %s%s%s", image->name, progress, image->reason ? "; " : "",
                     image->reason ? image->reason : "");
}

/* ---- events ---------------------------------------------------------------------------------------- */

static struct commit *note(struct lifecycle *lc, const struct image_record *image, const char *type,
                           const char *actor)
{
    struct commit *c = commit_new(lc, NULL);
    struct event *event = xnew(struct event);

    event->project = image->project;
    event->subject_kind = "image";
    event->subject = image->id;
    event->type = type;
    commit_event(c, event, actor, image_record_to_json(image));
    store_add_event(c->batch, event);
    return c;
}

static void store_image(struct lifecycle *lc, const struct image_record *image, const char *type)
{
    struct commit *c = note(lc, image, type, "system");

    store_put_image(c->batch, image);
    commit_send(c);
}

static void drop(struct lifecycle *lc, struct image_record *image)
{
    for (size_t i = 0; i < lc->images.len; i++)
        if (lc->images.items[i] == image) {
            vec_remove(&lc->images, i);
            break;
        }
    image_record_free(image);
}

static void remove_image(struct lifecycle *lc, struct image_record *image)
{
    struct commit *c = note(lc, image, "image.deleted", "system");

    store_delete_image(c->batch, &image->id);
    tags_forget(c, &image->id);
    commit_send(c);
    drop(lc, image);
}

/* ---- pulling --------------------------------------------------------------------------------------- */

static const struct secret *find_login(const struct lifecycle *lc, const struct id *project,
                                       const char *registry)
{
    _cleanup_free_ char *name = xasprintf("@registry/%s", registry);

    return secret_find(lc, project, name);
}

void image_login_done(struct image_login *login)
{
    if (login->text)
        explicit_bzero(login->text, strlen(login->text));
    free(login->text);
    json_decref(login->json);
}

void image_login_open(struct lifecycle *lc, const struct id *project, const char *reference,
                      struct image_login *ret)
{
    struct image_reference ref;

    *ret = (struct image_login){ 0 };
    if (image_reference_parse(reference, &ref, NULL) < 0)
        return;
    const struct secret *secret = ref.registry ? find_login(lc, project, ref.registry) : NULL;
    if (secret && lc->sources.unseal(lc->sources.userdata, secret, &ret->text) == 0)
        (void) json_parse(ret->text, strlen(ret->text), &ret->json, NULL);
    image_reference_done(&ref);
    ret->username = json_get_str(ret->json, "username", NULL);
    ret->password = json_get_str(ret->json, "password", NULL);
}

/* Layers that are unpacked. */
static struct sha256 *list_layers(const struct lifecycle *lc, size_t *ret_n)
{
    VEC(struct sha256) list = { 0 };

    vec_foreach(&lc->images, image)
        for (size_t i = 0;
             (*image)->state == IMAGE_READY && !(*image)->is_packed && i < (*image)->n_layers; i++)
            vec_push(&list, (*image)->layers[i]);
    *ret_n = list.len;
    return list.items;
}

struct layer_list {
    VEC(struct sha256) layers, blobs;
};

/* Layers of the project that are here: their bytes need not come again. */
static void list_own_layers(const struct lifecycle *lc, const struct id *project,
                            struct layer_list *ret)
{
    vec_foreach(&lc->images, image) {
        if (!is_here(lc, *image) || !id_equal(&(*image)->project, project))
            continue;
        for (size_t i = 0; i < (*image)->n_layers; i++) {
            vec_push(&ret->layers, (*image)->layers[i]);
            if ((*image)->is_packed)
                vec_push(&ret->blobs, (*image)->blobs[i]);
        }
    }
}

/* One that was here before means what it was, wherever its name has gone since. Owned by the caller. */
static char *reference_of(const struct image_record *image)
{
    struct image_reference ref;
    char hex[SHA256_HEX_LEN + 1];

    if (!image->has_digest || image_reference_parse(image->name, &ref, NULL) < 0)
        return xstrdup(image->name);
    bool by_digest = ref.kind == REFERENCE_REGISTRY && !ref.has_digest;
    image_reference_done(&ref);
    return by_digest ? xasprintf("%s@sha256:%s", image->name, sha256_format(&image->digest, hex))
                     : xstrdup(image->name);
}

static void begin_pull(struct lifecycle *lc, const struct image_record *image)
{
    struct image_login login = { 0 };
    struct layer_list have = { 0 };
    _cleanup_free_ char *reference = reference_of(image);

    list_own_layers(lc, &image->project, &have);

    if (!image->source)
        image_login_open(lc, &image->project, image->name, &login);
    const struct image_pull pull = {
        .image = image->id,
        .project = image->project,
        .reference = reference,
        .source = image->source,
        .username = login.username,
        .password = login.password,
        .have = have.layers.items,
        .have_blobs = have.blobs.items,
        .n_have = have.layers.len,
    };
    lc->puller->ops->pull(lc->puller, &pull);
    image_login_done(&login);
    vec_done(&have.layers);
    vec_done(&have.blobs);
}

static struct image_record *new_record(struct lifecycle *lc, const struct id *project,
                                       const char *name, const char *source)
{
    struct image_record *image = xnew(struct image_record);

    image->id = lc_new_id(lc);
    image->project = *project;
    image->name = xstrdup(name);
    image->source = xstrdup(source);
    image->state = IMAGE_PULLING;
    image->created_us = image->updated_us = lc_now(lc);
    vec_push(&lc->images, image);
    return image;
}

static void start(struct lifecycle *lc, struct image_record *image, const char *actor,
                  lifecycle_ok_f done, void *userdata)
{
    struct commit *c = note(lc, image, "image.pulling", actor);

    store_put_image(c->batch, image);
    c->ok = done;
    c->userdata = userdata;
    commit_send(c);
    begin_pull(lc, image);
}

/* Those that are pinned to it wait for it now, or do not any more. */
static void hold_pinned(struct lifecycle *lc, const struct image_record *image)
{
    for (size_t i = 0; i < lc->queue.len; i++) {
        const struct workload *w = lc->queue.items[lc->queue.head + i].workload;
        if (is_of_digest(image, w))
            queue_hold(lc, live_get(lc, &w->id));
    }
    lc_want_pass(lc);
}

/* It is here, but not as tasks need it. What was sent is not here any more, but its bytes are. */
static void bring_again(struct lifecycle *lc, struct image_record *image, const char *actor)
{
    if (image->state == IMAGE_PULLING)
        return;
    image->state = IMAGE_PULLING;
    image->failures = 0;
    free(take_ptr(image->source));
    start(lc, image, actor, NULL, NULL);
    hold_pinned(lc, image);
}

void images_want(struct lifecycle *lc, const struct workload *w, const char *actor)
{
    if (!lc->puller || !images_hold(lc, w))
        return;
    if (w->spec->image_pinned) {
        bring_again(lc, image_of_job(lc, w), actor);
        return;
    }
    struct image_record *image = find_name(lc, &w->project, w->spec->image);
    if (image && image->state == IMAGE_PULLING)
        return;
    if (image && image->state == IMAGE_FAILED)
        remove_image(lc, image);
    start(lc, new_record(lc, &w->project, w->spec->image, NULL), actor, NULL, NULL);
}

int lifecycle_pull_image(struct lifecycle *lc, const struct new_image *new, lifecycle_ok_f done,
                         void *userdata, struct id *ret, struct error *err)
{
    _cleanup_free_ char *name = NULL;
    struct image_reference ref;

    if (!lc->puller)
        return error_set(err, -ENOTSUP, "images cannot be had here");
    int r = image_reference_parse(new->reference, &ref, err);
    if (r < 0)
        return r;
    enum reference_kind kind = ref.kind;
    if (new->source)
        name = image_reference_format(&ref);
    else
        r = resolve_name(lc, &new->project, new->reference, &name, err);
    bool built = ref.registry && str_equal(ref.registry, REGISTRY_OF_BUILDS);
    image_reference_done(&ref);
    if (r < 0)
        return r;
    if (kind == REFERENCE_HOST)
        return error_set(err, -EINVAL, "reference: host is this machine; it is always there");
    if (!new->source && built)
        return error_set(err, -EINVAL,
                         "reference: '%.100s' was made here; there is nowhere to "
                         "look for it",
                         new->reference);
    struct image_record *image = find_state(lc, &new->project, name, IMAGE_PULLING);
    if (image && !new->source) {
        struct commit *c = note(lc, image, "image.pulling", new->actor);
        c->ok = done;
        c->userdata = userdata;
        commit_send(c);
    } else {
        struct image_record *failed = find_state(lc, &new->project, name, IMAGE_FAILED);
        if (failed)
            remove_image(lc, failed);
        image = new_record(lc, &new->project, name, new->source);
        start(lc, image, new->actor, done, userdata);
    }
    *ret = image->id;
    return 0;
}

/* ---- what becomes of it --------------------------------------------------------------------------- */

static void on_progress(void *userdata, const struct id *id, const char *phase, int64_t done,
                        int64_t total)
{
    struct lifecycle *lc = userdata;
    struct image_record *image = get(lc, id);

    if (!image)
        return;
    image->phase = phase;
    image->done_bytes = done;
    image->total_bytes = total;
    lc->changes++;
}

static bool is_used(const struct lifecycle *lc, const struct image_record *image)
{
    struct job *job;

    map_foreach(lc->jobs, pos, job)
        if (!job->final && id_equal(&job->w->project, &image->project) &&
            job->w->spec->image_pinned && image->has_digest &&
            sha256_equal(&job->w->spec->image_digest, &image->digest))
            return true;
    return false;
}

/* The jobs that wait for NAME. Their order in the queue does not change. */
static struct job **list_waiting(struct lifecycle *lc, const struct image_record *image,
                                 size_t *ret_n)
{
    VEC(struct job *) list = { 0 };

    for (size_t i = 0; i < lc->queue.len; i++) {
        const struct workload *w = lc->queue.items[lc->queue.head + i].workload;
        if (id_equal(&w->project, &image->project) && images_hold(lc, w) &&
            (w->spec->image_pinned ? is_of_digest(image, w)
                                   : str_equal(w->spec->image, image->name)))
            vec_push(&list, live_get(lc, &w->id));
    }
    *ret_n = list.len;
    return list.items;
}

static void pin(struct lifecycle *lc, struct job *job, const struct image_record *image)
{
    struct commit *c = commit_new(lc, job);
    json_t *data = json_object();
    char hex[SHA256_HEX_LEN + 1];

    json_put_str(data, "image_digest", sha256_format(&image->digest, hex));
    queue_remove(lc, job);
    commit_fold(c, job, EVENT_PINNED, "system", data);
    queue_insert(lc, job);
    store_put_workload(c->batch, job->w);
    commit_send(c);
}

static void pin_waiting(struct lifecycle *lc, const struct image_record *image)
{
    size_t n = 0;
    _cleanup_free_ struct job **jobs = list_waiting(lc, image, &n);

    for (size_t i = 0; i < n; i++)
        pin(lc, jobs[i], image);
    hold_pinned(lc, image);
}

/* NAME means IMAGE from now on. Who had it keeps its digest as name while jobs use it. */
static void take_name(struct lifecycle *lc, const struct image_record *image)
{
    for (size_t i = lc->images.len; i-- > 0;) {
        struct image_record *old = lc->images.items[i];
        char hex[SHA256_HEX_LEN + 1];
        if (old == image || !id_equal(&old->project, &image->project) ||
            !str_equal(old->name, image->name) || old->state == IMAGE_PULLING)
            continue;
        if (sha256_equal(&old->digest, &image->digest) || !is_used(lc, old)) {
            remove_image(lc, old);
            lc->collect_wanted = true;
            continue;
        }
        char *name = xasprintf("%s@sha256:%s", old->name, sha256_format(&old->digest, hex));
        free(old->name);
        old->name = name;
        store_image(lc, old, "image.renamed");
    }
}

static bool is_made_here(const struct image_record *image)
{
    return str_starts(image->name, REGISTRY_OF_BUILDS "/");
}

static bool something_moves(const struct lifecycle *lc)
{
    vec_foreach(&lc->images, image)
        if ((*image)->state == IMAGE_PULLING)
            return true;
    return image_pushes_run(lc);
}

/* Layers that no record names may go; not while something is on its way, whose layers nobody has written
 * down yet. */
void images_collect(struct lifecycle *lc)
{
    VEC(struct image_packed) packed = { 0 };
    struct image_keep keep = { 0 };

    lc->collect_wanted = something_moves(lc);
    if (lc->collect_wanted)
        return;
    _cleanup_free_ struct sha256 *layers = list_layers(lc, &keep.n_layers);
    vec_foreach(&lc->images, image)
        if ((*image)->state == IMAGE_READY && ((*image)->is_packed || is_made_here(*image)))
            vec_push(&packed, ((struct image_packed){ (*image)->project, (*image)->digest }));
    keep.layers = layers;
    keep.packed = packed.items;
    keep.n_packed = packed.len;
    lc->puller->ops->collect(lc->puller, &keep);
    vec_done(&packed);
}

static void fail_waiting(struct lifecycle *lc, const struct image_record *image)
{
    size_t n = 0;
    _cleanup_free_ struct job **jobs = list_waiting(lc, image, &n);

    for (size_t i = 0; i < n; i++) {
        struct commit *c = commit_new(lc, jobs[i]);
        json_t *data = json_object();
        _cleanup_free_ char *reason = xasprintf("image %s: %s", image->name, image->reason);
        json_put_str(data, "cause", end_cause_name(END_START_FAILED));
        json_put_str(data, "reason", reason);
        queue_remove(lc, jobs[i]);
        commit_fold(c, jobs[i], EVENT_FAILED, "system", data);
        store_put_workload(c->batch, jobs[i]->w);
        commit_send(c);
    }
}

/* A registry that is away is asked again, later and later; everything else is final. */
static void on_failed(void *userdata, const struct id *id, int code, const char *text)
{
    struct lifecycle *lc = userdata;
    struct image_record *image = get(lc, id);

    if (!image)
        return;
    image->failures++;
    image->updated_us = lc_now(lc);
    image->phase = NULL;
    image->done_bytes = image->total_bytes = 0;
    xstr_set(&image->reason, text);
    if (code == -EAGAIN && image->failures < TRIES_MAX) {
        struct timer timer = {
            .due_us = lc_boot(lc) + (BACKOFF_S << image->failures) * US_PER_S,
            .kind = TIMER_IMAGE,
            .workload = image->id,
        };
        image->phase = "it is tried again soon";
        timer_add(lc, &timer);
        lc_wake(lc);
        store_image(lc, image, "image.pulling");
        return;
    }
    image->state = IMAGE_FAILED;
    store_image(lc, image, "image.failed");
    fail_waiting(lc, image);
    if (lc->collect_wanted)
        images_collect(lc);
}

static void *copy_list(const void *list, size_t n, size_t size)
{
    return list ? xmemdup(list, (n + 1) * size) : NULL;
}

static void take_found(struct lifecycle *lc, struct image_record *image,
                       const struct image_found *found)
{
    image->state = IMAGE_READY;
    image->has_digest = true;
    image->digest = found->digest;
    image->size_bytes = found->size_bytes;
    free(image->layers);
    free(image->blobs);
    free(image->blob_sizes);
    image->layers = copy_list(found->layers, found->n_layers, sizeof *found->layers);
    image->blobs = copy_list(found->blobs, found->n_layers, sizeof *found->blobs);
    image->blob_sizes = copy_list(found->blob_sizes, found->n_layers, sizeof *found->blob_sizes);
    image->n_layers = found->n_layers;
    image->is_packed = lc->puller->keeps_packed && image->blobs;
    json_decref(image->config);
    image->config = json_deep_copy(found->config);
    free(take_ptr(image->reason));
    image->failures = 0;
    image->updated_us = lc_now(lc);
}

static void on_ready(void *userdata, const struct id *id, const struct image_found *found)
{
    struct lifecycle *lc = userdata;
    struct image_record *image = get(lc, id);

    if (!image)
        return;
    if (image->has_digest && !sha256_equal(&image->digest, &found->digest)) {
        on_failed(lc, id, -EBADMSG,
                  "what its name says is another image now; pull it again, for jobs to come");
        return;
    }
    lc->collect_wanted |= image->has_digest; /* what it was before */
    take_found(lc, image, found);
    take_name(lc, image);
    store_image(lc, image, "image.ready");
    pin_waiting(lc, image);
    if (lc->collect_wanted)
        images_collect(lc);
}

void images_retry(struct lifecycle *lc, const struct id *id)
{
    struct image_record *image = get(lc, id);

    if (image && image->state == IMAGE_PULLING)
        begin_pull(lc, image);
}

/* ---- for tasks on other machines ---- */

void images_describe_packed(const struct lifecycle *lc, const struct image_record *image,
                            struct task_image *ret)
{
    if (!lc->puller || !lc->puller->keeps_packed || !image->is_packed)
        return;
    ret->blobs = image->blobs;
    ret->blob_sizes = image->blob_sizes;
    ret->entries_max = lc->puller->limits.entries_max;
    ret->bytes_max = lc->puller->limits.bytes_max;
    ret->ratio_max = lc->puller->limits.ratio_max;
}

bool lifecycle_task_has_layer(struct lifecycle *lc, const struct lifecycle_task *task,
                              const struct sha256 *blob)
{
    const struct image_record *image =
        task->spec->image_pinned ? find_digest(lc, &task->project, &task->spec->image_digest)
                                 : NULL;

    for (size_t i = 0; image && image->is_packed && i < image->n_layers; i++)
        if (sha256_equal(&image->blobs[i], blob))
            return true;
    return false;
}

/* ---- showing and deleting ------------------------------------------------------------------------- */

void lifecycle_images(struct lifecycle *lc, const struct id *project,
                      const struct image_record *const **ret, size_t *ret_n)
{
    lc->image_list.len = 0;
    vec_foreach(&lc->images, image)
        if (id_equal(&(*image)->project, project))
            vec_push(&lc->image_list, *image);
    *ret = lc->image_list.items;
    *ret_n = lc->image_list.len;
}

const struct image_record *lifecycle_image(struct lifecycle *lc, const struct id *project,
                                           const char *name)
{
    _cleanup_free_ char *canonical = NULL;
    struct sha256 digest;
    struct id id;

    if (id_parse(name, &id) == 0) {
        const struct image_record *image = get(lc, &id);
        return image && id_equal(&image->project, project) ? image : NULL;
    }
    if (sha256_parse(str_starts(name, "sha256:") ? name + 7 : name, &digest) == 0)
        return find_digest(lc, project, &digest);
    struct image_reference ref;
    if (image_reference_parse(name, &ref, NULL) < 0)
        return NULL;
    canonical = local_name(lc, project, &ref);
    if (!canonical)
        canonical = image_reference_format(&ref);
    image_reference_done(&ref);
    return find_name(lc, project, canonical);
}

static void delete_committed(struct lifecycle *lc, struct commit *c) { images_collect(lc); }

int lifecycle_delete_image(struct lifecycle *lc, const struct id *project, const char *name,
                           const char *actor, lifecycle_ok_f done, void *userdata,
                           struct error *err)
{
    const struct image_record *found = lifecycle_image(lc, project, name);
    struct image_record *image = found ? get(lc, &found->id) : NULL;
    size_t n_waiting = 0;

    if (!image)
        return error_set(err, -ENOENT, "the project has no image '%.100s'", name);
    _cleanup_free_ struct job **waiting = list_waiting(lc, image, &n_waiting);
    if (is_used(lc, image) || (image->state == IMAGE_PULLING && n_waiting > 0))
        return error_set(err, -EBUSY, "jobs that have not ended use image '%.100s'", image->name);
    if (image->state == IMAGE_PULLING)
        lc->puller->ops->cancel(lc->puller, &image->id);
    struct commit *c = note(lc, image, "image.deleted", actor);
    store_delete_image(c->batch, &image->id);
    tags_forget(c, &image->id);
    c->ok = done;
    c->userdata = userdata;
    c->effect = delete_committed;
    commit_send(c);
    drop(lc, image);
    return 0;
}

/* ---- logins ----------------------------------------------------------------------------------------- */

int lifecycle_registry_login(struct lifecycle *lc, const struct registry_login *login,
                             lifecycle_ok_f done, void *userdata, struct error *err)
{
    enum { LOGIN_MAX = 65536 };
    _cleanup_free_ char *name = xasprintf("@registry/%s", login->registry);
    _cleanup_json_ json_t *json = json_object();

    if (!image_registry_is_valid(login->registry))
        return error_set(err, -EINVAL, "registry: '%.80s' is not HOST or HOST:PORT",
                         login->registry);
    if (!login->password) {
        if (!secret_find(lc, &login->project, name))
            return error_set(err, -ENOENT, "there is no login for %s", login->registry);
        return lifecycle_delete_secret(lc, &login->project, name, login->actor, done, userdata,
                                       err);
    }
    if (strchr(login->username, ':') || strlen(login->password) > LOGIN_MAX)
        return error_set(err, -EINVAL,
                         "username: must have no ':' in it, and the password at most "
                         "%d bytes",
                         LOGIN_MAX);
    json_put_str(json, "username", login->username);
    json_put_str(json, "password", login->password);
    char *text = json_text(json);
    const struct new_secret secret = {
        .project = login->project, .name = name, .value = text, .actor = login->actor
    };
    int r = secret_keep(lc, &secret, done, userdata, err);
    explicit_bzero(text, strlen(text));
    free(text);
    return r;
}

/* ---- life -------------------------------------------------------------------------------------------- */

static void on_collect(void *userdata) { images_collect(userdata); }

void lifecycle_set_puller(struct lifecycle *lc, struct puller *puller)
{
    lc->puller = puller;
    puller->listener = (struct puller_listener){
        .progress = on_progress,
        .ready = on_ready,
        .failed = on_failed,
        .collect = on_collect,
        .userdata = lc,
    };
}

void images_take(struct lifecycle *lc, struct store_state *state)
{
    vec_foreach(&state->images, image)
        vec_push(&lc->images, *image);
    vec_done(&state->images);
}

void images_recover(struct lifecycle *lc)
{
    if (!lc->puller)
        return;
    /* What begins may fail at once, and records may go. */
    for (size_t i = lc->images.len; i-- > 0;)
        if (i < lc->images.len && lc->images.items[i]->state == IMAGE_PULLING)
            begin_pull(lc, lc->images.items[i]);
    images_collect(lc);
}

void images_done(struct lifecycle *lc)
{
    if (lc->puller)
        lc->puller->listener = (struct puller_listener){ 0 };
    vec_foreach(&lc->images, image)
        image_record_free(*image);
    vec_done(&lc->images);
    vec_done(&lc->image_list);
    image_pushes_done(lc);
}
