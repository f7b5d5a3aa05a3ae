/* api.c - what every client may count on, with either store behind it */
#include "api-world.h"

/* Each test has a project of its own. */
static void make_project(const char *name)
{
    _cleanup_free_ char *body = xasprintf("{\"name\":\"%s\"}", name);
    _cleanup_answer_ struct answer a = call("POST", "/v1/projects", body);

    is_status(a, 201);
}

/* Ask until the job is in STATE; each wait is one of the server's own events. */
static struct answer await_state(const char *target, const char *state)
{
    for (int i = 0; i < 1000; i++) {
        struct answer a = call("GET", target, NULL);
        if (str_equal(field(&a, "state"), state))
            return a;
        answer_done(&a);
        (void) usleep(5000);
    }
    printf("# %s is never %s\n", target, state);
    tap_failures++;
    return (struct answer){ 0 };
}

TEST(a_job_runs_to_its_end)
{
    make_project("run");
    _cleanup_answer_ struct answer made = call(
        "POST", "/v1/projects/run/jobs",
        "{\"name\":\"hello\",\"command\":[\"true\"],\"cpus\":1,\"env\":{\"NULL_SECONDS\":\"0.01\"}}");
    is_status(made, 201);
    is_str(field(&made, "name"), "hello");
    ok(made.location && str_starts(made.location, "/v1/projects/run/jobs/"));

    _cleanup_answer_ struct answer done = await_state("/v1/projects/run/jobs/hello", "succeeded");
    ok(json_get_int(done.json, "exit_code", -1) == 0);
    _cleanup_answer_ struct answer by_location = call("GET", made.location, NULL);
    is_str(field(&by_location, "id"), field(&made, "id"));
    _cleanup_answer_ struct answer attempts =
        call("GET", "/v1/projects/run/jobs/hello/attempts", NULL);
    ok(json_array_size(json_object_get(attempts.json, "items")) == 1);
    _cleanup_answer_ struct answer record = call("GET", "/v1/projects/run/jobs/hello/record", NULL);
    is_status(record, 200);
    _cleanup_answer_ struct answer why = call("GET", "/v1/projects/run/jobs/hello/why", NULL);
    is_str(field(&why, "state"), "succeeded");
}

TEST(wrong_requests_say_what_would_be_right)
{
    static const struct {
        const char *method, *target, *body;
        int status;
        const char *field;
    } wrong[] = {
        { "POST", "/v1/projects/bad/jobs", "{}", 400, "command" },
        { "POST", "/v1/projects/bad/jobs", "{", 400, "" },
        { "POST", "/v1/projects/bad/jobs", "[]", 400, "" },
        { "POST", "/v1/projects/bad/jobs",
          "{\"command\":\"a\",\"ports\":[{\"name\":\"w\",\"port\":0}]}", 400, "ports[0].port" },
        { "POST", "/v1/projects/bad/jobs", "{\"command\":\"a\",\"cpus\":1,\"cpus\":2}", 400, "" },
        { "POST", "/v1/projects/bad/jobs", "{\"command\":\"a\",\"cpus\":4000}", 422, "" },
        { "POST", "/v1/projects/none/jobs", "{\"command\":\"a\"}", 404, "" },
        { "GET", "/v1/projects/bad/jobs?state=lost", NULL, 400, "state[0]" },
        { "GET", "/v1/projects/bad/jobs?limit=0", NULL, 400, "limit" },
        { "GET", "/v1/projects/bad/jobs?page=2", NULL, 400, "page" },
        { "GET", "/v1/projects/bad/jobs?limit=1&limit=2", NULL, 400, "limit" },
        { "GET", "/v1/projects/bad/jobs?cursor=x", NULL, 400, "cursor" },
        { "GET", "/v1/projects/bad/jobs?since=soon", NULL, 400, "since" },
        { "GET", "/v1/projects/bad/jobs/none", NULL, 404, "" },
        { "GET", "/v1/projects/bad/jobs/%FF", NULL, 404, "" },
        { "GET", "/v1/nothing", NULL, 404, "" },
        { "DELETE", "/v1/projects/bad/jobs", NULL, 405, "" },
        { "PUT", "/v1/projects/bad/secrets/a-b", "{\"value\":\"x\"}", 404, "" },
    };

    make_project("bad");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        _cleanup_answer_ struct answer a = call(wrong[i].method, wrong[i].target, wrong[i].body);
        is_status(a, wrong[i].status);
        is_str(a.type, "application/problem+json");
        is_str(field(&a, "field"), wrong[i].field);
    }
}

