/* tasks.c - what a supervisor away from the server may count on, and what one that lies gets
 *
 * The engine is the null engine whose tasks call home: it writes spec.json, keeps orders, and reads
 * exit.json when it comes.
 */
#include "api-world.h"

#include "task/task.h"

/* ---- the engine, in the server's process ---------------------------------------------------------- */

static struct {
    struct engine_ops ops;
    const struct engine_ops *null;
    char attempts[64];
    json_t *orders; /* of all tasks: {"task", "serial", …} */
} away;

static char *away_path(const struct id *task, const char *file)
{
    char id[ID_TEXT_LEN + 1];

    return xasprintf("%s/%s/%s", away.attempts, id_format(task, id), file);
}

static void away_start(struct engine *engine, const struct task_spec *spec, const char *token)
{
    _cleanup_free_ char *dir = away_path(&spec->attempt, ""),
                        *path = away_path(&spec->attempt, "spec.json");
    _cleanup_json_ json_t *json = task_spec_to_json(spec);
    _cleanup_free_ char *text = json_text(json);

    if (!token || mkdir_all(AT_FDCWD, dir, 0711, NULL) < 0 ||
        file_replace(AT_FDCWD, path, 0600, text, strlen(text), false, NULL) < 0)
        abort();
    away.null->start(engine, spec, token);
}

static void order(struct engine *engine, const struct id *task, json_t *json)
{
    char id[ID_TEXT_LEN + 1];

    json_put_str(json, "task", id_format(task, id));
    json_put_int(json, "serial", (int64_t) json_array_size(away.orders) + 1);
    (void) json_array_append_new(away.orders, json);
    engine->listener.ordered(engine->listener.userdata, task);
}

static void away_signal(struct engine *engine, const struct id *task, int signo)
{
    json_t *json = json_object();

    json_put_str(json, "op", "signal");
    json_put_int(json, "signal", signo);
    order(engine, task, json);
}

static void away_stop(struct engine *engine, const struct id *task, enum end_cause cause,
                      int64_t grace_s)
{
    json_t *json = json_object();

    json_put_str(json, "op", "stop");
    json_put_str(json, "cause", end_cause_name(cause));
    json_put_int(json, "grace", grace_s);
    order(engine, task, json);
}

static json_t *away_orders(struct engine *engine, const struct id *task, int64_t after)
{
    char id[ID_TEXT_LEN + 1];
    json_t *list = json_array();

    (void) id_format(task, id);
    for (size_t i = 0; i < json_array_size(away.orders); i++) {
        json_t *one = json_array_get(away.orders, i);
        if (str_equal(json_get_str(one, "task", ""), id) && json_get_int(one, "serial", 0) > after)
            (void) json_array_append(list, one);
    }
    return list;
}

static void away_news(struct engine *engine, const struct id *task)
{
    _cleanup_free_ char *path = away_path(task, "exit.json");
    _cleanup_text_ struct text text = { 0 };
    _cleanup_json_ json_t *json = NULL;
    _cleanup_(task_exit_freep) struct task_exit *ex = NULL;

    if (file_read(AT_FDCWD, path, HOME_PIECE_MAX, &text, NULL) < 0 ||
        json_parse(text_str(&text), text.len, &json, NULL) < 0 ||
        task_exit_from_json(json, &ex, NULL) < 0)
        return;
    engine->listener.ended(engine->listener.userdata, task, ex);
}

static void away_extend(struct engine *engine, const char *dir)
{
    (void) snprintf(away.attempts, sizeof away.attempts, "%s/attempts", dir);
    away.orders = json_array();
    away.null = engine->ops;
    away.ops = *engine->ops;
    away.ops.start = away_start;
    away.ops.prepare = NULL;
    away.ops.signal = away_signal;
    away.ops.stop = away_stop;
    away.ops.orders = away_orders;
    away.ops.news = away_news;
    engine->ops = &away.ops;
}

