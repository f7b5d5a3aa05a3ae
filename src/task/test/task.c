/* The records of the attempt directory read back as they were written. */
#include "task/task.h"

#include "base/alloc.h"
#include "tests/tap.h"

#include <errno.h>

static json_t *parse(const char *text)
{
    json_t *json = NULL;

    ok(json_parse(text, strlen(text), &json, NULL) == 0);
    return json;
}

#define SPEC                                                                                       \
    "{\"version\":1,\"attempt\":\"01932b0e-7c00-7000-8000-000000000001\","                         \
    "\"workload\":\"01932b0e-7c00-7000-8000-000000000002\","                                       \
    "\"project\":\"01932b0e-7c00-7000-8000-000000000003\",\"project_name\":\"lab\","               \
    "\"workload_name\":\"train\",\"number\":2,\"epoch\":3,\"uid_base\":1879048192,\"range\":0,"    \
    "\"spec\":{\"image\":\"host\",\"command\":[\"true\"],\"cpus\":1,\"memory\":67108864},"         \
    "\"allocation\":{\"node\":\"n\",\"cpus\":\"1\",\"mems\":\"0\",\"memory\":67108864,"            \
    "\"disk\":1000000,\"shared\":false},\"network\":\"none\",\"has_secrets\":false,"               \
    "\"log_limit\":1000,\"resume\":true}"

TEST(a_spec_reads_back)
{
    _cleanup_json_ json_t *json = parse(SPEC), *again = NULL, *second = NULL;
    _cleanup_(task_spec_freep) struct task_spec *spec = NULL, *copy = NULL;
    struct error err = { 0 };

    ok(task_spec_from_json(json, &spec, &err) == 0);
    if (!spec) {
        printf("# %s\n", err.text);
        return;
    }
    ok(spec->epoch == 3 && spec->number == 2 && spec->resume && spec->uid_base == 1879048192);
    again = task_spec_to_json(spec);
    ok(task_spec_from_json(again, &copy, &err) == 0);
    second = task_spec_to_json(copy);
    ok(json_equal(again, second));
}

#define HEX64 "1111111111111111111111111111111111111111111111111111111111111111"

/* Of a task away from the server: layers that it fetches. */
TEST(an_image_that_is_fetched_reads_back)
{
    _cleanup_json_ json_t *json =
        parse("{\"name\":\"x\",\"digest\":\"" HEX64 "\",\"layers\":[\"" HEX64 "\"],"
              "\"packed\":{\"blobs\":[{\"digest\":\"" HEX64 "\",\"size\":5}],"
              "\"entries_max\":1,\"bytes_max\":2,\"ratio_max\":3}}");
    _cleanup_(task_image_freep) struct task_image *image = NULL, *bad = NULL;

    ok(task_image_from_json(json, &image, NULL) == 0);
    ok(image && image->n_layers == 1 && image->blobs && image->blob_sizes[0] == 5);
    _cleanup_json_ json_t *again = task_image_to_json(image);
    ok(json_equal(json, again));
    json_t *blobs = json_object_get(json_object_get(json, "packed"), "blobs");
    json_put_int(json_array_get(blobs, 0), "size", -1);
    ok(task_image_from_json(json, &bad, NULL) < 0);
    (void) json_array_clear(blobs);
    ok(task_image_from_json(json, &bad, NULL) < 0);
}

#define GANG                                                                                       \
    "{\"attempt\":\"01932b0e-7c00-7000-8000-000000000009\",\"rank\":5,\"world_size\":8,"           \
    "\"local_rank\":1,\"local_size\":4,\"node_rank\":1,\"n_nodes\":2,\"role\":\"worker\","         \
    "\"role_rank\":2,\"role_size\":3,\"master_port\":29500}"

TEST(a_task_of_a_gang_reads_back)
{
    _cleanup_json_ json_t *json = parse(SPEC), *again = NULL, *bad = parse(GANG);
    _cleanup_(task_spec_freep) struct task_spec *spec = NULL;
    struct task_gang *gang = NULL;
    struct error err = { 0 };

    json_put(json, "gang", parse(GANG));
    json_put(json, "storage", parse("{\"root\":\"/mnt\",\"mark\":\"00ff\",\"measure\":true}"));
    ok(task_spec_from_json(json, &spec, &err) == 0);
    ok(spec && spec->gang && spec->gang->rank == 5 && spec->gang->world_size == 8 &&
       spec->gang->n_nodes == 2 && spec->gang->role_size == 3 && spec->gang->master_port == 29500);
    again = spec ? task_spec_to_json(spec) : json_null();
    ok(json_equal(json_object_get(again, "gang"), bad));
    is_str(json_get_str(json_object_get(again, "storage"), "root", ""), "/mnt");
    is_str(json_get_str(json_object_get(again, "storage"), "mark", ""), "00ff");
    ok(json_get_bool(json_object_get(again, "storage"), "measure", false));

    json_put_int(bad, "rank", 8);
    ok(task_gang_from_json(bad, &gang, &err) == -EINVAL && !gang);
    ok(strstr(err.text, "rank, world_size") != NULL);
    json_put_int(bad, "rank", 7);
    json_put_int(bad, "world_size", WORKLOAD_TASKS_MAX + 1);
    ok(task_gang_from_json(bad, &gang, NULL) == -EINVAL && !gang);
    json_put_int(bad, "world_size", 8);
    json_put_int(bad, "master_port", 0);
    ok(task_gang_from_json(bad, &gang, NULL) == -EINVAL && !gang);
}

