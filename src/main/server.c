/* server.c - the control plane: launcher first, then less privilege, then everything else
 *
 * The order is the point. The launcher is forked before any thread, socket or library state
 * exists, then root is given up for good; only then are files, the store and sockets opened.
 * Destruction is the reverse, visible in server_done().
 */
#include "main/roles.h"

#include "api/api.h"
#include "base/alloc.h"
#include "base/time.h"
#include "blob/blob.h"
#include "engine/engine.h"
#include "executor/executor.h"
#include "gpu/gpu.h"
#include "lifecycle/lifecycle.h"
#include "main/collect.h"
#include "main/engines.h"
#include "main/landing.h"
#include "main/machine.h"
#include "main/notify.h"
#include "main/privilege.h"
#include "main/recorder.h"
#include "main/seal.h"
#include "main/settings.h"
#include "main/shares.h"
#include "metrics/metrics.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/hash.h"
#include "os/log.h"
#include "os/pool.h"
#include "os/process.h"
#include "os/volume.h"
#include "probe/probe.h"
#include "storage/storage.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { POOL_THREADS = 4, MANIFEST_BYTES_MAX = 256 << 20 };

#define DISK_US (2 * US_PER_S)

struct server {
    struct settings settings;
    char *notify; /* socket of the service manager; NULL: none */
    struct account account;
    int launcher_fd;
    int layers_fd;
    int keeper_fd; /* of /storage; -1: it is not sent to nodes */
    int launcher_pidfd;
    int layers_pidfd;
    int keeper_pidfd;
    struct seal *seal;
    struct loop *loop;
    struct watch *launcher_watch, *layers_watch, *keeper_watch, *timer, *disk_timer, *sigterm,
        *sigint;
    struct pool *pool;
    struct store *store;
    struct blob_store *blobs;
    struct engine *engine;
    struct puller *puller;
    struct pusher *pusher;
    struct lifecycle *lifecycle;
    struct collector *collector;
    struct recorder *recorder; /* NULL: nothing is recorded */
    struct shares *shares;
    char *machine; /* its name */
    char storage_mark[VOLUME_MARK_LEN + 1];
    char *storage_probe; /* where the server itself can try how fast /storage is */
    struct node *node;   /* this machine, until lifecycle has it */
    struct gpu_reporter gpus;
    struct metrics *metrics;
    struct api *api;
};

/* ---- what lifecycle cannot get itself -------------------------------------------------------- */

static int64_t source_now(void *userdata) { return clock_now_us(); }
static int64_t source_boot(void *userdata) { return clock_boot_us(); }
static struct id source_id(void *userdata) { return id_new(); }
static void source_random(void *userdata, void *bytes, size_t n) { random_bytes(bytes, n); }

static void source_hash(void *userdata, const void *bytes, size_t n, struct sha256 *ret)
{
    *ret = sha256_of(bytes, n);
}

static void source_token(void *userdata, const struct id *attempt, unsigned epoch,
                         char buf[static TASK_TOKEN_LEN + 1])
{
    struct server *s = userdata;
    seal_token(s->seal, attempt, epoch, buf);
}

static int source_load_manifest(void *userdata, const struct sha256 *sum, struct manifest **ret,
                                struct error *err)
{
    struct server *s = userdata;
    _cleanup_text_ struct text bytes = { 0 };
    int r = blob_read(s->blobs, sum, MANIFEST_BYTES_MAX, &bytes, err);
    return r < 0 ? r : manifest_parse(text_str(&bytes), bytes.len, ret, err);
}

static void source_record(void *userdata, const char *line, size_t len)
{
    const struct server *s = userdata;

    recorder_line(s->recorder, line, len);
}

static void source_land(void *userdata, const struct landing *landing)
{
    const struct server *s = userdata;
    const struct lander lander = { .loop = s->loop,
                                   .pool = s->pool,
                                   .blobs = s->blobs,
                                   .lifecycle = s->lifecycle,
                                   .state = s->settings.state,
                                   .keeper = s->keeper_fd };

    landing_run(&lander, landing);
}

