/* api-world.h - a server of the API in a process of its own: any store, virtual machines
 *
 * The child serves on a unix socket and on TCP; attempts live in the null engine and end as their
 * tags say. The test talks to it as any client does.
 */
#ifndef CONTRACT_API_WORLD_H
#define CONTRACT_API_WORLD_H

#include "api/api.h"
#include "base/alloc.h"
#include "base/time.h"
#include "engine/engine.h"
#include "http/http.h"
#include "os/clock.h"
#include "os/fd.h"
#include "tests/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static struct world {
    /* What the null engine is given besides, in the child; NULL: nothing. */
    void (*extend)(struct engine *engine, const char *dir);
    char dir[40];
    pid_t server;
    char address[64];          /* HOST:PORT */
    struct http_client *admin; /* over the unix socket */
} world;

/* ---- the child ----------------------------------------------------------------------------------- */

struct child {
    struct loop *loop;
    struct engine *engine;
    struct lifecycle *lc;
    struct watch *timer;
};

static int64_t child_now(void *u) { return clock_now_us(); }
static int64_t child_boot(void *u) { return clock_boot_us(); }
static struct id child_id(void *u) { return id_new(); }
static void child_random(void *u, void *bytes, size_t n) { random_bytes(bytes, n); }

static void child_hash(void *u, const void *bytes, size_t n, struct sha256 *ret)
{
    *ret = sha256_of(bytes, n);
}

static void child_token(void *u, const struct id *attempt, unsigned epoch,
                        char buf[static TASK_TOKEN_LEN + 1])
{
    uint8_t both[sizeof attempt->bytes + sizeof epoch];

    memcpy(both, attempt->bytes, sizeof attempt->bytes);
    memcpy(both + sizeof attempt->bytes, &epoch, sizeof epoch);
    struct sha256 sum = sha256_of(both, sizeof both);
    (void) sha256_format(&sum, buf);
}

static int child_manifest(void *u, const struct sha256 *sum, struct manifest **ret,
                          struct error *err)
{
    struct blob_store *const *blobs = u;
    _cleanup_text_ struct text bytes = { 0 };

    int r = blob_read(*blobs, sum, 1 << 20, &bytes, err);
    return r < 0 ? r : manifest_parse(text_str(&bytes), bytes.len, ret, err);
}

static int child_unseal(void *u, const struct secret *secret, char **ret)
{
    *ret = xstrndup((const char *) secret->sealed, secret->sealed_len);
    return 0;
}

static int child_seal(void *u, const char *value, uint8_t **ret, size_t *ret_len)
{
    *ret_len = strlen(value);
    *ret = xmemdup(value, *ret_len);
    return 0;
}

/* Virtual time follows the real one. */
static void child_tick(void *userdata)
{
    struct child *c = userdata;

    engine_null_advance(c->engine, clock_now_us());
    if (lifecycle_wait_us(c->lc) == 0)
        lifecycle_tick(c->lc);
    int64_t wait = lifecycle_wait_us(c->lc);
    timer_set(c->timer, wait < 5000 ? wait : 5000);
}

static void child_wake(void *userdata) { timer_set(((struct child *) userdata)->timer, 0); }

static struct node *child_node(void)
{
    struct node *node = xnew(struct node);

    *node = (struct node){ .id = id_new(),
                           .name = xstrdup("n1"),
                           .boot_id = xstrdup("boot"),
                           .kernel = xstrdup("6.1.0"),
                           .memory_bytes = INT64_C(8) << 30,
                           .disk_bytes = INT64_C(100) << 30 };
    for (unsigned i = 0; i < 4; i++) {
        struct core core = { .id = i };
        cpu_siblings_add(&core.cpus, i);
        vec_push(&node->cores, core);
    }
    vec_push(&node->numas, ((struct numa_node){ 0, node->memory_bytes }));
    return node;
}

static void child_fleet(struct lifecycle *lc)
{
    struct flavor *flavors[16];
    struct node *node = child_node();
    size_t n = flavor_defaults(node, flavors, 16);

    for (size_t i = 0; i < n; i++)
        lifecycle_add_flavor(lc, flavors[i]);
    lifecycle_set_node(lc, node);
}

__attribute__((noreturn)) static void child_fail(const char *what, const struct error *err)
{
    (void) fprintf(stderr, "# %s: %s\n", what, err->text);
    _exit(1);
}

