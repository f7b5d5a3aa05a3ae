/* puller-local.c - images for this machine: a process that fetches, the keeper that unpacks
 *
 *     pull → `berth fetch-image` → "layer" lines → the keeper unpacks each → all there: ready
 *
 * A large layer is unpacked while it arrives. It stays out of sight until its packed bytes are whole and
 * verified; when that unpacking fails before, it counts for nothing, and is begun again with the whole layer.
 *
 * Packed bytes lie in STATE/images/PROJECT/ while they are needed; what one project has fetched is never
 * looked for by another.
 */
#include "engine/engine.h"

#include "base/alloc.h"
#include "base/text.h"
#include "base/vec.h"
#include "data/data.h"
#include "engine/child.h"
#include "engine/packed.h"
#include "os/fd.h"
#include "task/task.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/utsname.h>

/* Streams wait for bytes most of the time; nothing waits for them. */
enum {
    PULLS_MAX = 4,
    UNPACKS_MAX = 2,
    STREAMS_MAX = 4,
    AGAIN_US = 250000,
    AGAIN_MAX_US = 60000000
};

struct local;

/* A layer on its way through the keeper. */
struct unpacking {
    uint64_t serial; /* 0: not asked yet */
    struct id image; /* id_none: cancelled */
    struct sha256 layer;
    int fd;
    bool is_stream; /* it was asked while the layer arrived */
    int64_t packed_size;
    int arrived; /* of a stream: takes a byte when the layer is whole; -1 afterwards */
};

struct pull {
    struct local *local;
    struct id image, project;
    char *request; /* until it is started */
    char *upload;  /* an archive that is ours to remove; NULL */
    bool is_kept;  /* its packed bytes stay: there is nowhere to get them again */
    struct child *child;
    struct sha256 digest;
    int64_t total;
    VEC(struct sha256) blobs; /* packed layers, to be removed */
    struct sha256 *layers;
    struct sha256 *layer_blobs; /* of each layer */
    int64_t *blob_sizes;
    size_t n_layers;
    json_t *config;
    unsigned unpacking;
    bool fetched, whole;
};

struct local {
    struct puller puller;
    struct puller_local_options options;
    struct watch *watch;
    uint64_t serial;
    unsigned n_running, n_asked, n_streams; /* n_asked: without streams */
    struct packed_sweep *sweeping;          /* nothing is started meanwhile */
    uint64_t collection;                    /* serial of the newest */
    struct watch *again;                    /* timer: some layers were still in use then */
    int64_t again_us;
    VEC(struct pull *) pulls; /* oldest first */
    VEC(struct unpacking) unpackings;
};

static void start_next(struct local *local);
static void ask_next(struct local *local);

/* ---- packed bytes that are of no use any more ---- */

struct removal {
    char *directory, *upload;
    VEC(struct sha256) blobs;
};

static void removal_work(void *item)
{
    struct removal *removal = item;
    char hex[SHA256_HEX_LEN + 1];

    if (removal->upload)
        (void) unlink(removal->upload);
    vec_foreach(&removal->blobs, blob) {
        _cleanup_free_ char *path =
            xasprintf("%s/%s", removal->directory, sha256_format(blob, hex));
        (void) unlink(path);
    }
}

static void removal_done(void *item)
{
    struct removal *removal = item;

    vec_done(&removal->blobs);
    free(removal->directory);
    free(removal->upload);
    free(removal);
}

static char *directory_of(const struct local *local, const struct id *project)
{
    return packed_directory(local->options.state, project);
}

/* Built or imported. */
static bool is_made_here(const char *reference)
{
    struct image_reference ref;
    bool here = false;

    if (image_reference_parse(reference, &ref, NULL) >= 0) {
        here = ref.registry && str_equal(ref.registry, REGISTRY_OF_BUILDS);
        image_reference_done(&ref);
    }
    return here;
}

/* An archive that was sent has served; layers stay until all are unpacked, so that another try need not
 * fetch them again. */
static void remove_packed(struct pull *pull)
{
    struct removal *removal = xnew(struct removal);

    removal->directory = directory_of(pull->local, &pull->project);
    removal->upload = take_ptr(pull->upload);
    if (pull->whole && !pull->is_kept)
        vec_foreach(&pull->blobs, blob)
            vec_push(&removal->blobs, *blob);
    pool_submit(pull->local->options.pool, removal_work, removal_done, removal);
}

/* ---- ends ---- */