static int source_unseal(void *userdata, const struct secret *secret, char **ret)
{
    struct server *s = userdata;
    return seal_reveal(s->seal, secret->sealed, secret->sealed_len, ret);
}

static int source_seal(void *userdata, const char *value, uint8_t **ret, size_t *ret_len)
{
    struct server *s = userdata;
    seal_close(s->seal, value, ret, ret_len);
    return 0;
}

static void arm_timer(struct server *s)
{
    int64_t wait = lifecycle_wait_us(s->lifecycle);
    if (wait == INT64_MAX)
        timer_clear(s->timer);
    else
        timer_set(s->timer, wait);
}

static void on_tick(void *userdata)
{
    struct server *s = userdata;
    lifecycle_tick(s->lifecycle);
    arm_timer(s);
}

/* Files come and go without us: results of jobs, and whatever else lies on that disk. */
static void on_disk(void *userdata)
{
    struct server *s = userdata;
    const struct node *const *nodes;
    size_t n;

    lifecycle_nodes(s->lifecycle, &nodes, &n);
    if (n > 0 && !engine_is_slurm(&s->settings))
        lifecycle_set_disk_free(s->lifecycle, nodes[0]->name, probe_disk_free(s->settings.state));
    timer_set(s->disk_timer, DISK_US);
}

static void on_wake(void *userdata) { arm_timer(userdata); }

/* ---- root's part ------------------------------------------------------------------------------ */

/* As root: who marks a file system may not be the server. */
static int declare_storage(struct server *s, struct error *err)
{
    const char *root = s->settings.storage;

    s->storage_probe = root ? xasprintf("%s/" VOLUME_DIRECTORY, root) : xstrdup(s->settings.state);
    return root ? volume_declare(root, s->settings.state, s->account.uid, s->storage_mark, err) : 0;
}

static int start_launcher(struct server *s, struct error *err)
{
    pid_t pid = 0;
    int r = machine_launcher(&s->settings, &s->launcher_fd, &pid, err);
    if (r < 0)
        return r;
    s->launcher_pidfd = pidfd_open_pid(pid);
    return s->launcher_pidfd < 0 ? error_set(err, s->launcher_pidfd, "watching the launcher") : 0;
}

static int start_layers(struct server *s, struct error *err)
{
    pid_t pid = 0;
    int r = layers_start(s->settings.state, false, &s->layers_fd, &pid, err);
    if (r < 0)
        return r;
    s->layers_pidfd = pidfd_open_pid(pid);
    return s->layers_pidfd < 0 ? error_set(err, s->layers_pidfd, "watching what unpacks images")
                               : 0;
}

/* Where nodes share no file system. */
static int start_keeper(struct server *s, struct error *err)
{
    if (!engine_is_slurm(&s->settings) || s->settings.storage)
        return 0;
    return keeper_start(s->settings.state, (uint32_t) s->settings.uid_first, &s->keeper_fd,
                        &s->keeper_pidfd, err);
}

/* ---- parts ------------------------------------------------------------------------------------ */

/* Forks: no thread is there yet. */
static int look_at_machine(struct server *s, struct error *err)
{
    const struct settings *set = &s->settings;
    const struct probe_options options = { .disk = set->state,
                                           .nvml = set->nvml,
                                           .cdi = (const char *const *) set->cdi };
    int r = probe_node(&options, &s->node, err);
    if (r < 0)
        return error_context(err, r, "looking at this machine");
    s->machine = xstrdup(s->node->name);
    return s->node->driver ? gpu_reporter_start(set->nvml, &s->gpus, err) : 0;
}