TEST(a_ready_task_says_where_it_is)
{
    struct task_ready in = { .epoch = 2, .address = (char[]){ "10.113.0.2" } }, *ready = NULL;
    _cleanup_json_ json_t *json = task_ready_to_json(&in);
    static const char *const bad[] = { "", "host", "10.0.0.1 other", "10.0.0.1\nroot" };

    ok(task_ready_from_json(json, &ready, NULL) == 0);
    ok(ready && ready->epoch == 2);
    is_str(ready ? ready->address : "", "10.113.0.2");
    task_ready_free(ready);
    ready = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_put_str(json, "address", bad[i]);
        ok(task_ready_from_json(json, &ready, NULL) == -EINVAL && !ready);
    }
}

TEST(a_spec_of_the_future_is_refused)
{
    _cleanup_json_ json_t *json = parse(SPEC);
    struct task_spec *spec = NULL;
    struct error err = { 0 };

    json_put_int(json, "version", TASK_FORMAT_VERSION + 1);
    ok(task_spec_from_json(json, &spec, &err) == -EPROTONOSUPPORT && !spec);
    ok(strstr(err.text, "newer") != NULL);
    json_put_int(json, "version", TASK_FORMAT_VERSION);
    json_put_str(json, "attempt", "../../etc");
    ok(task_spec_from_json(json, &spec, NULL) == -EINVAL && !spec);
}

TEST(the_format_before_is_read_and_none_else)
{
    _cleanup_json_ json_t *json = parse("{\"version\":1,\"epoch\":4,\"cause\":\"exited\","
                                        "\"exit_code\":3,\"of_the_future\":[1]}");
    struct task_exit *ex = NULL;

    for (int version = -1; version <= TASK_FORMAT_VERSION + 2; version++) {
        bool known =
            version >= 1 && version >= TASK_FORMAT_VERSION - 1 && version <= TASK_FORMAT_VERSION;
        ok(task_version_check(version, NULL) == (known ? 0 : -EPROTONOSUPPORT));
        json_put_int(json, "version", version);
        ok(task_exit_from_json(json, &ex, NULL) == (known ? 0 : -EPROTONOSUPPORT));
        ok(!known || ex->exit_code == 3);
        task_exit_free(ex);
        ex = NULL;
    }
}

TEST(started_and_exit_read_back)
{
    _cleanup_json_ json_t *evidence = parse("{\"cpus\":\"1\"}"), *json = NULL, *json2 = NULL;
    struct task_started in = { .epoch = 4, .started_us = 1763692496123456, .evidence = evidence };
    _cleanup_(task_started_freep) struct task_started *out = NULL;
    _cleanup_(task_exit_freep) struct task_exit *ex = NULL;

    json = task_started_to_json(&in);
    ok(task_started_from_json(json, &out, NULL) == 0);
    ok(out && out->epoch == 4 && out->started_us == in.started_us);
    ok(out && json_equal(out->evidence, evidence));

    struct task_exit end = { .epoch = 4, .cause = END_OUT_OF_MEMORY, .exit_code = 137 };
    end.ended_us = 1763692496123457;
    json2 = task_exit_to_json(&end);
    ok(task_exit_from_json(json2, &ex, NULL) == 0);
    ok(ex && ex->cause == END_OUT_OF_MEMORY && ex->exit_code == 137 && !ex->reason);
    ok(ex && ex->ended_us == end.ended_us);
}

TEST(log_records_are_little_endian)
{
    struct log_record in = { .offset = 0x0102, .line = 3, .time_us = 4, .stream = LOG_STDERR };
    struct log_record out;
    uint8_t bytes[32];

    log_record_encode(&in, bytes);
    ok(bytes[0] == 2 && bytes[1] == 1 && bytes[8] == 3 && bytes[16] == 4 && bytes[24] == 1);
    log_record_decode(bytes, &out);
    ok(memcmp(&in, &out, sizeof in) == 0);
}