static void pull_free(struct pull *pull)
{
    child_free(pull->child);
    if (pull->request)
        explicit_bzero(pull->request, strlen(pull->request));
    free(pull->request);
    free(pull->upload);
    vec_done(&pull->blobs);
    free(pull->layers);
    free(pull->layer_blobs);
    free(pull->blob_sizes);
    json_decref(pull->config);
    free(pull);
}

static struct pull *find_pull(const struct local *local, const struct id *image)
{
    vec_foreach(&local->pulls, pull)
        if (id_equal(&(*pull)->image, image))
            return *pull;
    return NULL;
}

/* Forget it; what the keeper does for it goes on without a listener. */
static void drop(struct pull *pull)
{
    struct local *local = pull->local;

    remove_packed(pull);
    for (size_t i = local->unpackings.len; i-- > 0;) {
        struct unpacking *u = &local->unpackings.items[i];
        if (!id_equal(&u->image, &pull->image))
            continue;
        u->image = (struct id){ 0 };
        u->arrived = safe_close(u->arrived);
        if (u->serial)
            continue;
        safe_close(u->fd);
        vec_remove(&local->unpackings, i);
    }
    for (size_t i = 0; i < local->pulls.len; i++)
        if (local->pulls.items[i] == pull) {
            vec_remove(&local->pulls, i);
            break;
        }
    local->n_running -= pull->request == NULL;
    pull_free(pull);
    start_next(local);
}

static void fail(struct pull *pull, int code, const char *text)
{
    struct puller_listener listener = pull->local->puller.listener;
    struct id image = pull->image;

    drop(pull);
    if (listener.failed)
        listener.failed(listener.userdata, &image, code, text);
}

static void finish_if_whole(struct pull *pull)
{
    struct puller_listener listener = pull->local->puller.listener;

    if (!pull->fetched || pull->unpacking > 0)
        return;
    struct id image = pull->image;
    _cleanup_free_ struct sha256 *layers = take_ptr(pull->layers);
    _cleanup_free_ struct sha256 *blobs = take_ptr(pull->layer_blobs);
    _cleanup_free_ int64_t *blob_sizes = take_ptr(pull->blob_sizes);
    _cleanup_json_ json_t *config = take_ptr(pull->config);
    struct image_found found = {
        .digest = pull->digest,
        .size_bytes = pull->total,
        .layers = layers,
        .n_layers = pull->n_layers,
        .blobs = blobs,
        .blob_sizes = blob_sizes,
        .config = config,
    };
    pull->whole = true;
    drop(pull);
    if (listener.ready)
        listener.ready(listener.userdata, &image, &found);
}

/* ---- the keeper ---- */