static int add_node(struct server *s, struct error *err)
{
    const struct settings *set = &s->settings;

    if (engine_is_slurm(set)) {
        engine_slurm_report(s->engine);
        return engine_add_flavors(set, s->lifecycle, NULL, err);
    }
    struct node *node = s->node;

    xstr_set(&node->boot_id, clock_boot_id());
    node->id = id_new();
    node->reserved_memory_bytes = set->reserved_memory;
    node->reserved_disk_bytes = set->reserved_disk;
    if (set->reserved_cores >= 0)
        node->reserved_cores = (unsigned) set->reserved_cores;
    else
        node->reserved_cores = node->cores.len > 4 ? 1 : 0;
    int r = engine_add_flavors(set, s->lifecycle, node, err);
    if (r >= 0)
        lifecycle_set_node(s->lifecycle, take_ptr(s->node));
    return r;
}

static void want_metrics_of(void *userdata, const struct workload *w)
{
    struct server *s = userdata;

    if (w->state != WORKLOAD_RUNNING && w->state != WORKLOAD_STOPPING)
        return;
    for (size_t rank = 0; rank < attempt_n_tasks(w->attempt); rank++)
        metrics_want(s->metrics, attempt_task_id(w->attempt, rank),
                     attempt_task_allocation(w->attempt, rank), workload_spec_task_cores(w->spec),
                     lifecycle_is_away(s->lifecycle));
}

static void want_metrics(void *userdata, struct metrics *metrics)
{
    struct server *s = userdata;

    lifecycle_each_attempt(s->lifecycle, want_metrics_of, s);
}

static int open_metrics(struct server *s, struct error *err)
{
    const struct metrics_options options = { .loop = s->loop,
                                             .pool = s->pool,
                                             .state = s->settings.state,
                                             .reporter = &s->gpus,
                                             .want = want_metrics,
                                             .userdata = s };
    return metrics_new(&options, &s->metrics, err);
}

/* A newer Berth may have begun what still runs: then it alone can take it up. */
static int check_attempts(const struct server *s, struct error *err)
{
    VEC(struct id) ids = { 0 };
    size_t n;
    _cleanup_free_ struct workload **live = lifecycle_queue(s->lifecycle, NULL, &n);

    for (size_t i = 0; i < n; i++)
        for (size_t rank = 0;
             workload_has_live_attempt(live[i]) && rank < attempt_n_tasks(live[i]->attempt); rank++)
            vec_push(&ids, *attempt_task_id(live[i]->attempt, rank));
    int r = engine_local_check(s->settings.state, ids.items, ids.len, err);
    vec_done(&ids);
    return r;
}

static void open_puller(struct server *s)
{
    const struct settings *set = &s->settings;
    const struct puller_local_options options = {
        .loop = s->loop,
        .pool = s->pool,
        .state = set->state,
        .layers_fd = take_fd(&s->layers_fd),
        .plain_http = (const char *const *) set->image_plain_http,
        .proxy = set->image_proxy,
        .ca_file = set->image_ca,
        .stall_s = set->image_stall,
        .max_bytes = set->image_max_size,
        .entries_max = set->image_max_entries,
        .ratio_max = set->image_max_ratio,
        .keeps_packed = s->engine->ops->orders != NULL,
    };

    const struct pusher_options push_options = {
        .loop = s->loop,
        .state = set->state,
        .plain_http = options.plain_http,
        .proxy = set->image_proxy,
        .ca_file = set->image_ca,
        .stall_s = set->image_stall,
        .max_bytes = set->image_max_size,
    };

    s->puller = puller_local_new(&options);
    lifecycle_set_puller(s->lifecycle, s->puller);
    s->pusher = pusher_new(&push_options);
    lifecycle_set_pusher(s->lifecycle, s->pusher);
}

/* Without it everything else goes on. */
static void open_recorder(struct server *s)
{
    _cleanup_free_ char *directory = xasprintf("%s/scheduler", s->settings.state);
    struct error err = { 0 };

    if (recorder_open(directory, RECORDER_BYTES_MAX, s->pool, &s->recorder, &err) < 0)
        log_warn("what the scheduler decides is not recorded", "why", err.text);
}