static char *chart(struct chart_counters *counters, const char *line)
{
    _cleanup_json_ json_t *point = NULL;

    return chart_parse(line, strlen(line), counters, &point) == 0 ? json_text(point)
                                                                  : xstrdup("none");
}

static void is_chart(struct chart_counters *counters, const char *line, const char *want)
{
    _cleanup_free_ char *got = chart(counters, line);

    is_str(got, want);
}

TEST(chart_points_are_normalised)
{
    _cleanup_(chart_counters_freep) struct chart_counters *c = chart_counters_new();

    is_chart(c, "{\"y\": 2.5, \"chart\": \"loss\", \"x\": 10, \"run\": \"a\"}",
             "{\"chart\":\"loss\",\"x\":10,\"y\":2.5,\"run\":\"a\"}");
    is_chart(c, "{\"chart\":\"acc\",\"y\":1}", "{\"chart\":\"acc\",\"x\":0,\"y\":1}");
    is_chart(c, "{\"chart\":\"acc\",\"y\":2}", "{\"chart\":\"acc\",\"x\":1,\"y\":2}");
    is_chart(c, "{\"chart\":\"other\",\"y\":2}", "{\"chart\":\"other\",\"x\":0,\"y\":2}");
}

TEST(what_is_no_point_is_a_log_line)
{
    _cleanup_(chart_counters_freep) struct chart_counters *c = chart_counters_new();
    static const char *const lines[] = {
        "",
        "{",
        "{}",
        "hello",
        "{\"chart\":\"loss\"}",
        "{\"chart\":\"loss\",\"y\":\"1\"}",
        "{\"chart\":\"loss\",\"y\":NaN}",
        "{\"chart\":7,\"y\":1}",
        "{\"chart\":\"\",\"y\":1}",
        "{\"chart\":\"loss\",\"y\":1,\"tags\":{}}",
        "{\"chart\":\"loss\",\"y\":1} trailing",
        "{\"chart\":\"loss\",\"y\":1,\"x\":null}",
    };

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        is_chart(c, lines[i], "none");
}

TEST(the_gpus_of_a_step_take_the_place_of_those_that_were_placed)
{
    char *gpus[] = { xstrdup("GPU-a"), xstrdup("GPU-b"), NULL };
    char *devices[] = { xstrdup("amd.com/gpu=0"), xstrdup("amd.com/gpu=1"), NULL };
    struct allocation allocation = { .gpus = gpus, .devices = devices };
    struct task_spec spec = { .allocation = &allocation };

    ok(task_spec_take_gpus(&spec, "2,7", NULL) == 0);
    is_str(gpus[1], "7");
    is_str(devices[0], "amd.com/gpu=2");
    is_str(devices[1], "amd.com/gpu=7");
    ok(task_spec_take_gpus(&spec, "1", NULL) == -ENODEV);
    ok(task_spec_take_gpus(&spec, "1,2,3", NULL) == -ENODEV);
    ok(task_spec_take_gpus(&spec, "0-1", NULL) == -ENODEV);
    ok(task_spec_take_gpus(&spec, NULL, NULL) == -ENODEV);
    allocation.gpus = NULL;
    ok(task_spec_take_gpus(&spec, NULL, NULL) == 0);
    for (int i = 0; i < 2; i++) {
        free(gpus[i]);
        free(devices[i]);
    }
}

TEST(the_launcher_refuses_what_is_not_of_its_form)
{
    struct launcher_request good = { .op = LAUNCHER_START,
                                     .attempt = { { 1 } },
                                     .project = { { 2 } },
                                     .workload = { { 3 } },
                                     .epoch = 1,
                                     .uid_base = 0x70000000 + 2 * 65536,
                                     .range = 2 };
    struct launcher_request bad;

    ok(launcher_request_check(&good, 0x70000000, NULL) == 0);
    bad = good, bad.uid_base = 0;
    ok(launcher_request_check(&bad, 0x70000000, NULL) == -EPERM);
    bad = good, bad.range = UINT32_MAX;
    ok(launcher_request_check(&bad, 0x70000000, NULL) == -EPERM);
    bad = good, bad.op = 99;
    ok(launcher_request_check(&bad, 0x70000000, NULL) == -EINVAL);
    bad = good, bad.attempt = id_none;
    ok(launcher_request_check(&bad, 0x70000000, NULL) == -EINVAL);
    bad = good, bad.flags = LAUNCHER_STEP;
    ok(launcher_request_check(&bad, 0x70000000, NULL) == -EINVAL);
    bad.pid = 7;
    ok(launcher_request_check(&bad, 0x70000000, NULL) == 0);
    bad = good, bad.flags = 8;
    ok(launcher_request_check(&bad, 0x70000000, NULL) == -EINVAL);
}

TAP_MAIN