__attribute__((noreturn)) static void child_run(const char *store_url, const char *dir, int ready)
{
    struct blob_store *blobs;
    const struct lifecycle_sources sources = {
        .now_us = child_now,
        .boot_us = child_boot,
        .new_id = child_id,
        .random = child_random,
        .hash = child_hash,
        .token = child_token,
        .unseal = child_unseal,
        .load_manifest = child_manifest,
        .seal = child_seal,
        .userdata = &blobs,
    };
    static const struct lifecycle_settings settings = {
        .uid_first = 1000000,
        .network_default = "egress",
        .network_choice = true,
        .publish_address = "127.0.0.1",
        .api_socket = "api.sock",
        .grace_default_s = 30,
        .version = "test",
    };
    static const char *const listen[] = { "127.0.0.1:0", NULL };
    struct child c = { .loop = loop_new() };
    struct store_state state = { 0 };
    struct store *store;
    struct api *api;
    struct error err = { 0 };
    _cleanup_free_ char *socket = xasprintf("%s/api.sock", dir);

    (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (store_open(store_url, c.loop, &store, &err) < 0 || store_load(store, &state, &err) < 0)
        child_fail("store", &err);
    if (blob_store_open(dir, &blobs, &err) < 0 || engine_null_new(&c.engine) < 0)
        child_fail("blobs", &err);
    if (world.extend)
        world.extend(c.engine, dir);
    if (lifecycle_new(&settings, &sources, store, c.engine, &state, &c.lc, &err) < 0)
        child_fail("lifecycle", &err);
    child_fleet(c.lc);
    lifecycle_recover(c.lc);

    const struct api_options options = { .loop = c.loop,
                                         .lifecycle = c.lc,
                                         .store = store,
                                         .blobs = blobs,
                                         .pool = pool_new(c.loop, 2),
                                         .state = dir,
                                         .socket = socket,
                                         .admin_uid = getuid(),
                                         .listen = listen,
                                         .sessions_per_key = 100,
                                         .idempotency_keep_s = 3600 };
    if (api_start(&options, &api, &err) < 0)
        child_fail("api", &err);
    c.timer = loop_timer(c.loop, 0, child_tick, &c);
    lifecycle_on_wake(c.lc, child_wake, &c);
    (void) write_full(ready, api_address(api, 0), strlen(api_address(api, 0)));
    close(ready);
    _exit(loop_run(c.loop));
}

/* ---- the parent ----------------------------------------------------------------------------------- */

static void world_stop(void)
{
    struct error err = { 0 };

    if (world.server > 0) {
        (void) kill(world.server, SIGKILL);
        (void) waitpid(world.server, NULL, 0);
    }
    http_client_free(world.admin);
    (void) remove_tree(AT_FDCWD, world.dir, &err);
    world = (struct world){ 0 };
}

static void world_start(const char *store)
{
    int ready[2];
    struct error err = { 0 };

    (void) strcpy(world.dir, "/tmp/berth-api-XXXXXX");
    if (!mkdtemp(world.dir) || pipe2(ready, O_CLOEXEC) < 0)
        abort();
    _cleanup_free_ char *url = strcmp(store, "memory") == 0
                                   ? xstrdup("memory:")
                                   : xasprintf("sqlite:%s/berth.db", world.dir);
    (void) fflush(stdout);
    world.server = fork();
    if (world.server == 0)
        child_run(url, world.dir, ready[1]);
    close(ready[1]);
    ssize_t n = read(ready[0], world.address, sizeof world.address - 1);
    close(ready[0]);
    if (n <= 0) {
        world_stop();
        (void) fprintf(stderr, "# the server did not start\n");
        exit(1);
    }
    world.address[n] = '\0';

    _cleanup_free_ char *unix_url = xasprintf("unix:%s/api.sock", world.dir);
    if (http_client_new(unix_url, &world.admin, &err) < 0)
        abort();
}

/* ---- calls ---------------------------------------------------------------------------------------- */

struct answer {
    int status;
    json_t *json; /* NULL when it is none */
    char *etag, *type, *location, *replayed;
    char *text;
};

static void answer_done(struct answer *a)
{
    json_decref(a->json);
    free(a->etag);
    free(a->type);
    free(a->location);
    free(a->replayed);
    free(a->text);
}

#define _cleanup_answer_ _cleanup_(answer_done)

/* HEADERS: name, value, …, NULL; may be NULL. */
static struct answer call_by(struct http_client *client, const char *method, const char *target,
                             const char *body, const char *const *headers)
{
    struct http_response response = { 0 };
    struct error err = { 0 };
    const struct http_call call = { .method = method,
                                    .target = target,
                                    .headers = headers,
                                    .body = body,
                                    .body_len = body ? strlen(body) : 0 };
    struct answer a = { 0 };

    int r = http_client_call(client, &call, &response, &err);
    if (r < 0) {
        printf("Bail out! %s %s: %s\n", method, target, err.text);
        world_stop();
        exit(1);
    }
    a.status = response.status;
    a.etag = http_response_header(&response, "ETag");
    a.type = http_response_header(&response, "Content-Type");
    a.location = http_response_header(&response, "Location");
    a.replayed = http_response_header(&response, "Idempotency-Replayed");
    if (response.body.len && a.type && strstr(a.type, "json"))
        ok(json_parse(response.body.data, response.body.len, &a.json, NULL) == 0);
    a.text = xstrdup(text_str(&response.body));
    http_response_done(&response);
    return a;
}

static struct answer call(const char *method, const char *target, const char *body)
{
    return call_by(world.admin, method, target, body, NULL);
}

static const char *field(const struct answer *a, const char *name)
{
    return json_get_str(a->json, name, "");
}

#define is_status(answer, want)                                                                    \
    do {                                                                                           \
        if ((answer).status != (want)) {                                                           \
            printf("# %s:%d: status %d, not %d: %s\n", __FILE__, __LINE__, (answer).status, want,  \
                   (answer).text ? (answer).text : "");                                            \
            tap_failures++;                                                                        \
        }                                                                                          \
    } while (0)

#endif
