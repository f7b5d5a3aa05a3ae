#include "workload/workload.h"

#include "base/alloc.h"
#include "tests/tap.h"

static int read_spec(const char *text, struct workload_spec **ret, struct error *err)
{
    _cleanup_json_ json_t *json = NULL;
    ok(json_parse(text, strlen(text), &json, err) == 0);
    return workload_spec_from_json(json, ret, err);
}

static const char full[] =
    "{\"image\":\"host\",\"source\":{\"git\":{\"url\":\"https://e.org/x.git\",\"ref\":\"main\"},\"commit\":\"0123abc\"},"
    "\"command\":[\"python3\",\"train.py\"],\"flavor\":\"cpu.2\",\"cpus\":2,\"memory\":2147483648,\"disk\":1048576,"
    "\"gpus\":1,\"gpu_model\":\"H200\",\"devices\":[\"a.com/gpu=0\"],\"pids\":100,\"shared\":true,"
    "\"env\":{\"A\":\"1\",\"KEY\":\"secret:TOKEN\"},"
    "\"ports\":[{\"name\":\"web\",\"port\":8080,\"publish\":0},{\"name\":\"db\",\"port\":5432}],"
    "\"network\":\"none\",\"max_time\":60,\"retries\":{\"max\":3,\"backoff\":7},\"checkpoint\":{\"signal\":\"USR1\"},"
    "\"grace\":5,\"preemptible\":true}";

TEST(a_specification_reads_back_as_written)
{
    _cleanup_(workload_spec_freep) struct workload_spec *spec = NULL;
    struct error err = { 0 };

    ok(read_spec(full, &spec, &err) == 0);
    _cleanup_json_ json_t *json = workload_spec_to_json(spec);
    _cleanup_free_ char *text = json_text(json);
    is_str(text, full);
    ok(spec->env[1].secret && spec->ports[0].published && !spec->ports[1].published);
}

TEST(gpus_are_whole_or_a_part_of_one)
{
    for (unsigned milli = 1; milli < 5000; milli += milli < 1000 ? 1 : 1000) {
        _cleanup_(workload_spec_freep) struct workload_spec *spec = NULL;
        _cleanup_json_ json_t *json = json_pack("{s:s}", "command", "x");
        json_put_milli(json, "gpus", milli);
        ok(workload_spec_from_json(json, &spec, NULL) == 0);
        ok(workload_spec_gpu_milli(spec) == milli);
        ok(spec->gpus == (milli < 1000 ? 1 : milli / 1000));
        ok(spec->gpu_milli == (milli < 1000 ? milli : 0));
        _cleanup_json_ json_t *again = workload_spec_to_json(spec);
        ok(json_equal(json_object_get(json, "gpus"), json_object_get(again, "gpus")));
    }
}

TEST(the_least_is_a_command)
{
    _cleanup_(workload_spec_freep) struct workload_spec *spec = NULL;
    struct error err = { 0 };

    ok(read_spec("{\"command\":\"echo hi\",\"memory\":\"2Gi\",\"max_time\":\"2h\"}", &spec, &err) ==
       0);
    is_str(spec->command[2], "echo hi");
    is_str(spec->image, "host");
    ok(spec->memory_bytes == INT64_C(2) << 30 && spec->max_time_s == 7200);
    ok(spec->grace_s == -1 && spec->source == SOURCE_NONE && spec->retries_max == 0);
}

TEST(a_gang_is_groups_of_tasks)
{
    _cleanup_(workload_spec_freep) struct workload_spec *spec = NULL, *again = NULL;
    struct error err = { 0 };
    struct task_place place;

    ok(read_spec("{\"command\":\"true\",\"tasks_per_node\":2,\"roles\":[{\"name\":\"ps\","
                 "\"command\":\"serve\"},{\"name\":\"worker\",\"count\":3}]}",
                 &spec, &err) == 0);
    ok(spec->nodes == 2 && workload_spec_n_tasks(spec) == 4 && workload_spec_is_gang(spec));
    workload_spec_place(spec, 3, &place);
    ok(place.node_rank == 1 && place.local_rank == 1 && place.local_size == 2);
    ok(place.role_rank == 2 && !place.is_service);
    is_str(place.role->name, "worker");
    workload_spec_place(spec, 0, &place);
    ok(place.is_service);
    is_str(place.role->command[2], "serve");

    _cleanup_json_ json_t *json = workload_spec_to_json(spec), *second = NULL;
    ok(workload_spec_from_json(json, &again, &err) == 0);
    second = workload_spec_to_json(again);
    ok(json_equal(json, second));
}