static void open_shares(struct server *s)
{
    _cleanup_free_ char *directory = xasprintf("%s/scheduler", s->settings.state);

    s->shares = shares_open(s->loop, s->pool, s->lifecycle, directory);
}

static int open_lifecycle(struct server *s, struct error *err)
{
    const struct settings *set = &s->settings;
    struct lifecycle_settings settings = {
        .uid_first = (uint32_t) set->uid_first,
        .network_default = set->network,
        .network_choice = set->network_choice,
        .publish_address = set->publish_address,
        .storage = set->storage,
        .storage_mark = s->storage_mark,
        .by_account = engine_is_by_account(set),
        .push_storage = s->keeper_fd >= 0,
        .api_socket = set->socket,
        .log_limit_bytes = set->log_limit,
        .grace_default_s = set->grace,
        .max_time_default_s = set->max_time,
        .guaranteed_s = set->guaranteed_time,
        .node_timeout_s = set->node_timeout,
        .booking_notice_s = set->booking_notice,
        .policy = policy_find(set->scheduler_policy),
        .patience_s = set->scheduler_patience,
        .half_life_s = set->scheduler_half_life,
        .version = BERTH_VERSION,
        .image_paths = (const char *const *) set->image_paths,
        .image_registries = (const char *const *) set->image_registries,
    };
    open_recorder(s);
    struct lifecycle_sources sources = {
        .now_us = source_now,
        .boot_us = source_boot,
        .new_id = source_id,
        .random = source_random,
        .hash = source_hash,
        .token = source_token,
        .load_manifest = source_load_manifest,
        .land = source_land,
        .record = s->recorder ? source_record : NULL,
        .unseal = source_unseal,
        .seal = source_seal,
        .userdata = s,
    };
    struct store_state state = { 0 };
    int r = store_load(s->store, &state, err);
    if (r >= 0)
        r = lifecycle_new(&settings, &sources, s->store, s->engine, &state, &s->lifecycle, err);
    if (r >= 0)
        r = check_attempts(s, err);
    if (r >= 0)
        open_puller(s);
    return r < 0 ? r : add_node(s, err);
}

static int open_parts(struct server *s, struct error *err)
{
    const struct settings *set = &s->settings;
    int r = engine_open(set, s->loop, take_fd(&s->launcher_fd), &s->engine, err);
    if (r >= 0)
        r = store_open(set->store, s->loop, &s->store, err);
    if (r >= 0)
        r = seal_open(set->state, &s->seal, err);
    if (r >= 0)
        r = blob_store_open(set->state, &s->blobs, err);
    if (r >= 0)
        r = open_lifecycle(s, err);
    return r;
}

static void tasks_now(void *userdata, struct collect_tasks *ret)
{
    struct server *s = userdata;
    size_t n = 0;
    _cleanup_free_ struct id *live = lifecycle_live_attempts(s->lifecycle, &n, &ret->live_since_us);

    ret->writing_since_us = engine_local_writing_since(s->settings.state, live, n);
}

static void on_collected(void *userdata, const struct collected *collected, const struct error *err)
{
    char blobs[24], bytes[24], references[24], trees[24];

    (void) snprintf(blobs, sizeof blobs, "%zu", collected->blobs);
    (void) snprintf(bytes, sizeof bytes, "%lld", (long long) collected->bytes);
    (void) snprintf(references, sizeof references, "%zu", collected->references);
    (void) snprintf(trees, sizeof trees, "%zu", collected->trees);
    if (err)
        log_warn("files that nobody needs were not removed", "reason", err->text);
    else if (collected->blobs || collected->references || collected->trees)
        log_info("removed what nobody needs", "references", references, "files", blobs, "bytes",
                 bytes, "trees", trees);
}

