/* fleet.c - what the control of many machines costs: lifecycle, placement and a store on a disk, over machines and
 * tasks that the null engine plays
 *
 *     bench-fleet DIR NODES TASKS    prints NAME VALUE lines; bench/fleet makes rows of them
 *
 * A machine has 16 cores. All tasks run at once; then others come and go beside them.
 */
#include "base/alloc.h"
#include "base/text.h"
#include "base/time.h"
#include "lifecycle/lifecycle.h"
#include "os/clock.h"
#include "os/hash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>

enum { CORES = 16, MEMORY_GIB = 64, SHORT_JOBS = 5000, IDLE_S = 5, REPORTS = 20, ENDS = 50 };

static struct bench {
    struct loop *loop;
    struct store *store;
    struct engine *engine;
    struct lifecycle *lc;
    struct id project;
    struct engine_machine *machines;
    size_t n_nodes;
    uint64_t started, ended;
    int64_t longest_us; /* that the loop was not free for others */
} bench;

static void die(const struct error *err)
{
    fprintf(stderr, "bench-fleet: %s\n", err->text);
    exit(1);
}

/* ---- what lifecycle asks of a server ----------------------------------------------------------- */

static int64_t source_now(void *userdata) { return clock_now_us(); }
static int64_t source_boot(void *userdata) { return clock_boot_us(); }
static struct id source_id(void *userdata) { return id_new(); }

static void source_random(void *userdata, void *bytes, size_t n)
{
    if (getrandom(bytes, n, 0) != (ssize_t) n)
        abort();
}

static void source_hash(void *userdata, const void *bytes, size_t n, struct sha256 *ret)
{
    *ret = sha256_of(bytes, n);
}

static void source_token(void *userdata, const struct id *attempt, unsigned epoch,
                         char buf[static TASK_TOKEN_LEN + 1])
{
    struct sha256 sum = sha256_of(attempt, sizeof *attempt);

    (void) sha256_format(&sum, buf);
}

static int source_manifest(void *userdata, const struct sha256 *sum, struct manifest **ret,
                           struct error *err)
{
    return error_set(err, -ENOENT, "there are no blobs");
}

static int source_unseal(void *userdata, const struct secret *secret, char **ret)
{
    return -ENOENT;
}

static int source_seal(void *userdata, const char *value, uint8_t **ret, size_t *ret_len)
{
    return -ENOTSUP;
}

/* ---- machines ------------------------------------------------------------------------------------ */

static struct node *make_node(size_t number)
{
    struct node *node = xnew(struct node);

    node->name = xasprintf("node-%04zu", number);
    node->boot_id = xstrdup("boot");
    node->kernel = xstrdup("6.1.0");
    node->memory_bytes = (int64_t) MEMORY_GIB << 30;
    node->disk_bytes = INT64_C(1) << 40;
    for (unsigned i = 0; i < CORES; i++) {
        struct core core = { .id = i };
        cpu_siblings_add(&core.cpus, i);
        vec_push(&node->cores, core);
    }
    vec_push(&node->numas, ((struct numa_node){ 0, node->memory_bytes }));
    return node;
}

static void make_machines(size_t n)
{
    bench.n_nodes = n;
    bench.machines = xnew_n(struct engine_machine, n);
    for (size_t i = 0; i < n; i++) {
        const struct node *node = make_node(i);
        bench.machines[i] = (struct engine_machine){ .name = node->name, .node = node };
    }
}

static void free_machines(void)
{
    for (size_t i = 0; i < bench.n_nodes; i++)
        node_free((struct node *) (uintptr_t) bench.machines[i].node);
    free(bench.machines);
}

/* ---- life ------------------------------------------------------------------------------------------ */

static void on_event(void *userdata, const struct event *event)
{
    bench.started += str_equal(event->type, "job.running");
    bench.ended += str_equal(event->type, "job.succeeded");
}