TEST(a_backoff_without_retries_is_kept)
{
    _cleanup_(workload_spec_freep) struct workload_spec *spec = NULL, *again = NULL;

    ok(read_spec("{\"command\":\"true\",\"retries\":{\"backoff\":0}}", &spec, NULL) == 0);
    _cleanup_json_ json_t *json = workload_spec_to_json(spec);
    ok(workload_spec_from_json(json, &again, NULL) == 0);
    ok(again->retry_backoff_s == 0 && again->retries_max == 0);
}

TEST(mpi_has_a_task_a_node)
{
    _cleanup_(workload_spec_freep) struct workload_spec *spec = NULL;
    struct task_place place;

    ok(read_spec("{\"command\":\"true\",\"nodes\":2,\"tasks_per_node\":4,\"mpi\":true}", &spec,
                 NULL) == 0);
    ok(workload_spec_n_tasks(spec) == 2);
    workload_spec_place(spec, 1, &place);
    ok(place.node_rank == 1 && place.local_rank == 0 && place.is_service);
}

TEST(what_is_wrong_is_named_by_its_path)
{
    static const struct {
        const char *text, *says;
    } wrong[] = {
        { "{}", "command:" },
        { "{\"command\":[]}", "command:" },
        { "{\"command\":[\"\"]}", "command[0]:" },
        { "{\"command\":[1]}", "command[0]:" },
        { "{\"command\":\"x\",\"gpus\":2,\"devices\":[\"a/b=0\"]}",
          "gpus: is 2, but devices names 1; leave gpus out" },
        { "{\"command\":\"x\",\"devices\":[\"a/b=0\",\"a/b=0\"]}",
          "devices[1]: a/b=0 is there twice" },
        { "{\"command\":\"x\",\"source\":{\"workspace\":\"zz\"}}", "source.workspace:" },
        { "{\"command\":\"x\",\"source\":{\"git\":{\"url\":\"file:///etc\"}}}", "source.git.url:" },
        { "{\"command\":\"x\",\"source\":{\"git\":{\"url\":\"ssh://-oProxy\"}}}",
          "source.git.url:" },
        { "{\"command\":\"x\",\"source\":{\"git\":{\"url\":\"https://a\",\"ref\":\"--upload-pack=x\"}}}",
          "source.git.ref:" },
        { "{\"command\":\"x\",\"env\":{\"1A\":\"\"}}", "env:" },
        { "{\"command\":\"x\",\"env\":{\"BERTH_RANK\":\"1\"}}", "env.BERTH_RANK:" },
        { "{\"command\":\"x\",\"env\":{\"A\":\"secret:a b\"}}", "env.A:" },
        { "{\"command\":\"x\",\"ports\":[{\"name\":\"a\",\"port\":1},{\"name\":\"a\",\"port\":2}]}",
          "ports[1]: name:" },
        { "{\"command\":\"x\",\"ports\":[{\"name\":\"a\",\"port\":1},{\"name\":\"b\",\"port\":1}]}",
          "ports[1]: port:" },
        { "{\"command\":\"x\",\"ports\":[{\"name\":\"a\",\"port\":70000}]}", "ports[0]:" },
        { "{\"command\":\"x\",\"cpus\":-1}", "cpus:" },
        { "{\"command\":\"x\",\"memory\":\"much\"}", "memory:" },
        { "{\"command\":\"x\",\"gpus\":1.5}",
          "gpus: is 1.5; it must be a whole number up to 4096, or a part of one GPU" },
        { "{\"command\":\"x\",\"gpus\":-0.25}", "gpus: is -0.25" },
        { "{\"command\":\"x\",\"gpus\":0.0001}", "gpus: is 0.0001" },
        { "{\"command\":\"x\",\"gpus\":5000}", "gpus: is 5000" },
        { "{\"command\":\"x\",\"gpus\":0.5,\"tasks_per_node\":4}",
          "gpus: is 0.5, and a part of a GPU is for one task of a node" },
        { "{\"command\":\"x\",\"checkpoint\":{\"signal\":\"KILL\"}}", "checkpoint.signal:" },
        { "{\"command\":\"x\",\"network\":\"host\"}", "network:" },
        { "{\"command\":\"x\",\"retries\":{\"max\":101}}", "retries: max:" },
        { "{\"command\":\"x\",\"nodes\":0}", "nodes: is 0; it must be 1 to 4096" },
        { "{\"command\":\"x\",\"nodes\":100,\"tasks_per_node\":100}", "nodes: 100 with 100 tasks" },
        { "{\"command\":\"x\",\"roles\":[{\"name\":\"a\"},{\"name\":\"a\"}]}",
          "roles[1]: name: 'a' is there twice" },
        { "{\"command\":\"x\",\"nodes\":2,\"roles\":[{\"name\":\"a\",\"count\":3}]}",
          "roles: have 3 tasks in all, but 2 nodes with 1 tasks each have 2" },
        { "{\"command\":\"x\",\"roles\":[{\"name\":\"ps\",\"count\":2}]}",
          "roles: all are services" },
        { "{\"command\":\"x\",\"mpi\":true,\"roles\":[{\"name\":\"a\"}]}", "roles: exclude mpi" },
        { "{\"roles\":[{\"name\":\"a\"}]}", "roles[0].command: is missing" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct workload_spec *spec = NULL;
        struct error err = { 0 };
        ok(read_spec(wrong[i].text, &spec, &err) < 0 && spec == NULL);
        if (strncmp(err.text, wrong[i].says, strlen(wrong[i].says)) != 0)
            is_str(err.text, wrong[i].says);
    }
}

TEST(an_attempt_keeps_every_field)
{
    static const char text[] =
        "{\"id\":\"01890000-0000-7000-8000-000000000001\",\"job\":\"01890000-0000-7000-8000-000000000002\","
        "\"number\":2,\"epoch\":3,\"state\":\"failed\",\"created\":\"2026-01-01T00:00:00.000001Z\","
        "\"started\":\"2026-01-01T00:00:01.000000Z\",\"ended\":\"2026-01-01T00:00:02.500000Z\",\"cause\":\"exited\","
        "\"exit_code\":3,\"reason\":\"why\",\"allocation\":{\"node\":\"n1\",\"cpus\":\"0-1,8\",\"mems\":\"0\","
        "\"memory\":1024,\"disk\":4096,\"gpus\":[\"GPU-1\"],\"gpu_milli\":250,\"shared\":false},\"record\":{\"image\":\"host\"},"
        "\"evidence\":{\"cpus\":\"0\"},\"artifacts\":{\"count\":1},\"usage\":{\"log_lines\":4}}";
    _cleanup_json_ json_t *json = NULL, *again = NULL;
    _cleanup_(attempt_freep) struct attempt *attempt = NULL;
    struct error err = { 0 };

    ok(json_parse(text, strlen(text), &json, &err) == 0);
    ok(attempt_from_json(json, &attempt, &err) == 0);
    again = attempt_to_json(attempt);
    _cleanup_free_ char *written = json_text(again);
    is_str(written, text);
}

TAP_MAIN

TEST(wishes_are_copied_whole)
{
    static const char all[] =
        "{\"command\":[\"secret\"],\"flavor\":\"cpu.2\",\"cpus\":2,\"memory\":2147483648,\"disk\":1048576,\"gpus\":1,"
        "\"gpu_model\":\"H200\",\"devices\":[\"a.com/gpu=0\"],\"pids\":100,\"huge_pages_1g\":3,\"huge_pages_2m\":5,"
        "\"rdma\":true,\"shared\":true,\"numa_strict\":true,\"network_optimised\":true,\"splits_islands\":true,"
        "\"nodes\":3,\"tasks_per_node\":2,\"mpi\":true,\"on_nodes\":[\"n1\"],\"not_nodes\":[\"n2\"],"
        "\"node_tags\":[\"a=b\"],\"exclusive\":true,\"begin\":\"2030-01-01T00:00:00Z\",\"within\":\"leaf\","
        "\"max_time\":60,\"checkpoint\":{\"signal\":\"USR1\"},\"grace\":5,\"preemptible\":true}";
    _cleanup_(workload_spec_freep) struct workload_spec *spec = NULL, *copy = NULL;

    ok(read_spec(all, &spec, NULL) == 0);
    _cleanup_json_ json_t *wishes = workload_wishes_to_json(spec);
    copy = workload_wishes_copy(spec);
    _cleanup_json_ json_t *again = workload_wishes_to_json(copy);
    ok(json_equal(wishes, again));
    ok(json_object_size(wishes) == 28); /* all that there are */
    ok(!copy->command[0]);
}
