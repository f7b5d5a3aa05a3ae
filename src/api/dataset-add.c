/* dataset-add.c - a version is made of what was sent (tree-check.c) */
#include "api/internal.h"

#include "base/alloc.h"

struct adding {
    struct call *call;
    struct sha256 manifest;
};

static void added(void *userdata, const struct dataset *d, const struct dataset_version *v)
{
    struct call *call = userdata;

    if (!d || !v)
        call_refuse(call, -ENOENT, "the version was deleted meanwhile");
    else
        call_answer_once(call, 201, dataset_json(d, v));
}

static void add(void *userdata, int r, const struct tree_size *size, const struct error *reason)
{
    const struct adding *a = userdata;
    struct call *call = a->call;
    struct error err = { 0 };

    if (r < 0) {
        call_fail(call, r, reason);
        return;
    }
    const struct new_version new = {
        .project = call->project,
        .name = call_param(call, "dataset"),
        .actor = call->actor,
        .manifest = a->manifest,
        .files = size->entries,
        .size_bytes = size->bytes,
        .message = json_get_str(call->body, "message", NULL),
        .tags = json_object_get(call->body, "tags"),
    };
    r = new.files ? lifecycle_add_version(call->api->options.lifecycle, &new, added, call, &err)
                  : error_set(&err, -EINVAL, "manifest: there is no file in it");
    if (r < 0)
        call_fail(call, r, &err);
}

void dataset_add(struct call *call)
{
    struct adding *a = xnew(struct adding);
    struct error err = { 0 };

    a->call = call;
    call->state = a;
    call->free_state = free;
    (void) sha256_parse(json_get_str(call->body, "manifest", ""), &a->manifest); /* checked */
    int r = name_check("dataset", call_param(call, "dataset"), &err);
    if (r >= 0)
        r = upload_check_room(call, &err);
    if (r < 0)
        call_fail(call, r, &err);
    else
        tree_check(call->api, &call->project, &a->manifest, add, a);
}