/* One turn of the server's loop. */
static void turn(void)
{
    int64_t wait = lifecycle_wait_us(bench.lc), next = engine_null_next(bench.engine);
    int64_t left = next == INT64_MAX ? next : next - clock_boot_us();

    if (wait > left)
        wait = left < 0 ? 0 : left;
    loop_once(bench.loop, wait > US_PER_S ? 1000 : (int) (wait / 1000));
    int64_t begun = clock_boot_us();
    engine_null_advance(bench.engine, begun);
    if (lifecycle_wait_us(bench.lc) == 0)
        lifecycle_tick(bench.lc);
    int64_t took = clock_boot_us() - begun;
    if (took > bench.longest_us)
        bench.longest_us = took;
}

static void on_settled(void *userdata) { *(bool *) userdata = true; }

static void settle(void)
{
    bool settled = false;

    lifecycle_settle(bench.lc, on_settled, &settled);
    while (!settled)
        turn();
}

static void begin(const char *url)
{
    static const struct lifecycle_settings settings = {
        .uid_first = 1000000,
        .network_default = "none",
        .network_choice = true,
        .publish_address = "127.0.0.1",
        .api_socket = "api.sock",
        .grace_default_s = 30,
        .version = BERTH_VERSION,
    };
    static const struct lifecycle_sources sources = {
        source_now,   source_boot,     source_id,     source_random, source_hash,
        source_token, source_manifest, source_unseal, source_seal,   NULL,
    };
    struct store_state state = { 0 };
    struct error err = { 0 };

    if (store_open(url, bench.loop, &bench.store, &err) < 0 ||
        store_load(bench.store, &state, &err) < 0 ||
        lifecycle_new(&settings, &sources, bench.store, bench.engine, &state, &bench.lc, &err) < 0)
        die(&err);
    lifecycle_on_event(bench.lc, on_event, NULL);
    engine_null_fleet(bench.engine, bench.machines, bench.n_nodes);
    lifecycle_recover(bench.lc);
}

static void end(void)
{
    lifecycle_free(bench.lc);
    store_close(bench.store);
}

static void make_project(void)
{
    const struct new_tenant org = { .name = "acme", .actor = "bench" },
                            lab = { .name = "lab", .actor = "bench" };
    struct error err = { 0 };
    struct id id;

    if (lifecycle_create_org(bench.lc, &org, NULL, NULL, &id, &err) < 0 ||
        lifecycle_create_project(bench.lc, &lab, NULL, NULL, &bench.project, &err) < 0)
        die(&err);
    settle();
}

static void on_submitted(void *userdata, const struct workload *w)
{
    if (userdata)
        *(struct id *) userdata = w->id;
}

/* RET: filled with the commit; NULL: nobody asks. */
static void submit(const char *seconds, struct id *ret)
{
    struct submit submit = { .project = bench.project, .actor = "bench" };
    struct error err = { 0 };
    _cleanup_json_ json_t *json =
        json_pack("{s:[s], s:i, s:I, s:{s:s}}", "command", "train", "cpus", 1, "memory",
                  (json_int_t) 1 << 30, "env", "NULL_SECONDS", seconds);

    if (workload_spec_from_json(json, &submit.spec, &err) < 0 ||
        lifecycle_submit(bench.lc, &submit, on_submitted, ret, &err) < 0)
        die(&err);
}

/* ---- figures ----------------------------------------------------------------------------------------- */

