/* volumes.c - /storage of a project: what it is, how full, how fast
 *
 * Every project has one. Its file system is looked at on the pool; the machine of the server measures it
 * when somebody looks, other machines when a task begins (lifecycle/storage.c).
 */
#include "api/internal.h"

#include "base/alloc.h"
#include "base/time.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/volume.h"

#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>

#define MEASURED_BYTES  (INT64_C(32) << 20)
#define MEASURED_FOR_US (600 * US_PER_S)

struct look {
    struct call *call;
    const char *root; /* NULL: not shared */
    const char *at;   /* that the server can write to */
    bool one;         /* of it, and measured */
    bool measure;
    struct statvfs fs;
    bool seen;
    struct volume_speed speed;
    int r;
};

static void look_free(void *state)
{
    struct look *l = state;

    free(l);
}

static void put_time(json_t *json, const char *key, int64_t us)
{
    char text[TIME_TEXT_LEN + 1];

    json_put_str(json, key, time_format(us, text));
}

static void put_speed(json_t *json, const char *key, int64_t bps)
{
    if (bps > 0)
        json_put_int(json, key, bps);
}

static json_t *nodes_json(const struct call *call)
{
    const struct storage_node *nodes;
    size_t n = lifecycle_storage_nodes(call->api->options.lifecycle, &nodes);
    json_t *array = json_array();

    for (size_t i = 0; i < n; i++) {
        json_t *json = json_object();
        json_put_str(json, "node", nodes[i].node);
        put_speed(json, "read", nodes[i].read_bps);
        put_speed(json, "write", nodes[i].write_bps);
        put_speed(json, "sent", nodes[i].sent_bps);
        put_time(json, "measured", nodes[i].time_us);
        (void) json_array_append_new(array, json);
    }
    return array;
}

static json_t *volume_json(const struct look *l)
{
    json_t *json = json_object();

    json_put_str(json, "name", "storage");
    json_put_str(json, "mount", "/storage");
    json_put(json, "shared", json_boolean(l->root));
    json_put_str(json, "root", l->root);
    if (l->seen) {
        json_put_int(json, "size", (int64_t) l->fs.f_blocks * (int64_t) l->fs.f_frsize);
        json_put_int(json, "free", (int64_t) l->fs.f_bavail * (int64_t) l->fs.f_frsize);
    }
    json_put(json, "nodes", nodes_json(l->call));
    return json;
}

static void work(void *item)
{
    struct look *l = item;
    _cleanup_close_ int fd = open(l->at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    l->seen = fd >= 0 && fstatvfs(fd, &l->fs) == 0;
    l->r = l->seen && l->measure ? volume_measure(fd, MEASURED_BYTES, &l->speed, NULL) : -ENOENT;
}

static void worked(void *item)
{
    struct look *l = item;
    struct call *call = l->call;
    struct api *api = call->api;

    if (l->r == 0) {
        const struct storage_node measured = { (char *) (uintptr_t) api->options.node,
                                               clock_now_us(), l->speed.read_bps,
                                               l->speed.write_bps, 0 };
        lifecycle_storage_measured(api->options.lifecycle, &measured);
    }
    json_t *answer = volume_json(l);
    if (!l->one) {
        json_t *list = json_object(), *items = json_array();
        (void) json_array_append_new(items, answer);
        json_put(list, "items", items);
        answer = list;
    }
    call_answer(call, 200, answer);
}

static bool is_measured(const struct call *call)
{
    const struct storage_node *nodes;
    size_t n = lifecycle_storage_nodes(call->api->options.lifecycle, &nodes);

    for (size_t i = 0; i < n; i++)
        if (str_equal(nodes[i].node, call->api->options.node))
            return clock_now_us() - nodes[i].time_us < MEASURED_FOR_US;
    return false;
}

static void look(struct call *call, bool one)
{
    struct look *l = xnew(struct look);

    *l = (struct look){ .call = call,
                        .root = call->api->options.storage,
                        .at = call->api->options.storage_probe,
                        .one = one,
                        .measure = one && !is_measured(call) };
    call->state = l;
    call->free_state = look_free;
    pool_submit(call->api->options.pool, work, worked, l);
}

static void volume_list(struct call *call) { look(call, false); }

static void volume_show(struct call *call)
{
    if (!str_equal(call_param(call, "volume"), "storage"))
        call_refuse(call, -ENOENT, "a project has the volume 'storage' alone, not '%s'",
                    call_param(call, "volume"));
    else
        look(call, true);
}

const struct api_route volume_routes[] = {
    { "volume.list", volume_list },
    { "volume.show", volume_show },
    { NULL, NULL },
};