/* ---- one task, as its supervisor sees it -------------------------------------------------------------- */

struct away_task {
    char id[ID_TEXT_LEN + 1];
    char bearer[SHA256_HEX_LEN + 16];
    struct http_client *client;
};

static void bearer_of(const char *id, unsigned epoch, char ret[static SHA256_HEX_LEN + 16])
{
    char token[TASK_TOKEN_LEN + 1];
    struct id parsed;

    ok(id_parse(id, &parsed) == 0);
    child_token(NULL, &parsed, epoch, token);
    (void) snprintf(ret, SHA256_HEX_LEN + 16, "Bearer %s", token);
}

/* The attempt of number NUMBER of a job, once it runs. */
static struct away_task task_of(const char *project, const char *job, size_t number)
{
    _cleanup_free_ char *target = xasprintf("/v1/projects/%s/jobs/%s/attempts", project, job);
    _cleanup_free_ char *url = xasprintf("http://%s", world.address);
    struct away_task task = { 0 };

    for (int i = 0; i < 1000 && !task.id[0]; i++) {
        _cleanup_answer_ struct answer a = call("GET", target, NULL);
        const json_t *items = json_object_get(a.json, "items");
        for (size_t k = 0; k < json_array_size(items); k++) {
            const json_t *one = json_array_get(items, k);
            if (json_get_int(one, "number", 0) == (int64_t) number &&
                json_object_get(one, "started"))
                (void) strcpy(task.id, json_get_str(one, "id", ""));
        }
        (void) usleep(5000);
    }
    ok(task.id[0]);
    bearer_of(task.id, (unsigned) number, task.bearer);
    ok(http_client_new(url, &task.client, NULL) == 0);
    return task;
}

static void task_done(struct away_task *task) { http_client_free(task->client); }
#define _cleanup_task_ _cleanup_(task_done)

static void make_job(const char *project, const char *spec)
{
    _cleanup_free_ char *body = xasprintf("{\"name\":\"%s\"}", project),
                        *jobs = xasprintf("/v1/projects/%s/jobs", project);
    _cleanup_answer_ struct answer made = call("POST", "/v1/projects", body);
    _cleanup_answer_ struct answer job = call("POST", jobs, spec);

    is_status(job, 201);
}

static struct away_task make_task(const char *project)
{
    make_job(
        project,
        "{\"name\":\"j\",\"command\":[\"true\"],\"cpus\":1,\"memory\":\"64Mi\",\"retries\":{\"max\":1,\"backoff\":0},"
        "\"env\":{\"NULL_SECONDS\":\"3600\"}}");
    return task_of(project, "j", 1);
}

static struct answer ask_as(const struct away_task *task, const char *bearer, const char *method,
                            const char *rest, const char *body)
{
    _cleanup_free_ char *target = xasprintf("/v1/tasks/%s/%s", task->id, rest);
    const char *headers[] = { "Authorization", bearer, NULL };

    return call_by(task->client, method, target, body, headers);
}

static struct answer ask(const struct away_task *task, const char *method, const char *rest,
                         const char *body)
{
    return ask_as(task, task->bearer, method, rest, body);
}

static void put(const struct away_task *task, const char *rest, const char *body, int status,
                int64_t size)
{
    _cleanup_free_ char *path = xasprintf("files/%s", rest);
    _cleanup_answer_ struct answer a = ask(task, "PUT", path, body);

    is_status(a, status);
    if (size >= 0)
        ok(json_get_int(a.json, "size", -1) == size);
}

#define EXIT_OF(epoch, more)                                                                       \
    "{\"version\":1,\"epoch\":" epoch ",\"cause\":\"exited\",\"exit_code\":0,"                     \
    "\"started\":\"2026-11-21T12:00:00.000000Z\",\"ended\":\"2026-11-21T12:00:01.000000Z\"" more   \
    "}"

/* ---- tests ----------------------------------------------------------------------------------------------- */

