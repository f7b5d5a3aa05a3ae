/* image-push.c - images on their way to registries
 *
 * A push is of the moment: nothing of it is stored but the event that says who sent what where. After a
 * restart it is asked for again; what the registry has by then is not sent twice.
 */
#include "lifecycle/internal.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

enum { PUSHES_KEPT = 100 };

static void push_free(struct image_push_record *push)
{
    free(push->image);
    free(push->to);
    free(push->actor);
    free(push->reason);
    free(push);
}

static struct image_push_record *get(const struct lifecycle *lc, const struct id *id)
{
    vec_foreach(&lc->pushes, push)
        if (id_equal(&(*push)->id, id))
            return *push;
    return NULL;
}

bool image_pushes_run(const struct lifecycle *lc)
{
    vec_foreach(&lc->pushes, push)
        if ((*push)->running)
            return true;
    return false;
}

/* ---- what becomes of it --------------------------------------------------------------------------- */

static void on_progress(void *userdata, const struct id *id, int64_t done, int64_t total)
{
    struct image_push_record *push = get(userdata, id);

    if (!push)
        return;
    push->done_bytes = done;
    push->total_bytes = total;
}

static void note(struct lifecycle *lc, const struct image_push_record *push)
{
    struct commit *c = commit_new(lc, NULL);
    struct event *event = xnew(struct event);
    json_t *data = json_object();
    char hex[SHA256_HEX_LEN + 1];

    json_put_str(data, "image", push->image);
    json_put_str(data, "to", push->to);
    json_put_str(data, "digest", sha256_format(&push->digest, hex));
    json_put_str(data, "reason", push->reason);
    event->project = push->project;
    event->subject_kind = "image";
    event->subject = push->id;
    event->type = push->reason ? "image.push-failed" : "image.pushed";
    commit_event(c, event, push->actor, data);
    store_add_event(c->batch, event);
    commit_send(c);
}

static void on_ended(void *userdata, const struct id *id, int code, const char *text)
{
    struct lifecycle *lc = userdata;
    struct image_push_record *push = get(lc, id);

    if (!push)
        return;
    push->running = false;
    if (code < 0)
        xstr_set(&push->reason, text && *text ? text : strerror(-code));
    note(lc, push);
    if (lc->collect_wanted)
        images_collect(lc);
}

/* ---- requests -------------------------------------------------------------------------------------- */

static int parse_to(const struct lifecycle *lc, const char *text, char **ret, struct error *err)
{
    struct image_reference ref;

    int r = image_reference_parse(text, &ref, err);
    if (r < 0)
        return error_context(err, r, "to");
    if (ref.kind != REFERENCE_REGISTRY || !ref.named_registry ||
        str_equal(ref.registry, REGISTRY_OF_BUILDS) || ref.has_digest)
        r = error_set(err, -EINVAL, "to: '%.100s' is not REGISTRY/REPOSITORY:TAG", text);
    else
        r = image_check_registry(lc, ref.registry, err);
    if (r >= 0)
        *ret = image_reference_format(&ref);
    image_reference_done(&ref);
    return r;
}

static void make_room(struct lifecycle *lc)
{
    for (size_t i = 0; i < lc->pushes.len && lc->pushes.len >= PUSHES_KEPT;) {
        struct image_push_record *push = lc->pushes.items[i];
        if (push->running) {
            i++;
            continue;
        }
        vec_remove(&lc->pushes, i);
        push_free(push);
    }
}

static void begin(struct lifecycle *lc, const struct image_push_record *push)
{
    struct image_login login, from;

    image_login_open(lc, &push->project, push->to, &login);
    image_login_open(lc, &push->project, push->image, &from);
    const struct image_push what = {
        .push = push->id,
        .project = push->project,
        .manifest = push->digest,
        .from = push->image,
        .to = push->to,
        .login = { login.username, login.password },
        .from_login = { from.username, from.password },
    };
    pusher_push(lc->pusher, &what);
    image_login_done(&login);
    image_login_done(&from);
}

int lifecycle_push_image(struct lifecycle *lc, const struct new_push *new,
                         const struct image_push_record **ret, struct error *err)
{
    const struct image_record *image = lifecycle_image(lc, &new->project, new->image);
    char *to = NULL;

    if (!lc->pusher)
        return error_set(err, -ENOTSUP, "images cannot be sent from here");
    if (!image)
        return error_set(err, -ENOENT, "the project has no image '%.100s'", new->image);
    if (image->state != IMAGE_READY)
        return error_set(err, -EBUSY, "image '%.100s' is not here yet", image->name);
    int r = parse_to(lc, new->to, &to, err);
    if (r < 0)
        return r;
    make_room(lc);
    struct image_push_record *push = xnew(struct image_push_record);
    push->id = lc_new_id(lc);
    push->project = new->project;
    push->image = xstrdup(image->name);
    push->to = to;
    push->actor = xstrdup(new->actor);
    push->digest = image->digest;
    push->running = true;
    push->created_us = lc_now(lc);
    vec_push(&lc->pushes, push);
    begin(lc, push);
    *ret = push;
    return 0;
}

const struct image_push_record *lifecycle_image_push(const struct lifecycle *lc,
                                                     const struct id *project, const struct id *id)
{
    const struct image_push_record *push = get(lc, id);

    return push && id_equal(&push->project, project) ? push : NULL;
}

/* ---- life -------------------------------------------------------------------------------------------- */

void lifecycle_set_pusher(struct lifecycle *lc, struct pusher *pusher)
{
    const struct pusher_listener listener = { .progress = on_progress,
                                              .ended = on_ended,
                                              .userdata = lc };

    lc->pusher = pusher;
    pusher_listen(pusher, &listener);
}

void image_pushes_done(struct lifecycle *lc)
{
    const struct pusher_listener none = { 0 };

    if (lc->pusher)
        pusher_listen(lc->pusher, &none);
    vec_foreach(&lc->pushes, push)
        push_free(*push);
    vec_done(&lc->pushes);
}