/* With one descriptor, or two. */
static int send_request(struct local *local, const struct layers_request *request, int fd,
                        int arriving)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(LAYERS_FDS * sizeof(int))];
    } control = { 0 };
    const int fds[LAYERS_FDS] = { fd, arriving };
    size_t len = (arriving < 0 ? 1 : LAYERS_FDS) * sizeof(int);
    struct iovec iov = { .iov_base = (void *) (uintptr_t) request, .iov_len = sizeof *request };
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_SPACE(len)
    };
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(len);
    memcpy(CMSG_DATA(c), fds, len);
    return sendmsg(local->options.layers_fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

static void ask(struct local *local, struct unpacking *u, int arriving)
{
    struct layers_request request = {
        .op = local->puller.keeps_packed ? LAYERS_CHECK : LAYERS_UNPACK,
        .serial = ++local->serial,
        .layer = u->layer,
        .packed_size = u->packed_size,
        .entries_max = local->options.entries_max,
        .bytes_max = local->options.max_bytes,
        .ratio_max = local->options.ratio_max,
    };

    u->serial = request.serial;
    (void) send_request(local, &request, u->fd, arriving);
    u->fd = safe_close(u->fd);
}

/* Few at a time: so the socket is never full. */
static void ask_next(struct local *local)
{
    for (size_t i = 0; i < local->unpackings.len && local->n_asked < UNPACKS_MAX; i++) {
        struct unpacking *u = &local->unpackings.items[i];
        if (u->serial)
            continue;
        ask(local, u, -1);
        local->n_asked++;
    }
}

/* A job that has just ended lets go of its layers a moment later. */
static void on_collected(struct local *local, const struct layers_answer *answer)
{
    if (answer->serial != local->collection)
        return;
    if (answer->bytes == 0) {
        local->again_us = AGAIN_US;
        return;
    }
    timer_set(local->again, local->again_us);
    local->again_us = local->again_us * 2 < AGAIN_MAX_US ? local->again_us * 2 : AGAIN_MAX_US;
}

static void on_again(void *userdata)
{
    struct local *local = userdata;
    const struct puller_listener *listener = &local->puller.listener;

    timer_clear(local->again);
    if (listener->collect)
        listener->collect(listener->userdata);
}

static void on_answer(struct local *local, struct layers_answer *answer)
{
    size_t i = 0;

    while (i < local->unpackings.len && local->unpackings.items[i].serial != answer->serial)
        i++;
    if (i == local->unpackings.len) {
        on_collected(local, answer);
        return;
    }
    struct unpacking u = local->unpackings.items[i];
    vec_remove(&local->unpackings, i);
    bool came_early = u.arrived >= 0;
    safe_close(u.arrived);
    *(u.is_stream ? &local->n_streams : &local->n_asked) -= 1;
    struct pull *pull = id_is_none(&u.image) ? NULL : find_pull(local, &u.image);
    answer->text[sizeof answer->text - 1] = '\0';
    if (pull && came_early) {
        pull->unpacking--; /* the fetching process finds what is wrong with it, or the next unpacking */
    } else if (pull && answer->code < 0) {
        char hex[SHA256_HEX_LEN + 1];
        _cleanup_free_ char *text =
            xasprintf("layer %.12s: %s", sha256_format(&u.layer, hex), answer->text);
        fail(pull, answer->code, text);
    } else if (pull) {
        pull->unpacking--;
        finish_if_whole(pull);
    }
    ask_next(local);
}

static void on_keeper(void *userdata, uint32_t events)
{
    struct local *local = userdata;
    struct layers_answer answer;

    (void) events;
    for (;;) {
        ssize_t n = recv(local->options.layers_fd, &answer, sizeof answer, MSG_DONTWAIT);
        if (n == sizeof answer) {
            on_answer(local, &answer);
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        break;
    }
    watch_free(local->watch);
    local->watch = NULL;
    while (local->pulls.len > 0)
        fail(local->pulls.items[0], -EIO, "what unpacks layers has ended; restart the server");
}

/* ---- what the fetching process says ---- */

static int open_packed(const struct pull *pull, const struct sha256 *blob, const char *suffix)
{
    char hex[SHA256_HEX_LEN + 1];
    _cleanup_free_ char *directory = directory_of(pull->local, &pull->project);
    _cleanup_free_ char *path = xasprintf("%s/%s%s", directory, sha256_format(blob, hex), suffix);
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

static void add_unpacking(struct pull *pull, const struct unpacking *u)
{
    vec_push(&pull->local->unpackings, *u);
    pull->unpacking++;
}

/* Unpack it while it arrives, if there is room; else when it is whole. */
static void on_arriving(struct pull *pull, struct unpacking *u, const struct sha256 *blob)
{
    struct local *local = pull->local;
    int pipe_fds[2];

    if (local->n_streams >= STREAMS_MAX)
        return;
    u->fd = open_packed(pull, blob, ".part");
    if (u->fd < 0 || pipe2(pipe_fds, O_CLOEXEC) < 0) {
        safe_close(u->fd);
        return;
    }
    u->is_stream = true;
    u->arrived = pipe_fds[1];
    ask(local, u, pipe_fds[0]);
    safe_close(pipe_fds[0]);
    local->n_streams++;
    add_unpacking(pull, u);
}

static struct unpacking *find_stream(const struct pull *pull, const struct sha256 *layer)
{
    vec_foreach(&pull->local->unpackings, u)
        if (u->arrived >= 0 && id_equal(&u->image, &pull->image) && sha256_equal(&u->layer, layer))
            return u;
    return NULL;
}

static void on_whole(struct pull *pull, struct unpacking *u, const struct sha256 *blob)
{
    struct unpacking *stream = find_stream(pull, &u->layer);

    vec_push(&pull->blobs, *blob);
    if (stream) {
        (void) write_full(stream->arrived, "", 1);
        stream->arrived = safe_close(stream->arrived);
        return;
    }
    u->fd = open_packed(pull, blob, "");
    if (u->fd < 0) {
        fail(pull, u->fd, "a layer that was fetched cannot be opened");
        return;
    }
    add_unpacking(pull, u);
    ask_next(pull->local);
}

static void on_layer(struct pull *pull, const json_t *line, bool whole)
{
    struct unpacking u = {
        .image = pull->image, .packed_size = json_get_int(line, "bytes", 0), .fd = -1, .arrived = -1
    };
    struct sha256 blob;

    if (sha256_parse(json_get_str(line, "blob", ""), &blob) < 0 ||
        sha256_parse(json_get_str(line, "layer", ""), &u.layer) < 0)
        return;
    if (whole)
        on_whole(pull, &u, &blob);
    else
        on_arriving(pull, &u, &blob);
}

static void on_done(struct pull *pull, const json_t *line)
{
    struct error err = { 0 };

    if (sha256_list_from_json(json_object_get(line, "layers"), &pull->layers, &pull->n_layers,
                              &err) < 0 ||
        image_blobs_from_json(line, pull->n_layers, &pull->layer_blobs, &pull->blob_sizes, &err) <
            0) {
        fail(pull, err.code, err.text);
        return;
    }
    pull->config = json_deep_copy(json_object_get(line, "config"));
    pull->fetched = true;
    const struct puller_listener *listener = &pull->local->puller.listener;
    if (listener->progress)
        listener->progress(listener->userdata, &pull->image, "unpacking", pull->total, pull->total);
    finish_if_whole(pull);
}

static bool on_line(void *userdata, const json_t *line)
{
    struct pull *pull = userdata;
    struct local *local = pull->local;
    const struct puller_listener *listener = &local->puller.listener;
    struct id image = pull->image;

    const char *event = json_get_str(line, "event", "");
    if (str_equal(event, "failed")) {
        fail(pull, (int) json_get_int(line, "code", -EIO), json_get_str(line, "text", ""));
    } else if (str_equal(event, "resolved")) {
        (void) sha256_parse(json_get_str(line, "digest", ""), &pull->digest);
        pull->total = json_get_int(line, "bytes", 0);
    } else if (str_equal(event, "progress") && listener->progress) {
        listener->progress(listener->userdata, &image, "fetching", json_get_int(line, "bytes", 0),
                           pull->total);
    } else if (str_equal(event, "arriving") || str_equal(event, "layer")) {
        on_layer(pull, line, str_equal(event, "layer"));
    } else if (str_equal(event, "done")) {
        on_done(pull, line);
    }
    return find_pull(local, &image) == pull;
}

static void on_end(void *userdata)
{
    struct pull *pull = userdata;

    if (!pull->fetched)
        fail(pull, -EAGAIN, "the process that fetches it ended");
}

/* ---- starting ---- */

static char *request_text(const struct local *local, const struct image_pull *pull)
{
    _cleanup_free_ char *directory = directory_of(local, &pull->project);
    _cleanup_json_ json_t *json = json_object();
    struct image_reference ref = { 0 };
    struct utsname machine;

    (void) image_reference_parse(pull->source ? pull->source : pull->reference, &ref, NULL);
    json_put_str(json, "reference", pull->reference);
    json_put_str(json, "source", pull->source);
    json_put_str(json, "directory", directory);
    if (uname(&machine) == 0)
        json_put_str(json, "machine", machine.machine);
    json_put_str(json, "username", pull->username);
    json_put_str(json, "password", pull->password);
    json_put(json, "plain_http",
             json_boolean(registry_is_plain(local->options.plain_http, ref.registry)));
    json_put_str(json, "proxy", local->options.proxy);
    json_put_str(json, "ca_file", local->options.ca_file);
    json_put_int(json, "stall", local->options.stall_s);
    json_put_int(json, "max_bytes", local->options.max_bytes);
    json_put(json, "have", sha256_list_to_json(pull->have, pull->n_have));
    if (pull->have_blobs)
        json_put(json, "have_blobs", sha256_list_to_json(pull->have_blobs, pull->n_have));
    image_reference_done(&ref);
    return json_text(json);
}

/* The file behind a source that the API wrote; NULL: the source is somebody else's. */
static char *upload_of(const struct local *local, const struct image_pull *pull)
{
    _cleanup_free_ char *directory = directory_of(local, &pull->project);
    const char *path = pull->source ? strchr(pull->source, ':') : NULL;

    return path && str_starts(path + 1, directory) ? xstrdup(path + 1) : NULL;
}

static int start_process(struct pull *pull, struct error *err)
{
    _cleanup_free_ char *directory = directory_of(pull->local, &pull->project);
    const struct child_options options = {
        .loop = pull->local->options.loop,
        .role = "fetch-image",
        .request = pull->request,
        .line = on_line,
        .end = on_end,
        .userdata = pull,
    };

    int r = mkdir_all(AT_FDCWD, directory, 0700, err);
    return r < 0 ? r : child_start(&options, &pull->child, err);
}

static void start_next(struct local *local)
{
    for (size_t i = 0; !local->sweeping && i < local->pulls.len && local->n_running < PULLS_MAX;
         i++) {
        struct pull *pull = local->pulls.items[i];
        struct error err = { 0 };
        if (!pull->request)
            continue;
        int r = start_process(pull, &err);
        explicit_bzero(pull->request, strlen(pull->request));
        free(take_ptr(pull->request));
        local->n_running++;
        if (r < 0) {
            fail(pull, r, err.text);
            return; /* it has looked for the next itself */
        }
        const struct puller_listener *listener = &local->puller.listener;
        if (listener->progress)
            listener->progress(listener->userdata, &pull->image, "looking it up", 0, 0);
    }
}

static void local_pull(struct puller *puller, const struct image_pull *what)
{
    struct local *local = (struct local *) puller;
    struct pull *pull = xnew(struct pull);

    pull->local = local;
    pull->image = what->image;
    pull->project = what->project;
    pull->request = request_text(local, what);
    pull->upload = upload_of(local, what);
    pull->is_kept = local->puller.keeps_packed || is_made_here(what->reference);
    vec_push(&local->pulls, pull);
    start_next(local);
}

static void local_cancel(struct puller *puller, const struct id *image)
{
    struct pull *pull = find_pull((struct local *) puller, image);

    if (pull)
        drop(pull);
}

static void sweep_work(void *item) { packed_sweep_run(item); }

static void sweep_done(void *item)
{
    struct packed_sweep *sweep = item;
    struct local *local = packed_sweep_owner(sweep);

    packed_sweep_free(sweep);
    if (!local)
        return;
    local->sweeping = NULL;
    start_next(local);
}

static void local_collect(struct puller *puller, const struct image_keep *keep)
{
    struct local *local = (struct local *) puller;
    _cleanup_close_ int list = memfd_create("layers", MFD_CLOEXEC);
    struct layers_request request = { .op = LAYERS_COLLECT, .count = (uint32_t) keep->n_layers };

    request.serial = local->collection = ++local->serial;
    if (list >= 0 && write_full(list, keep->layers, keep->n_layers * sizeof *keep->layers) == 0)
        (void) send_request(local, &request, list, -1);
    if (local->sweeping || local->pulls.len > 0)
        return;
    local->sweeping = packed_sweep_new(local->options.state, keep->packed, keep->n_packed, local);
    pool_submit(local->options.pool, sweep_work, sweep_done, local->sweeping);
}

static void local_free(struct puller *puller)
{
    struct local *local = (struct local *) puller;

    local->puller.listener = (struct puller_listener){ 0 };
    local->n_running = PULLS_MAX; /* nothing more is started */
    if (local->sweeping)
        packed_sweep_disown(local->sweeping);
    vec_foreach(&local->pulls, pull)
        pull_free(*pull);
    vec_foreach(&local->unpackings, u) {
        safe_close(u->fd);
        safe_close(u->arrived);
    }
    vec_done(&local->pulls);
    vec_done(&local->unpackings);
    watch_free(local->watch);
    watch_free(local->again);
    safe_close(local->options.layers_fd);
    free(local);
}

void puller_free(struct puller *puller)
{
    if (puller)
        puller->ops->free(puller);
}

struct puller *puller_local_new(const struct puller_local_options *options)
{
    static const struct puller_ops ops = {
        .name = "local",
        .pull = local_pull,
        .cancel = local_cancel,
        .collect = local_collect,
        .free = local_free,
    };
    struct local *local = xnew(struct local);

    local->puller.ops = &ops;
    local->puller.keeps_packed = options->keeps_packed;
    local->puller.limits = (struct layer_limits){ .entries_max = options->entries_max,
                                                  .bytes_max = options->max_bytes,
                                                  .ratio_max = options->ratio_max };
    local->options = *options;
    local->watch = loop_watch(options->loop, options->layers_fd, EPOLLIN, on_keeper, local);
    local->again_us = AGAIN_US;
    local->again = loop_timer(options->loop, 0, on_again, local);
    timer_clear(local->again);
    return &local->puller;
}