TEST(a_token_opens_its_own_task)
{
    _cleanup_task_ struct away_task a = make_task("own-a"), b = make_task("own-b");
    char bearer[SHA256_HEX_LEN + 16];

    _cleanup_answer_ struct answer spec = ask(&a, "GET", "spec", NULL);
    is_status(spec, 200);
    is_str(field(&spec, "attempt"), a.id);
    _cleanup_answer_ struct answer others = ask_as(&a, b.bearer, "GET", "spec", NULL);
    is_status(others, 403);
    _cleanup_answer_ struct answer odd = ask_as(&a, "Bearer berth_x", "GET", "spec", NULL);
    is_status(odd, 401);
    _cleanup_answer_ struct answer longer =
        ask_as(&a, "Bearer 00000000000000000000000000000000000000000000000000000000000000000",
               "GET", "spec", NULL);
    is_status(longer, 401);
    _cleanup_answer_ struct answer basic = ask_as(&a, "Basic YTpi", "GET", "spec", NULL);
    is_status(basic, 401);

    /* What is no task here is over, whoever asks. */
    struct away_task none = a;
    (void) strcpy(none.id, "01932b0e-7c00-7000-8000-000000000001");
    bearer_of(none.id, 1, bearer);
    _cleanup_answer_ struct answer gone = ask_as(&none, bearer, "GET", "spec", NULL);
    is_status(gone, 410);
}

TEST(a_log_grows_where_it_ends)
{
    _cleanup_task_ struct away_task t = make_task("log");

    put(&t, "log?offset=0", "", 200, 0);
    put(&t, "log?offset=0", "one\ntw", 200, 6);
    put(&t, "log?offset=0", "one\ntw", 409, 6); /* a replay */
    put(&t, "log?offset=7", "x", 409, 6);
    put(&t, "log?offset=1152921504606846977", "x", 400, -1);
    put(&t, "log?offset=-1", "x", 400, -1);
    put(&t, "log", "x", 400, -1);
    put(&t, "log?offset=6", "o\n", 200, 8);
    _cleanup_answer_ struct answer log = call("GET", "/v1/projects/log/jobs/j/logs", NULL);
    is_str(log.text, "one\ntwo\n");

    _cleanup_free_ char *large = xcalloc(1, HOME_PIECE_MAX + 2);
    memset(large, 'x', HOME_PIECE_MAX + 1);
    put(&t, "log?offset=8", large, 413, -1);
    put(&t, "log?offset=8", "", 200, 8);
}

TEST(of_charts_whole_points_are_taken)
{
    _cleanup_task_ struct away_task t = make_task("charts");
    static const char first[] = "{\"chart\":\"loss\",\"x\":0,\"y\":2.5}\n",
                      half[] = "{\"chart\":\"loss\",\"x\":0,\"y\":2.5}\n{\"chart\":\"lo";

    put(&t, "charts?offset=0", half, 200, sizeof first - 1);
    put(&t, "charts?offset=31", "{\"chart\":\"loss\",\"x\":1,\"y\":2}\n", 200, 60);
    put(&t, "charts?offset=60", "{\"chart\":\"loss\",\"x\":\"1\",\"y\":2}\n", 422, -1);
    put(&t, "charts?offset=60", "event: state\n", 422, -1);
    put(&t, "charts?offset=60", "{\"chart\":\"a\",\r\"x\":1,\"y\":2}\n", 422, -1);
    put(&t, "log.idx?offset=0", "short", 200, 0);
    put(&t, "log.idx?offset=0", "this is no record of where a line", 422, -1);
    _cleanup_answer_ struct answer points =
        call("GET", "/v1/projects/charts/jobs/j/charts/loss", NULL);
    is_status(points, 200);
}

