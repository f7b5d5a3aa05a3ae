/* images.c - a project's images: pull, import, list, show, delete; logins for registries */
#include "api/internal.h"

#include "base/alloc.h"
#include "base/time.h"
#include "os/clock.h"
#include "os/fd.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static void image_list(struct call *call)
{
    const struct image_record *const *images;
    json_t *answer = json_object(), *array = json_array();
    size_t n;

    lifecycle_images(call->api->options.lifecycle, &call->project, &images, &n);
    for (size_t i = 0; i < n; i++)
        add_tagged(call, array, &images[i]->id, image_record_show(images[i]));
    json_put(answer, "items", array);
    call_answer(call, 200, answer);
}

static void image_show(struct call *call)
{
    const char *name = call_param(call, "image");
    const struct image_record *image =
        lifecycle_image(call->api->options.lifecycle, &call->project, name);

    if (image)
        call_answer(call, 200, with_tags(call, &image->id, image_record_show(image)));
    else
        call_refuse(call, -ENOENT, "the project has no image '%.100s'", name);
}

/* ---- pull --------------------------------------------------------------------------------------- */

struct pulling {
    struct call *call;
    struct id image;
};

static void pull_begun(void *userdata)
{
    struct pulling *p = userdata;
    char id[ID_TEXT_LEN + 1];
    const struct image_record *image = lifecycle_image(p->call->api->options.lifecycle,
                                                       &p->call->project, id_format(&p->image, id));

    if (image)
        call_answer_once(p->call, 202, with_tags(p->call, &image->id, image_record_show(image)));
    else
        call_refuse(p->call, -ENOENT, "the image was deleted at once");
}

static void begin_pull(struct call *call, const char *reference, const char *source)
{
    struct pulling *p = xnew(struct pulling);
    struct error err = { 0 };
    const struct new_image new = {
        .project = call->project, .reference = reference, .source = source, .actor = call->actor
    };

    p->call = call;
    call->state = p;
    call->free_state = free;
    int r =
        lifecycle_pull_image(call->api->options.lifecycle, &new, pull_begun, p, &p->image, &err);
    if (r < 0)
        call_fail(call, r, &err);
}

static void image_pull(struct call *call)
{
    begin_pull(call, json_get_str(call->body, "reference", ""), NULL);
}

/* ---- import ------------------------------------------------------------------------------------- */

struct import {
    struct call *call;
    char *path, *reference, *source;
    int fd;
    struct text piece; /* belongs to the pool between work and worked */
    bool is_end, is_over, busy, taken;
    int r;
};

static void import_free(void *state)
{
    struct import *im = state;

    safe_close(im->fd);
    if (!im->taken)
        (void) unlink(im->path);
    text_done(&im->piece);
    free(im->path);
    free(im->reference);
    free(im->source);
    free(im);
}

static void import_work(void *item)
{
    struct import *im = item;

    im->r = write_full(im->fd, text_str(&im->piece), im->piece.len);
}

static void import_whole(struct import *im)
{
    _cleanup_free_ char *reference = take_ptr(im->reference), *source = take_ptr(im->source);
    struct call *call = im->call;

    /* The file goes with the packed layers (puller). */
    im->taken = true;
    import_free(im);
    call->state = NULL;
    call->free_state = NULL;
    begin_pull(call, reference, source);
}

static void import_worked(void *item)
{
    struct import *im = item;

    im->busy = false;
    text_clear(&im->piece);
    if (im->is_over)
        call_refuse(im->call, -EINVAL, "the content ended early");
    else if (im->r < 0)
        call_refuse(im->call, im->r, "writing the archive: %s", strerror(-im->r));
    else if (im->is_end)
        import_whole(im);
    else
        http_body_resume(im->call->req);
}

static void import_data(void *userdata, struct http_request *req, int r, const char *bytes,
                        size_t len)
{
    struct import *im = userdata;

    if (r < 0) {
        im->is_over = true;
        if (!im->busy)
            call_refuse(im->call, -EINVAL, "the content ended early");
        return;
    }
    text_add_bytes(&im->piece, bytes, len);
    im->is_end = len == 0;
    im->busy = true;
    http_body_pause(req);
    pool_submit(im->call->api->options.pool, import_work, import_worked, im);
}