static void open_collector(struct server *s)
{
    struct collect_options options = {
        .loop = s->loop,
        .pool = s->pool,
        .store = s->store,
        .blobs = s->blobs,
        .every_us = s->settings.collect_interval * US_PER_S,
        .grace_us = s->settings.collect_grace * US_PER_S,
        .tasks = tasks_now,
        .done = on_collected,
        .userdata = s,
    };
    store_keep_for(s->store, options.grace_us);
    s->collector = collector_new(&options);
}

static int open_api(struct server *s, struct error *err)
{
    const struct settings *set = &s->settings;
    struct api_options options = {
        .loop = s->loop,
        .lifecycle = s->lifecycle,
        .store = s->store,
        .blobs = s->blobs,
        .pool = s->pool,
        .metrics = s->metrics,
        .storage = set->storage,
        .keeper = s->keeper_fd,
        .storage_push_limit = set->storage_push_limit,
        .storage_probe = s->storage_probe,
        .node = s->machine,
        .state = set->state,
        .socket = set->socket,
        .admin_uid = s->account.uid,
        .listen = (const char *const *) set->listen,
        .hosts = (const char *const *) set->hosts,
        .node_timeout_s = set->node_timeout,
        .sessions_per_key = set->sessions_per_key,
        .idempotency_keep_s = set->idempotency_keep,
    };
    return api_start(&options, &s->api, err);
}

/* ---- life ------------------------------------------------------------------------------------- */

/* Nobody here can make a new one: root was given up. Whoever starts the server again (systemd,
 * `make run`) starts it as root. docs/design/0012 says why. */
static void on_launcher_end(void *userdata, uint32_t events)
{
    struct server *s = userdata;
    log_error("the launcher ended; running containers go on, start the server again");
    loop_stop(s->loop, 1);
}

static void on_layers_end(void *userdata, uint32_t events)
{
    struct server *s = userdata;
    log_error("what unpacks images ended; running containers go on, start the server again");
    loop_stop(s->loop, 1);
}

static void on_keeper_end(void *userdata, uint32_t events)
{
    struct server *s = userdata;
    log_error("the keeper of /storage ended; running containers go on, start the server again");
    loop_stop(s->loop, 1);
}

static void on_end_signal(void *userdata, const struct signalfd_siginfo *info)
{
    struct server *s = userdata;
    log_info("stopping; running containers go on", "signal", strsignal((int) info->ssi_signo));
    loop_stop(s->loop, 0);
}

/* Its last work is to leave nothing in RUNTIME and in the machine's network. */
#define LAUNCHER_END_MS 10000

static void await_launcher(const struct server *s)
{
    struct pollfd polled = { .fd = s->launcher_pidfd, .events = POLLIN };

    if (s->launcher_pidfd >= 0)
        (void) poll(&polled, 1, LAUNCHER_END_MS);
}

static void server_done(struct server *s)
{
    api_free(s->api);
    collector_free(s->collector);
    shares_leave(s->shares);
    lifecycle_free(s->lifecycle);
    puller_free(s->puller);
    pusher_free(s->pusher);
    engine_free(s->engine);
    pool_free(s->pool);
    recorder_close(s->recorder);
    shares_close(s->shares);
    safe_close(s->keeper_fd);
    store_close(s->store);
    blob_store_close(s->blobs);
    metrics_free(s->metrics);
    gpu_reporter_stop(&s->gpus);
    free(s->machine);
    free(s->storage_probe);
    node_free(s->node);
    watch_free(s->sigint);
    watch_free(s->sigterm);
    watch_free(s->timer);
    watch_free(s->disk_timer);
    watch_free(s->keeper_watch);
    watch_free(s->launcher_watch);
    watch_free(s->layers_watch);
    loop_free(s->loop);
    seal_free(s->seal);
    safe_close(s->launcher_fd);
    safe_close(s->layers_fd);
    await_launcher(s);
    safe_close(s->keeper_pidfd);
    safe_close(s->launcher_pidfd);
    safe_close(s->layers_pidfd);
    free(s->notify);
    settings_done(&s->settings);
}