TEST(no_other_file_can_be_written)
{
    static const char *const wrong[] = {
        "spec.json",       "lock", "sock", "collecting", "peers", "..%2Fx", "log%2F..%2Fspec.json",
        "%2Fetc%2Fpasswd",
    };
    _cleanup_task_ struct away_task t = make_task("path");

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        put(&t, wrong[i], "x", 404, -1);
    put(&t, "started?offset=0", "{}", 400, -1);
    put(&t, "started", "{}", 422, -1);
    put(&t, "started", "[]", 422, -1);
    put(&t, "started", "{\"version\":1,\"epoch\":2}", 422, -1);
    put(&t, "exit.json", EXIT_OF("2", ""), 422, -1);
    put(&t, "ready", "{\"version\":1,\"epoch\":1,\"address\":\"10.0.0.1\"}", 200, -1);
    put(&t, "ready", "{\"version\":1,\"epoch\":1,\"address\":\"evil host\"}", 422, -1);
}

TEST(orders_come_when_they_are_given)
{
    _cleanup_task_ struct away_task t = make_task("orders");

    _cleanup_answer_ struct answer none = ask(&t, "GET", "orders", NULL);
    is_status(none, 200);
    ok(json_array_size(json_object_get(none.json, "orders")) == 0);
    _cleanup_answer_ struct answer stop = call("POST", "/v1/projects/orders/jobs/j/stop", "{}");
    is_status(stop, 202);
    _cleanup_answer_ struct answer some = ask(&t, "GET", "orders?wait=60", NULL);
    const json_t *orders = json_object_get(some.json, "orders");
    ok(json_array_size(orders) == 1);
    is_str(json_get_str(json_array_get(orders, 0), "op", ""), "stop");
    _cleanup_free_ char *after =
        xasprintf("orders?after=%lld",
                  (long long) json_get_int(json_array_get(orders, 0), "serial", 0));
    _cleanup_answer_ struct answer again = ask(&t, "GET", after, NULL);
    ok(json_array_size(json_object_get(again.json, "orders")) == 0);
}

/* A child waits; the end of the task wakes it. */
TEST(who_waits_for_orders_hears_of_the_end)
{
    _cleanup_task_ struct away_task t = make_task("wake");
    int status = 0;

    (void) fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        http_client_free(t.client);
        _cleanup_free_ char *url = xasprintf("http://%s", world.address);
        if (http_client_new(url, &t.client, NULL) < 0)
            _exit(1);
        struct answer a = ask(&t, "GET", "orders?wait=60", NULL);
        _exit(a.status == 410 ? 0 : 1);
    }
    put(&t, "exit.json", EXIT_OF("1", ""), 200, -1);
    ok(waitpid(child, &status, 0) == child && status == 0);
}

TEST(what_was_given_up_is_shut_out)
{
    _cleanup_task_ struct away_task t = make_task("fence");

    put(&t, "log?offset=0", "kept\n", 200, 5);
    /* Not a success: it is tried again, as another attempt. */
    put(&t, "exit.json", "{\"version\":1,\"epoch\":1,\"cause\":\"node_lost\",\"exit_code\":-1}",
        200, -1);
    _cleanup_task_ struct away_task next = task_of("fence", "j", 2);
    ok(!str_equal(t.id, next.id));
    put(&t, "log?offset=5", "late\n", 410, -1);
    put(&t, "charts?offset=0", "", 410, -1);
    put(&t, "exit.json", EXIT_OF("1", ""), 410, -1);
    _cleanup_answer_ struct answer spec = ask(&t, "GET", "spec", NULL);
    is_status(spec, 410);
    _cleanup_answer_ struct answer orders = ask(&t, "GET", "orders?wait=9", NULL);
    is_status(orders, 410);
    _cleanup_answer_ struct answer missing = ask(&t, "POST", "blobs/missing", "{\"sums\":[]}");
    is_status(missing, 410);
    /* With the token of the attempt before, of the new one's epoch before, and the right one. */
    char bearer[SHA256_HEX_LEN + 16];
    _cleanup_answer_ struct answer others = ask_as(&next, t.bearer, "GET", "spec", NULL);
    is_status(others, 403);
    bearer_of(next.id, 1, bearer);
    _cleanup_answer_ struct answer old = ask_as(&next, bearer, "GET", "spec", NULL);
    is_status(old, 410);
    _cleanup_answer_ struct answer right = ask(&next, "GET", "spec", NULL);
    is_status(right, 200);
    _cleanup_answer_ struct answer log =
        call("GET", "/v1/projects/fence/jobs/j/logs?attempt=1", NULL);
    is_str(log.text, "kept\n");
}