static int open_import(struct import *im, struct error *err)
{
    char project[ID_TEXT_LEN + 1], name[ID_TEXT_LEN + 1];
    struct id id = id_new();
    _cleanup_free_ char *directory = xasprintf("%s/images/%s", im->call->api->options.state,
                                               id_format(&im->call->project, project));
    const char *format = json_get_str(im->call->query, "format", "oci-archive");

    im->path = xasprintf("%s/upload-%s", directory, id_format(&id, name));
    im->source = xasprintf("%s:%s", format, im->path);
    int r = mkdir_all(AT_FDCWD, directory, 0700, err);
    if (r < 0)
        return r;
    im->fd = open(im->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return im->fd < 0 ? error_set(err, -errno, "%s: %s", im->path, strerror(errno)) : 0;
}

static void image_import(struct call *call)
{
    const char *name = json_get_str(call->query, "name", "");
    struct import *im = xnew(struct import);
    struct image_reference ref;
    struct store_health health;
    struct error err = { 0 };

    im->call = call;
    im->fd = -1;
    im->path = xstrdup("");
    im->reference = xasprintf("%s/%s", REGISTRY_OF_BUILDS, name);
    call->state = im;
    call->free_state = import_free;
    store_health(call->api->options.store, &health);
    int r = image_reference_parse(im->reference, &ref, &err);
    if (r >= 0)
        image_reference_done(&ref);
    if (r >= 0 && health.reserve_low)
        r = error_set(&err, -ENOSPC, "less disk is free than the reserve: %lld bytes",
                      (long long) health.disk_free_bytes);
    if (r >= 0) {
        free(take_ptr(im->path));
        r = open_import(im, &err);
    }
    if (r < 0)
        call_fail(call, r, &err);
    else
        http_stream_body(call->req, import_data, im);
}

/* ---- push --------------------------------------------------------------------------------------- */

static json_t *show_push(const struct image_push_record *push)
{
    json_t *json = json_object();
    char hex[SHA256_HEX_LEN + 1], id[ID_TEXT_LEN + 1], time[TIME_TEXT_LEN + 1];
    _cleanup_free_ char *digest = xasprintf("sha256:%s", sha256_format(&push->digest, hex));

    json_put_str(json, "id", id_format(&push->id, id));
    json_put_str(json, "image", push->image);
    json_put_str(json, "to", push->to);
    json_put_str(json, "digest", digest);
    json_put_str(json, "state", push->running ? "pushing" : push->reason ? "failed" : "done");
    json_put_int(json, "done", push->done_bytes);
    json_put_int(json, "total", push->total_bytes);
    json_put_str(json, "reason", push->reason);
    json_put_str(json, "created", time_format(push->created_us, time));
    return json;
}

static void image_push_create(struct call *call)
{
    const struct image_push_record *push;
    struct error err = { 0 };
    const struct new_push new = {
        .project = call->project,
        .image = json_get_str(call->body, "image", ""),
        .to = json_get_str(call->body, "to", ""),
        .actor = call->actor,
    };

    int r = lifecycle_push_image(call->api->options.lifecycle, &new, &push, &err);
    if (r < 0)
        call_fail(call, r, &err);
    else
        call_answer_once(call, 202, show_push(push));
}

static void image_push_show(struct call *call)
{
    const struct image_push_record *push = NULL;
    struct id id;

    if (id_parse(call_param(call, "push"), &id) == 0)
        push = lifecycle_image_push(call->api->options.lifecycle, &call->project, &id);
    if (push)
        call_answer(call, 200, show_push(push));
    else
        call_refuse(call, -ENOENT, "there is no such push; the server may have restarted since");
}

/* ---- delete, logins ------------------------------------------------------------------------------ */

static void is_done(void *userdata) { call_answer_empty(userdata); }

static void image_delete(struct call *call)
{
    struct error err = { 0 };
    int r = lifecycle_delete_image(call->api->options.lifecycle, &call->project,
                                   call_param(call, "image"), call->actor, is_done, call, &err);

    if (r < 0)
        call_fail(call, r, &err);
}

static void log_in_or_out(struct call *call, const char *username, const char *password)
{
    struct error err = { 0 };
    const struct registry_login login = {
        .project = call->project,
        .registry = call_param(call, "registry"),
        .username = username,
        .password = password,
        .actor = call->actor,
    };
    int r = lifecycle_registry_login(call->api->options.lifecycle, &login, is_done, call, &err);

    if (r < 0)
        call_fail(call, r, &err);
}

static void image_login(struct call *call)
{
    log_in_or_out(call, json_get_str(call->body, "username", ""),
                  json_get_str(call->body, "password", ""));
}

static void image_logout(struct call *call) { log_in_or_out(call, NULL, NULL); }

const struct api_route image_routes[] = {
    { "image.list", image_list },     { "image.pull", image_pull },
    { "image.import", image_import }, { "image.show", image_show },
    { "image.delete", image_delete }, { "image.login", image_login },
    { "image.logout", image_logout }, { "push.create", image_push_create },
    { "push.show", image_push_show }, { NULL, NULL },
};