/* Everything that needs root, then none. */
static int begin_as_root(struct server *s, struct error *err)
{
    if (geteuid() != 0)
        return error_set(err, -EPERM,
                         "the server starts as root (it gives that up at once): "
                         "sudo berth server");
    int r = account_find(s->settings.user, &s->account, err);
    if (r >= 0)
        r = machine_directories(&s->settings, &s->account, err);
    if (r >= 0)
        r = declare_storage(s, err);
    if (r >= 0)
        r = start_launcher(s, err);
    if (r >= 0)
        r = start_layers(s, err);
    if (r >= 0)
        r = start_keeper(s, err);
    return r < 0 ? r : privilege_drop(&s->account, err);
}

static int begin(struct server *s, struct error *err)
{
    s->loop = loop_new();
    s->sigterm = loop_signal(s->loop, SIGTERM, on_end_signal, s);
    s->sigint = loop_signal(s->loop, SIGINT, on_end_signal, s);
    s->launcher_watch = loop_watch(s->loop, s->launcher_pidfd, EPOLLIN, on_launcher_end, s);
    s->layers_watch = loop_watch(s->loop, s->layers_pidfd, EPOLLIN, on_layers_end, s);
    if (s->keeper_pidfd >= 0)
        s->keeper_watch = loop_watch(s->loop, s->keeper_pidfd, EPOLLIN, on_keeper_end, s);
    int r = look_at_machine(s, err);
    if (r < 0)
        return r;
    s->pool = pool_new(s->loop, POOL_THREADS);
    r = open_parts(s, err);
    if (r >= 0)
        r = open_metrics(s, err);
    if (r < 0)
        return r;
    s->timer = loop_timer(s->loop, 0, on_tick, s);
    s->disk_timer = loop_timer(s->loop, DISK_US, on_disk, s);
    lifecycle_on_wake(s->lifecycle, on_wake, s);
    open_shares(s);
    lifecycle_recover(s->lifecycle);
    open_collector(s);
    return open_api(s, err);
}

static void report_start(const struct server *s, int64_t began_us)
{
    char ms[24];
    (void) snprintf(ms, sizeof ms, "%lld", (long long) (clock_boot_us() - began_us) / 1000);
    log_info("ready", "version", BERTH_VERSION, "state", s->settings.state, "address",
             api_address(s->api, 0), "socket", s->settings.socket, "start_ms", ms);
}

int role_server(int argc, char **argv)
{
    int64_t began_us = clock_boot_us();
    struct server s = { .notify = notify_take(),
                        .launcher_fd = -1,
                        .layers_fd = -1,
                        .keeper_fd = -1,
                        .launcher_pidfd = -1,
                        .layers_pidfd = -1,
                        .keeper_pidfd = -1,
                        .gpus = { .fd = -1 } };
    struct error err = { 0 };
    enum log_level level = LOG_LEVEL_INFO;
    int r = settings_load(argc - 1, argv + 1, (const char *(*) (const char *) ) getenv, &s.settings,
                          &err);
    if (r == -ECANCELED)
        return 0;
    if (r >= 0)
        r = settings_check(&s.settings, &err);
    if (r < 0) {
        log_error("wrong settings", "reason", err.text);
        settings_done(&s.settings);
        return 2;
    }
    (void) log_level_parse(s.settings.log_level, &level);
    log_set_level(level);
    (void) signal(SIGPIPE, SIG_IGN);
    (void) signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error of its write */
    r = begin_as_root(&s, &err);
    if (r >= 0)
        r = begin(&s, &err);
    if (r < 0) {
        log_error("the server cannot start", "reason", err.text);
        server_done(&s);
        return 1;
    }
    report_start(&s, began_us);
    (void) notify_manager(s.notify, "READY=1");
    int code = loop_run(s.loop);
    (void) notify_manager(s.notify, "STOPPING=1");
    server_done(&s);
    return code;
}