static double cpu_s(void)
{
    struct rusage use;

    (void) getrusage(RUSAGE_SELF, &use);
    return (double) (use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           (double) (use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

struct span {
    double cpu_s;
    int64_t us;
};

static struct span span_begin(void)
{
    bench.longest_us = 0;
    return (struct span){ cpu_s(), clock_boot_us() };
}

static struct span span_end(struct span from)
{
    return (struct span){ cpu_s() - from.cpu_s, clock_boot_us() - from.us };
}

/* N jobs of so many seconds, until all have begun, or ended if they end at once. */
static void run_jobs(const char *name, uint64_t n, const char *seconds)
{
    bool ends = str_equal(seconds, "0");
    uint64_t until = (ends ? bench.ended : bench.started) + n;
    struct span span = span_begin();

    for (uint64_t i = 0; i < n; i++) {
        submit(seconds, NULL);
        if (i % 32 == 31)
            turn();
    }
    while ((ends ? bench.ended : bench.started) < until)
        turn();
    settle();
    span = span_end(span);
    printf("%s_rate %f\n", name, (double) n / (double) span.us * 1e6);
    printf("%s_cpu_us %f\n", name, span.cpu_s / (double) n * 1e6);
    printf("%s_longest_ms %f\n", name, (double) bench.longest_us / 1e3);
}

static void measure_idle(void)
{
    struct span span = span_begin();

    while (clock_boot_us() - span.us < IDLE_S * US_PER_S)
        turn();
    span = span_end(span);
    printf("idle_percent %f\n", span.cpu_s / (double) span.us * 1e8);
}

static void measure_reports(void)
{
    struct span span = span_begin();

    for (int i = 0; i < REPORTS; i++) {
        engine_null_fleet(bench.engine, bench.machines, bench.n_nodes);
        settle();
    }
    printf("report_ms %f\n", (double) span_end(span).us / REPORTS / 1e3);
}

/* With as many that wait as run: one ends, and the first of those that wait begins. */
static void measure_wait(uint64_t tasks)
{
    struct error err = { 0 };
    struct id *ids = xnew_n(struct id, ENDS);

    for (uint64_t i = bench.n_nodes * CORES - tasks; i > 0; i--) {
        submit("100000", &ids[i % ENDS]);
        if (i % 32 == 0)
            turn();
    }
    for (uint64_t i = 0; i < tasks; i++) {
        submit("100000", NULL);
        if (i % 32 == 0)
            turn();
    }
    settle();
    while (lifecycle_wait_us(bench.lc) == 0)
        turn();
    struct span span = span_begin();
    for (int i = 0; i < ENDS; i++) {
        uint64_t until = bench.started + 1;
        if (lifecycle_signal(bench.lc, &ids[i], 9, &err) < 0)
            die(&err);
        while (bench.started < until)
            turn();
    }
    span = span_end(span);
    printf("next_ms %f\nnext_cpu_ms %f\nnext_longest_ms %f\n", (double) span.us / ENDS / 1e3,
           span.cpu_s / ENDS * 1e3, (double) bench.longest_us / 1e3);
    free(ids);
}

static void measure_restart(const char *url)
{
    end();
    struct span span = span_begin();
    begin(url);
    settle();
    printf("restart_ms %f\n", (double) span_end(span).us / 1e3);
}

static void print_memory(const char *name)
{
    struct rusage use;

    (void) getrusage(RUSAGE_SELF, &use);
    printf("%s %f\n", name, (double) use.ru_maxrss / 1024);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: bench-fleet DIR NODES TASKS\n");
        return 2;
    }
    uint64_t tasks = strtoull(argv[3], NULL, 10);
    _cleanup_free_ char *url = xasprintf("sqlite:%s/fleet.db", argv[1]);

    bench.loop = loop_new();
    (void) engine_null_new(&bench.engine);
    engine_null_advance(bench.engine, clock_boot_us());
    make_machines(strtoull(argv[2], NULL, 10));
    begin(url);
    make_project();
    run_jobs("fill", tasks, "100000");
    print_memory("fill_mb");
    measure_idle();
    measure_reports();
    run_jobs("short", SHORT_JOBS, "0");
    measure_wait(tasks);
    print_memory("wait_mb");
    measure_restart(url);
    end();
    engine_free(bench.engine);
    loop_free(bench.loop);
    free_machines();
    return 0;
}