TEST(keys_open_what_they_may)
{
    struct http_client *client = NULL;
    struct error err = { 0 };
    _cleanup_free_ char *url = xasprintf("http://%s", world.address);

    make_project("mine");
    make_project("theirs");
    _cleanup_answer_ struct answer made =
        call("POST", "/v1/keys", "{\"name\":\"viewer\",\"role\":\"viewer\",\"project\":\"mine\"}");
    is_status(made, 201);
    _cleanup_free_ char *bearer = xasprintf("Bearer %s", field(&made, "key"));
    const char *const with_key[] = { "Authorization", bearer, NULL };
    const char *const with_none[] = { "Authorization", "Bearer berth_x", NULL };
    ok(http_client_new(url, &client, &err) == 0);

    static const struct {
        const char *method, *target, *body;
        int with, without;
    } cases[] = {
        { "GET", "/v1/projects/mine/jobs", NULL, 200, 401 },
        { "GET", "/v1/projects/theirs/jobs", NULL, 404, 401 },
        { "GET", "/v1/projects/none/jobs", NULL, 404, 401 },
        { "POST", "/v1/projects/mine/jobs", "{\"command\":\"a\"}", 403, 401 },
        { "POST", "/v1/projects/theirs/jobs", "{\"command\":\"a\"}", 404, 401 },
        { "GET", "/v1/keys", NULL, 403, 401 },
        { "GET", "/metrics", NULL, 403, 401 },
        { "GET", "/healthz", NULL, 200, 200 },
        { "GET", "/openapi.json", NULL, 200, 200 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        _cleanup_answer_ struct answer a =
            call_by(client, cases[i].method, cases[i].target, cases[i].body, with_key);
        _cleanup_answer_ struct answer b =
            call_by(client, cases[i].method, cases[i].target, cases[i].body, with_none);
        _cleanup_answer_ struct answer c =
            call_by(client, cases[i].method, cases[i].target, cases[i].body, NULL);
        is_status(a, cases[i].with);
        is_status(b, cases[i].without);
        is_status(c, cases[i].without);
    }

    /* What is shown of a key does not open anything, and a deleted one is shut at once. */
    _cleanup_answer_ struct answer keys = call("GET", "/v1/keys", NULL);
    ok(strstr(keys.text, field(&made, "key")) == NULL);
    _cleanup_answer_ struct answer gone = call("DELETE", "/v1/keys/viewer", NULL);
    is_status(gone, 204);
    _cleanup_answer_ struct answer shut =
        call_by(client, "GET", "/v1/projects/mine/jobs", NULL, with_key);
    is_status(shut, 401);
    http_client_free(client);
}

TEST(a_repeated_post_is_done_once)
{
    static const char *const key[] = { "Idempotency-Key", "once", NULL };
    static const char body[] = "{\"command\":\"a\",\"name\":\"once\"}";

    make_project("once");
    _cleanup_answer_ struct answer first =
        call_by(world.admin, "POST", "/v1/projects/once/jobs", body, key);
    _cleanup_answer_ struct answer second =
        call_by(world.admin, "POST", "/v1/projects/once/jobs", body, key);
    _cleanup_answer_ struct answer other =
        call_by(world.admin, "POST", "/v1/projects/once/jobs", "{\"command\":\"b\"}", key);
    _cleanup_answer_ struct answer list = call("GET", "/v1/projects/once/jobs", NULL);

    is_status(first, 201);
    is_status(second, 201);
    is_str(second.text, first.text);
    is_str(second.replayed ? second.replayed : "", "true");
    is_status(other, 422);
    ok(json_array_size(json_object_get(list.json, "items")) == 1);
}

TEST(changes_need_the_version_they_are_based_on)
{
    static const char body[] = "{\"tags\":{\"a\":\"1\",\"b\":null},\"priority\":5}";

    make_project("patch");
    _cleanup_answer_ struct answer made = call(
        "POST", "/v1/projects/patch/jobs",
        "{\"command\":\"a\",\"name\":\"j\",\"tags\":{\"b\":\"2\"},\"env\":{\"NULL_SECONDS\":\"3600\"}}");
    _cleanup_answer_ struct answer running = await_state("/v1/projects/patch/jobs/j", "running");
    const char *const same[] = { "If-Match", running.etag, NULL };
    const char *const unchanged[] = { "If-None-Match", running.etag, NULL };
    static const char *const old[] = { "If-Match", "\"1\"", NULL };

    _cleanup_answer_ struct answer none = call("PATCH", "/v1/projects/patch/jobs/j", body);
    is_status(none, 428);
    _cleanup_answer_ struct answer stale =
        call_by(world.admin, "PATCH", "/v1/projects/patch/jobs/j", body, old);
    is_status(stale, 412);
    _cleanup_answer_ struct answer cached =
        call_by(world.admin, "GET", "/v1/projects/patch/jobs/j", NULL, unchanged);
    is_status(cached, 304);
    _cleanup_answer_ struct answer good =
        call_by(world.admin, "PATCH", "/v1/projects/patch/jobs/j", body, same);
    is_status(good, 200);
    const json_t *tags = json_object_get(good.json, "tags");
    is_str(json_get_str(tags, "a", ""), "1");
    ok(json_object_get(tags, "b") == NULL);
    ok(json_get_int(good.json, "priority", 0) == 5);
    _cleanup_answer_ struct answer busy = call("DELETE", "/v1/projects/patch/jobs/j", NULL);
    is_status(busy, 409);
    _cleanup_answer_ struct answer stop = call("POST", "/v1/projects/patch/jobs/j/stop", "{}");
    is_status(stop, 202);
    _cleanup_answer_ struct answer stopped = await_state("/v1/projects/patch/jobs/j", "stopped");
    _cleanup_answer_ struct answer gone = call("DELETE", "/v1/projects/patch/jobs/j", NULL);
    is_status(gone, 204);
    _cleanup_answer_ struct answer after = call("GET", "/v1/projects/patch/jobs/j", NULL);
    is_status(after, 404);
}

TEST(lists_have_pages_and_filters)
{
    _cleanup_text_ struct text seen = { 0 };
    _cleanup_free_ char *cursor = NULL;
    unsigned pages = 0;

    make_project("list");
    for (int i = 0; i < 7; i++) {
        _cleanup_free_ char *body = xasprintf(
            "{\"command\":\"a\",\"name\":\"j%d\",\"tags\":{\"k\":\"%d\"},\"env\":{\"NULL_SECONDS\":\"0\"}}",
            i, i % 2);
        _cleanup_answer_ struct answer a = call("POST", "/v1/projects/list/jobs", body);
        is_status(a, 201);
    }
    do {
        _cleanup_free_ char *target = xasprintf("/v1/projects/list/jobs?limit=3%s%s",
                                                cursor ? "&cursor=" : "", cursor ? cursor : "");
        _cleanup_answer_ struct answer page = call("GET", target, NULL);
        size_t i;
        json_t *item;
        json_array_foreach(json_object_get(page.json, "items"), i, item)
            text_addf(&seen, "%s ", json_get_str(item, "name", ""));
        xstr_set(&cursor, json_get_str(page.json, "next", NULL));
    } while (cursor && ++pages < 10);
    is_str(text_str(&seen), "j6 j5 j4 j3 j2 j1 j0 ");

    _cleanup_answer_ struct answer tagged = call("GET", "/v1/projects/list/jobs?tag=k%3D1", NULL);
    ok(json_array_size(json_object_get(tagged.json, "items")) == 3);
    _cleanup_answer_ struct answer named = call("GET", "/v1/projects/list/jobs?name=j3", NULL);
    ok(json_array_size(json_object_get(named.json, "items")) == 1);
    _cleanup_answer_ struct answer recent = call("GET", "/v1/projects/list/jobs?since=1h", NULL);
    ok(json_array_size(json_object_get(recent.json, "items")) == 7);
}

TEST(files_become_workspaces)
{
    static const char hello[] =
        "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"; /* of "hello" */

    make_project("files");
    make_project("others");
    _cleanup_free_ char *ask = xasprintf("{\"sums\":[\"%s\"]}", hello);
    _cleanup_free_ char *put = xasprintf("/v1/projects/files/blobs/%s", hello);
    _cleanup_free_ char *manifest = xasprintf("f %s 5 a.txt\n", hello);

    _cleanup_answer_ struct answer before = call("POST", "/v1/projects/files/blobs/missing", ask);
    ok(json_array_size(json_object_get(before.json, "missing")) == 1);
    _cleanup_answer_ struct answer early = call("POST", "/v1/projects/files/workspaces", manifest);
    is_status(early, 400);
    _cleanup_answer_ struct answer wrong = call("PUT", put, "hallo");
    is_status(wrong, 422);
    _cleanup_answer_ struct answer sent = call("PUT", put, "hello");
    is_status(sent, 201);
    ok(json_get_int(sent.json, "size", 0) == 5);
    _cleanup_answer_ struct answer after = call("POST", "/v1/projects/files/blobs/missing", ask);
    ok(json_array_size(json_object_get(after.json, "missing")) == 0);
    /* What one project sent, another does not have. */
    _cleanup_answer_ struct answer theirs = call("POST", "/v1/projects/others/blobs/missing", ask);
    ok(json_array_size(json_object_get(theirs.json, "missing")) == 1);

    _cleanup_answer_ struct answer fetched = call("POST", "/v1/projects/files/blobs/fetch", ask);
    is_status(fetched, 200);
    _cleanup_answer_ struct answer hidden = call("POST", "/v1/projects/others/blobs/fetch", ask);
    is_status(hidden, 404);

    _cleanup_answer_ struct answer made = call("POST", "/v1/projects/files/workspaces", manifest);
    is_status(made, 201);
    ok(json_get_int(made.json, "files", 0) == 1);
    _cleanup_free_ char *job = xasprintf("{\"command\":\"a\",\"source\":{\"workspace\":\"%s\"}}",
                                         field(&made, "workspace"));
    _cleanup_answer_ struct answer run = call("POST", "/v1/projects/files/jobs", job);
    is_status(run, 201);
}

TEST(secrets_are_written_only)
{
    make_project("safe");
    _cleanup_answer_ struct answer set =
        call("PUT", "/v1/projects/safe/secrets/TOKEN", "{\"value\":\"hunter2\"}");
    _cleanup_answer_ struct answer list = call("GET", "/v1/projects/safe/secrets", NULL);
    _cleanup_answer_ struct answer unknown =
        call("POST", "/v1/projects/safe/jobs",
             "{\"command\":\"a\",\"env\":{\"T\":\"secret:NONE\"}}");
    _cleanup_answer_ struct answer events = call("GET", "/v1/projects/safe/events", NULL);

    is_status(set, 200);
    is_status(list, 200);
    is_status(unknown, 400);
    ok(strstr(set.text, "hunter2") == NULL);
    ok(strstr(list.text, "hunter2") == NULL);
    ok(strstr(list.text, "TOKEN") != NULL);
    ok(strstr(events.text, "hunter2") == NULL);
}

/* ---- streams ---- */

struct heard {
    struct sse_reader reader;
    struct text text;
    const char *until; /* name of the event that ends it */
};

static int hear(void *userdata, const char *id, const char *event, const char *data, size_t len)
{
    struct heard *h = userdata;

    text_addf(&h->text, "%s|%s|%.*s\n", id, event, (int) len, data);
    return strstr(h->text.data, h->until) ? -ECANCELED : 0;
}

static int hear_bytes(void *userdata, const char *bytes, size_t n)
{
    struct heard *h = userdata;

    return sse_reader_feed(&h->reader, bytes, n, hear, h);
}

/* Everything that a stream says until UNTIL was heard. */
static char *listen_to(const char *target, const char *last_id, const char *until)
{
    struct heard h = { .until = until };
    const char *const headers[] = { last_id ? "Last-Event-ID" : NULL, last_id, NULL };
    const struct http_call call = {
        .method = "GET",
        .target = target,
        .headers = headers,
        .on_body = hear_bytes,
        .userdata = &h,
    };
    struct http_response response = { 0 };
    _cleanup_(http_client_freep) struct http_client *client = NULL;
    _cleanup_free_ char *url = xasprintf("unix:%s/api.sock", world.dir);
    struct error err = { 0 };

    ok(http_client_new(url, &client, &err) == 0);
    (void) http_client_call(client, &call, &response, &err);
    http_response_done(&response);
    sse_reader_done(&h.reader);
    return text_take(&h.text);
}

TEST(events_are_followed_and_resumed)
{
    make_project("events");
    _cleanup_answer_ struct answer made =
        call("POST", "/v1/projects/events/jobs",
             "{\"command\":\"a\",\"name\":\"e\",\"env\":{\"NULL_SECONDS\":\"0\"}}");
    is_status(made, 201);
    _cleanup_free_ char *all =
        listen_to("/v1/projects/events/events?follow=true&job=e", NULL, "job.succeeded");
    ok(strstr(all, "job.submitted") && strstr(all, "job.running"));
    _cleanup_free_ char *first = xstrndup(all, strcspn(all, "|"));
    _cleanup_free_ char *rest =
        listen_to("/v1/projects/events/events?follow=true&job=e", first, "job.succeeded");
    ok(!strstr(rest, "job.submitted"));
    is_str(rest, strchr(all, '\n') + 1);
}

/* The null engine writes no log: the test plays the supervisor. */
static void write_log(const char *job, const char *name, const char *text)
{
    _cleanup_free_ char *target = xasprintf("/v1/projects/logs/jobs/%s", job);
    _cleanup_answer_ struct answer a = call("GET", target, NULL);
    const json_t *attempt = json_object_get(a.json, "attempt");
    _cleanup_free_ char *dir =
        xasprintf("%s/attempts/%s", world.dir, json_get_str(attempt, "id", "none"));
    _cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
    struct error err = { 0 };

    ok(mkdir_all(AT_FDCWD, dir, 0755, &err) == 0);
    FILE *file = fopen(path, "ae");
    ok(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

TEST(logs_are_read_and_followed)
{
    make_project("logs");
    _cleanup_answer_ struct answer made =
        call("POST", "/v1/projects/logs/jobs",
             "{\"command\":\"a\",\"name\":\"l\",\"env\":{\"NULL_SECONDS\":\"3600\"}}");
    _cleanup_answer_ struct answer running = await_state("/v1/projects/logs/jobs/l", "running");
    write_log("l", "log", "one\ntwo\nthree\nhalf");
    write_log("l", "charts",
              "{\"chart\":\"loss\",\"x\":1,\"y\":2.5}\n{\"chart\":\"loss\",\"x\":2,\"y\":1.5}\n");

    _cleanup_answer_ struct answer all = call("GET", "/v1/projects/logs/jobs/l/logs", NULL);
    is_str(all.text, "one\ntwo\nthree\nhalf");
    _cleanup_answer_ struct answer some =
        call("GET", "/v1/projects/logs/jobs/l/logs?from=1&limit=1", NULL);
    is_str(some.text, "two\n");
    _cleanup_answer_ struct answer tail = call("GET", "/v1/projects/logs/jobs/l/logs?tail=2", NULL);
    is_str(tail.text, "three\nhalf");
    _cleanup_answer_ struct answer charts = call("GET", "/v1/projects/logs/jobs/l/charts", NULL);
    const json_t *loss = json_array_get(json_object_get(charts.json, "items"), 0);
    is_str(json_get_str(loss, "name", ""), "loss");
    ok(json_get_int(loss, "points", 0) == 2);
    _cleanup_answer_ struct answer points =
        call("GET", "/v1/projects/logs/jobs/l/charts/loss?limit=1", NULL);
    is_str(field(&points, "next"), "1");

    _cleanup_free_ char *three =
        listen_to("/v1/projects/logs/jobs/l/logs?follow=true", NULL, "three");
    ok(strstr(three, "1:0|message|{\"line\":0,\"text\":\"one\"}\n"));
    ok(!strstr(three, "half")); /* not a whole line yet */
    write_log("l", "log", " done\n");
    _cleanup_answer_ struct answer stop = call("POST", "/v1/projects/logs/jobs/l/stop", "{}");
    _cleanup_free_ char *rest =
        listen_to("/v1/projects/logs/jobs/l/logs?follow=true", "1:1", "|end|");
    ok(!strstr(rest, "\"two\""));
    ok(strstr(rest, "1:2|message|{\"line\":2,\"text\":\"three\"}\n"));
    ok(strstr(rest, "1:3|message|{\"line\":3,\"text\":\"half done\"}\n"));
    ok(strstr(rest, "|end|{\"state\":\"stopped\""));
}

TEST(a_queue_has_reasons)
{
    make_project("queue");
    for (int i = 0; i < 6; i++) {
        _cleanup_answer_ struct answer a =
            call("POST", "/v1/projects/queue/jobs",
                 "{\"command\":\"a\",\"cpus\":4,\"env\":{\"NULL_SECONDS\":\"3600\"}}");
        is_status(a, 201);
    }
    _cleanup_answer_ struct answer queue = call("GET", "/v1/projects/queue/queue", NULL);
    is_status(queue, 200);
    ok(json_array_size(json_object_get(queue.json, "items")) == 6);
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(queue.json, "items"), i, item) {
        _cleanup_free_ char *target =
            xasprintf("/v1/projects/queue/jobs/%s/stop",
                      json_get_str(json_object_get(item, "job"), "id", ""));
        _cleanup_answer_ struct answer a = call("POST", target, "{}");
        is_status(a, 202);
    }
}

TEST(the_server_speaks_about_itself)
{
    static const char *const targets[] = { "/healthz",    "/readyz",   "/metrics",    "/v1/version",
                                           "/v1/flavors", "/v1/nodes", "/v1/projects" };

    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        _cleanup_answer_ struct answer a = call("GET", targets[i], NULL);
        is_status(a, 200);
    }
    _cleanup_answer_ struct answer node = call("GET", "/v1/nodes/n1", NULL);
    is_status(node, 200);
    _cleanup_answer_ struct answer document = call("GET", "/openapi.json", NULL);
    const char *const known[] = { "If-None-Match", document.etag, NULL };
    _cleanup_answer_ struct answer same = call_by(world.admin, "GET", "/openapi.json", NULL, known);
    is_status(same, 304);
    _cleanup_answer_ struct answer foreign =
        call_by(world.admin, "GET", "/healthz", NULL,
                (const char *const[]){ "Host", "evil.example", NULL });
    ok(foreign.status >= 400);
}

int main(void)
{
    static const char *const stores[] = { "memory", "sqlite" };
    int n = 0, failed = 0;

    for (size_t i = 0; i < 2; i++) {
        world_start(stores[i]);
        _cleanup_answer_ struct answer org = call("POST", "/v1/orgs", "{\"name\":\"acme\"}");
        is_status(org, 201);
        for (const struct tap_test *t = __start_tap_tests; t < __stop_tap_tests; t++) {
            tap_failures = 0;
            t->run();
            printf("%sok %d - %s: %s\n", tap_failures ? "not " : "", ++n, stores[i], t->name);
            failed += tap_failures > 0;
        }
        world_stop();
    }
    printf("1..%d\n", n);
    return failed > 0;
}
