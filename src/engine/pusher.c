/* pusher.c - pushes that are under way, and those that wait for them */
#include "engine/pusher.h"

#include "base/alloc.h"
#include "base/text.h"
#include "base/vec.h"
#include "data/data.h"
#include "engine/child.h"
#include "engine/packed.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/utsname.h>

enum { PUSHES_MAX = 2 };

struct push {
    struct pusher *pusher;
    struct id id, project;
    char *request; /* until it is started */
    struct child *child;
    int64_t total;
};

struct pusher {
    struct pusher_options options;
    struct pusher_listener listener;
    VEC(struct push *) pushes; /* oldest first */
    unsigned n_running;
};

static void start_next(struct pusher *pusher);

static void forget_request(struct push *push)
{
    if (push->request)
        explicit_bzero(push->request, strlen(push->request));
    free(take_ptr(push->request));
}

static void push_free(struct push *push)
{
    child_free(push->child);
    forget_request(push);
    free(push);
}

static void end(struct push *push, int code, const char *text)
{
    struct pusher *pusher = push->pusher;
    struct id id = push->id;

    for (size_t i = 0; i < pusher->pushes.len; i++)
        if (pusher->pushes.items[i] == push) {
            vec_remove(&pusher->pushes, i);
            break;
        }
    pusher->n_running--;
    if (pusher->listener.ended)
        pusher->listener.ended(pusher->listener.userdata, &id, code, text);
    push_free(push);
    start_next(pusher);
}

static bool on_line(void *userdata, const json_t *line)
{
    struct push *push = userdata;
    const struct pusher_listener *listener = &push->pusher->listener;
    const char *event = json_get_str(line, "event", "");

    if (str_equal(event, "done")) {
        end(push, 0, "");
        return false;
    }
    if (str_equal(event, "failed")) {
        end(push, (int) json_get_int(line, "code", -EIO), json_get_str(line, "text", ""));
        return false;
    }
    bool resolved = str_equal(event, "resolved");
    if (resolved)
        push->total = json_get_int(line, "bytes", 0);
    if (listener->progress)
        listener->progress(listener->userdata, &push->id,
                           resolved ? 0 : json_get_int(line, "bytes", 0), push->total);
    return true;
}

static void on_end(void *userdata) { end(userdata, -EIO, "the process that pushes it ended"); }

static int start(struct push *push, struct error *err)
{
    _cleanup_free_ char *directory = packed_directory(push->pusher->options.state, &push->project);
    const struct child_options options = {
        .loop = push->pusher->options.loop,
        .role = "push-image",
        .request = push->request,
        .line = on_line,
        .end = on_end,
        .userdata = push,
    };

    int r = mkdir_all(AT_FDCWD, directory, 0700, err);
    return r < 0 ? r : child_start(&options, &push->child, err);
}

static void start_next(struct pusher *pusher)
{
    for (size_t i = 0; i < pusher->pushes.len && pusher->n_running < PUSHES_MAX; i++) {
        struct push *push = pusher->pushes.items[i];
        struct error err = { 0 };
        if (!push->request)
            continue;
        pusher->n_running++;
        int r = start(push, &err);
        forget_request(push);
        if (r < 0) {
            end(push, r, err.text);
            return; /* it has looked for the next itself */
        }
    }
}

static bool is_plain(const struct pusher *pusher, const char *reference)
{
    struct image_reference ref;

    if (image_reference_parse(reference, &ref, NULL) < 0)
        return false;
    bool plain = registry_is_plain(pusher->options.plain_http, ref.registry);
    image_reference_done(&ref);
    return plain;
}

static json_t *login_json(const struct registry_login_text *login)
{
    json_t *json = json_object();

    json_put_str(json, "username", login->username);
    json_put_str(json, "password", login->password);
    return json;
}

static char *request_text(const struct pusher *pusher, const struct image_push *what)
{
    const struct pusher_options *o = &pusher->options;
    _cleanup_free_ char *directory = packed_directory(o->state, &what->project);
    _cleanup_json_ json_t *json = json_object();
    char hex[SHA256_HEX_LEN + 1];
    struct utsname machine;

    json_put_str(json, "digest", sha256_format(&what->manifest, hex));
    json_put_str(json, "from", what->from);
    json_put_str(json, "to", what->to);
    json_put_str(json, "directory", directory);
    if (uname(&machine) == 0)
        json_put_str(json, "machine", machine.machine);
    json_put(json, "login", login_json(&what->login));
    json_put(json, "from_login", login_json(&what->from_login));
    json_put(json, "plain_http", json_boolean(is_plain(pusher, what->to)));
    json_put(json, "from_plain_http", json_boolean(is_plain(pusher, what->from)));
    json_put_str(json, "proxy", o->proxy);
    json_put_str(json, "ca_file", o->ca_file);
    json_put_int(json, "stall", o->stall_s);
    json_put_int(json, "max_bytes", o->max_bytes);
    return json_text(json);
}

void pusher_push(struct pusher *pusher, const struct image_push *what)
{
    struct push *push = xnew(struct push);

    push->pusher = pusher;
    push->id = what->push;
    push->project = what->project;
    push->request = request_text(pusher, what);
    vec_push(&pusher->pushes, push);
    start_next(pusher);
}

void pusher_listen(struct pusher *pusher, const struct pusher_listener *listener)
{
    pusher->listener = *listener;
}

void pusher_free(struct pusher *pusher)
{
    if (!pusher)
        return;
    vec_foreach(&pusher->pushes, push)
        push_free(*push);
    vec_done(&pusher->pushes);
    free(pusher);
}

struct pusher *pusher_new(const struct pusher_options *options)
{
    struct pusher *pusher = xnew(struct pusher);

    pusher->options = *options;
    return pusher;
}