/* The end comes while the body of another request is on its way. */
struct slow {
    const struct away_task *task;
    int step;
};

static ssize_t read_slowly(void *userdata, void *bytes, size_t n)
{
    struct slow *slow = userdata;

    if (++slow->step > 2 || n < 5)
        return 0;
    if (slow->step == 2) {
        struct away_task other = *slow->task;
        _cleanup_free_ char *url = xasprintf("http://%s", world.address);
        ok(http_client_new(url, &other.client, NULL) == 0);
        put(&other, "exit.json", EXIT_OF("1", ""), 200, -1);
        task_done(&other);
    }
    memcpy(bytes, "late\n", 5);
    return 5;
}

TEST(a_body_that_ends_after_the_task_is_not_written)
{
    _cleanup_task_ struct away_task t = make_task("slow");
    _cleanup_free_ char *target = xasprintf("/v1/tasks/%s/files/log?offset=0", t.id);
    const char *headers[] = { "Authorization", t.bearer, NULL };
    struct slow slow = { &t, 0 };
    struct http_response response = { 0 };
    const struct http_call request = { .method = "PUT",
                                       .target = target,
                                       .headers = headers,
                                       .read_body = read_slowly,
                                       .read_len = -1,
                                       .userdata = &slow };

    ok(http_client_call(t.client, &request, &response, NULL) == 0);
    ok(response.status == 410);
    http_response_done(&response);
    _cleanup_answer_ struct answer log = call("GET", "/v1/projects/slow/jobs/j/logs", NULL);
    is_str(log.text, "");
}

/* ---- what it fetches and brings --------------------------------------------------------------------------- */

static const char *sum_of(const char *text, char hex[static SHA256_HEX_LEN + 1])
{
    struct sha256 sum = sha256_of(text, strlen(text));

    return sha256_format(&sum, hex);
}

/* TEXT as a file of PROJECT. */
static void upload(const char *project, const char *text)
{
    char hex[SHA256_HEX_LEN + 1];
    _cleanup_free_ char *target = xasprintf("/v1/projects/%s/blobs/%s", project, sum_of(text, hex));
    _cleanup_answer_ struct answer a = call("PUT", target, text);

    is_status(a, 201);
}

static int fetch(const struct away_task *t, const char *text)
{
    char hex[SHA256_HEX_LEN + 1];
    _cleanup_free_ char *rest = xasprintf("blobs/%s", sum_of(text, hex));
    _cleanup_answer_ struct answer a = ask(t, "GET", rest, NULL);

    ok(a.status != 200 || str_equal(a.text, text));
    return a.status;
}

static char *manifest_of(const char *path, const char *text)
{
    char hex[SHA256_HEX_LEN + 1];

    return xasprintf("f %s %zu %s\n", sum_of(text, hex), strlen(text), path);
}

TEST(a_task_fetches_what_it_names_and_nothing_else)
{
    _cleanup_answer_ struct answer p = call("POST", "/v1/projects", "{\"name\":\"ws\"}");
    _cleanup_answer_ struct answer q = call("POST", "/v1/projects", "{\"name\":\"else\"}");
    _cleanup_free_ char *manifest = manifest_of("train.py", "print(1)\n");
    char hex[SHA256_HEX_LEN + 1];

    upload("ws", "print(1)\n");
    upload("ws", "unnamed\n");
    upload("else", "theirs\n");
    _cleanup_answer_ struct answer ws = call("POST", "/v1/projects/ws/workspaces", manifest);
    is_status(ws, 201);
    _cleanup_free_ char *spec = xasprintf(
        "{\"name\":\"j\",\"command\":[\"true\"],\"cpus\":1,\"memory\":\"64Mi\",\"source\":{\"workspace\":\"%s\"},"
        "\"env\":{\"NULL_SECONDS\":\"3600\"}}",
        sum_of(manifest, hex));
    _cleanup_answer_ struct answer job = call("POST", "/v1/projects/ws/jobs", spec);
    is_status(job, 201);
    _cleanup_task_ struct away_task t = task_of("ws", "j", 1);
    ok(fetch(&t, manifest) == 200);
    ok(fetch(&t, "print(1)\n") == 200);
    ok(fetch(&t, "print(1)\n") == 200); /* from memory */
    ok(fetch(&t, "unnamed\n") == 404);
    ok(fetch(&t, "theirs\n") == 404);
    ok(fetch(&t, "nobody's\n") == 404);
}

static void bring(const struct away_task *t, const char *text, int status)
{
    char hex[SHA256_HEX_LEN + 1];
    _cleanup_free_ char *rest = xasprintf("blobs/%s", sum_of(text, hex));
    _cleanup_answer_ struct answer a = ask(t, "PUT", rest, text);

    is_status(a, status);
}

static void end_with(const struct away_task *t, const char *manifest, int status)
{
    char hex[SHA256_HEX_LEN + 1];
    _cleanup_free_ char *text =
        xasprintf(EXIT_OF("1", ",\"artifacts\":{\"count\":1,\"bytes\":7,\"manifest\":\"%s\"}"),
                  sum_of(manifest, hex));

    put(t, "exit.json", text, status, -1);
}

TEST(results_must_have_come_and_be_ones_own)
{
    _cleanup_answer_ struct answer q = call("POST", "/v1/projects", "{\"name\":\"rich\"}");
    _cleanup_task_ struct away_task t = make_task("results");
    _cleanup_free_ char *manifest = manifest_of("model", "weights");
    _cleanup_free_ char *stolen = manifest_of("model", "secret!");
    char hex[SHA256_HEX_LEN + 1];

    upload("rich", "secret!");
    _cleanup_free_ char *question = xasprintf("{\"sums\":[\"%s\"]}", sum_of("secret!", hex));
    _cleanup_answer_ struct answer missing = ask(&t, "POST", "blobs/missing", question);
    ok(json_array_size(json_object_get(missing.json, "missing")) == 1);
    bring(&t, stolen, 201);
    end_with(&t, stolen, 400); /* it is in the store, and not this project's */
    end_with(&t, manifest, 400);
    bring(&t, manifest, 201);
    end_with(&t, manifest, 400);
    bring(&t, "weights", 201);
    bring(&t, "weights", 201); /* again: taken, whoever has it */
    put(&t, "exit.json", EXIT_OF("1", ",\"artifacts\":{\"manifest\":\"no digest\"}"), 400, -1);
    end_with(&t, manifest, 200);
    _cleanup_answer_ struct answer file =
        call("GET", "/v1/projects/results/jobs/j/artifacts/model", NULL);
    is_str(file.text, "weights");
    bring(&t, "more", 410);
}

int main(void)
{
    int n = 0, failed = 0;

    for (const struct tap_test *t = __start_tap_tests; t < __stop_tap_tests; t++) {
        tap_failures = 0;
        world.extend = away_extend;
        world_start("memory");
        _cleanup_answer_ struct answer org = call("POST", "/v1/orgs", "{\"name\":\"acme\"}");
        is_status(org, 201);
        t->run();
        printf("%sok %d - %s\n", tap_failures ? "not " : "", ++n, t->name);
        failed += tap_failures > 0;
        world_stop();
    }
    printf("1..%d\n", n);
    return failed > 0;
}
