/* Snapshots: what is written and read again is the same, nothing secret is in it, and what is wrong is named. */
#include "placement/snapshot.h"

#include "base/alloc.h"
#include "placement/internal.h"
#include "tests/tap.h"

#define SECOND INT64_C(1000000)

static const char good[] =
    "{'format': 1, 'time': '2026-11-21T12:00:00.000001Z',"
    " 'options': {'policy': 'las', 'score': 'fgd', 'guaranteed_us': 600000000, 'restart_us': 1, 'patience_us': 2},"
    " 'nodes': [{'node': {'id': '01900000-0000-7000-8000-000000000001', 'name': 'n1', 'memory': 1073741824,"
    "   'disk': 0, 'reserved_cores': 0, 'reserved_memory': 0, 'reserved_disk': 0, 'cordoned': true,"
    "   'fault': 'no disk', 'others_cores': 1, 'others_gpus': 0, 'others_memory': 5,"
    "   'cores': [{'id': 0, 'socket': 0, 'numa': 0, 'cpus': '0'}], 'numas': [{'id': 0, 'memory': 1073741824}],"
    "   'gpus': []}, 'tags': {'rack': 'r1'}, 'disk_used': 7}],"
    " 'jobs': [{'id': '01900000-0000-7000-8000-000000000002', 'project': '01900000-0000-7000-8000-000000000003',"
    "   'name': 'a', 'priority': 5, 'since_us': 1000000, 'ran_us': 3,"
    "   'waits_since_us': 1000002, 'returns': 1, 'stopped': 2, 'asks': {'cpus': 1, 'memory': 4096,"
    "     'max_time': 60, 'preemptible': true}, 'started_us': 2000000,"
    "   'allocations': [{'node': 'n1', 'cpus': '0', 'mems': '0', 'memory': 4096, 'disk': 0}]},"
    "  {'id': '01900000-0000-7000-8000-000000000004', 'since_us': 1500000, 'held': 'its image is pulled',"
    "   'asks': {'cpus': 1, 'memory': 4096, 'nodes': 3}}],"
    " 'weights': [{'org': '01900000-0000-7000-8000-000000000009', 'weight': 3}],"
    " 'bookings': [{'id': '01900000-0000-7000-8000-00000000000a', 'org': '01900000-0000-7000-8000-000000000009',"
    "   'project': '01900000-0000-7000-8000-000000000003', 'whose': 'p1', 'from_us': 5, 'until_us': 6,"
    "   'on': [{'node': 'n1', 'gpu_milli': 4000}]}],"
    " 'history': [{'project': '01900000-0000-7000-8000-000000000003', 'ran_us': [5, 6]}]}";

static json_t *parse(const char *text)
{
    _cleanup_free_ char *copy = xstrdup(text);
    json_t *json = NULL;

    for (char *p = copy; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    ok(json_parse(copy, strlen(copy), &json, NULL) == 0);
    return json;
}

TEST(reads_what_it_wrote)
{
    _cleanup_json_ json_t *json = parse(good), *again = NULL;
    _cleanup_(snapshot_freep) struct snapshot *s = NULL, *copy = NULL;
    struct error err = { 0 };

    ok(snapshot_from_json(json, &s, &err) == 0);
    is_str(err.text, "");
    ok(s->nodes.len == 1 && s->jobs.len == 2 && s->jobs.items[0].allocations.len == 1);
    is_str(s->nodes.items[0].node->fault, "no disk");
    ok(s->nodes.items[0].node->cordoned && node_has_tag(s->nodes.items[0].node, "rack=r1"));
    ok(s->jobs.items[1].spec->nodes == 3 && s->jobs.items[0].spec->max_time_s == 60);
    ok(s->bookings.len == 1 && s->bookings.items[0].places[0].milli == 4000);
    again = snapshot_to_json(s);
    copy = snapshot_copy(s);
    _cleanup_json_ json_t *third = snapshot_to_json(copy);
    ok(json_equal(again, third));
    _cleanup_free_ char *text = json_text(again);
    ok(strstr(text, "\"fault\":\"no disk\"") && strstr(text, "\"ran_us\":[5,6]"));
    ok(strstr(text, "\"on\":[{\"node\":\"n1\",\"gpu_milli\":4000}]"));
}

TEST(holds_nothing_of_what_a_job_does)
{
    _cleanup_json_ json_t *full = parse(
        "{'command': ['sh', '-c', 'TOP-SECRET'], 'env': {'KEY': 'TOP-SECRET'}, 'image': 'TOP-SECRET/x',"
        " 'cpus': 4, 'memory': '1Gi', 'disk': '1Gi', 'gpus': 1, 'gpu_model': 'h100', 'nodes': 2,"
        " 'tasks_per_node': 3, 'on_nodes': ['n1', 'n2'], 'exclusive': true, 'max_time': 90,"
        " 'preemptible': true, 'checkpoint': {'signal': 'USR1'}, 'grace': 7}");
    _cleanup_(workload_spec_freep) struct workload_spec *spec = NULL, *wishes = NULL;

    ok(workload_spec_from_json(full, &spec, NULL) == 0);
    _cleanup_json_ json_t *json = workload_wishes_to_json(spec);
    _cleanup_free_ char *text = json_text(json);
    ok(!strstr(text, "SECRET") && !strstr(text, "command"));
    ok(workload_wishes_from_json(json, &wishes, NULL) == 0);
    struct shape a = shape_of(spec, &id_none), b = shape_of(wishes, &id_none);
    ok(shape_equal(&a, &b));
    ok(wishes->max_time_s == 90 && wishes->preemptible && wishes->grace_s == 7 &&
       wishes->checkpoint_signal == spec->checkpoint_signal);
}

/* The JSON with WAS replaced by IS must be refused with words that hold SAYS. */
static void refuses(const char *was, const char *is, const char *says)
{
    const char *at = strstr(good, was);
    _cleanup_free_ char *text =
        xasprintf("%.*s%s%s", (int) (at - good), good, is, at + strlen(was));
    _cleanup_json_ json_t *json = parse(text);
    _cleanup_(snapshot_freep) struct snapshot *s = NULL;
    struct error err = { 0 };

    ok(snapshot_from_json(json, &s, &err) < 0 && !s);
    if (!strstr(err.text, says))
        printf("# '%s' does not say '%s'\n", err.text, says);
    ok(strstr(err.text, says));
}

TEST(names_what_is_wrong)
{
    refuses("'format': 1", "'format': 3", "format: is 3; it must be 1 to 2");
    refuses("'format': 1", "'format': 2", "memory: shapes: must be a list");
    refuses("'time': '2026", "'time': 'x2026", "time: must be one such as");
    refuses("'policy': 'las'", "'policy': 'x'", "options: policy: there is no policy 'x'");
    refuses("'score': 'fgd'", "'score': 'y'", "options: score: there is no score 'y'");
    refuses("'restart_us': 1", "'restart_us': -1", "options: restart_us: is -1; it must be 0 to");
    refuses("'name': 'n1'", "'name': '-'", "nodes[0]: node:");
    refuses("'disk_used': 7", "'disk_used': -7", "nodes[0]: disk_used: is -7");
    refuses("'others_gpus': 0", "'others_gpus': 1.5",
            "nodes[0]: others_gpus: must be a whole number");
    refuses("'id': '01900000-0000-7000-8000-000000000004'",
            "'id': '01900000-0000-7000-8000-000000000002'", "jobs[1]: id: is another job's");
    refuses("'priority': 5", "'priority': 5000",
            "jobs[0]: priority: is 5000; it must be -1000 to 1000");
    refuses("'nodes': 3", "'nodes': -3", "jobs[1]: asks: nodes");
    refuses("'since_us': 1500000", "'since_us': 9999999999999999",
            "jobs[1]: since_us: is 9999999999999999");
    refuses("'started_us': 2000000,", "", "jobs[0]: allocations: has 1");
    refuses("{'node': 'n1', 'cpus': '0'", "{'node': 'n1', 'cpus': 'x'", "jobs[0]: allocations[0]:");
    refuses("'ran_us': [5, 6]", "'ran_us': [5, -6]", "history: [0]: ran_us[1]:");
    refuses("'weight': 3", "'weight': 0", "weights[0]: weight: is 0; it must be 1 to");
    refuses("'until_us': 6", "'until_us': 5", "bookings[0]: until_us: must be later than from_us");
    refuses("'gpu_milli': 4000", "'gpu_milli': 0", "bookings[0]: on[0]: must be {");
    refuses("'history': [{", "'history': ['x', {", "history: [0]: project:");
    refuses("'ran_us': [5", "'limit_us': [1], 'ran_us': [5",
            "history: [0]: limit_us: must be as many as ran_us");
}

TEST(history_says_what_is_left)
{
    _cleanup_(history_freep) struct history *h = history_new(), *again = NULL;
    struct id a = { { 1 } }, b = { { 2 } };

    for (int i = 1; i <= HISTORY_ENOUGH - 1; i++)
        history_note(h, &a, i * SECOND, 0);
    ok(history_left_us(h, &a, 0, 0) == -1);
    history_note(h, &a, 100 * SECOND, 0);
    ok(history_left_us(h, &a, 0, 0) == 3 * SECOND);
    ok(history_left_us(h, &a, SECOND, 0) == 2 * SECOND);
    ok(history_left_us(h, &a, SECOND + 1, 0) == -1);
    ok(history_left_us(h, &b, 0, 0) == -1);
    /* Who declares is compared with those that did: these ran a tenth to a half of it. */
    for (int i = 1; i <= 5; i++)
        history_note(h, &b, i * SECOND, 10 * SECOND);
    ok(history_left_us(h, &b, 0, 0) == 3 * SECOND);
    ok(history_left_us(h, &b, 0, 1000 * SECOND) == 300 * SECOND);
    ok(history_left_us(h, &b, 100 * SECOND, 1000 * SECOND) == 200 * SECOND);
    ok(history_left_us(h, &b, 101 * SECOND, 1000 * SECOND) == -1);
    ok(history_left_us(h, &a, 0, 1000 * SECOND) == -1);
    _cleanup_json_ json_t *of_limits = history_to_json(h);
    _cleanup_(history_freep) struct history *read = NULL;
    ok(history_from_json(of_limits, &read, NULL) == 0);
    ok(history_left_us(read, &b, 0, 1000 * SECOND) == 300 * SECOND);
    for (int i = 0; i < HISTORY_RUNS; i++)
        history_note(h, &a, 50 * SECOND, 0);
    ok(history_left_us(h, &a, 0, 0) == 50 * SECOND && history_left_us(h, &a, 51 * SECOND, 0) == -1);
    for (unsigned i = 0; i < HISTORY_PROJECTS; i++)
        history_note(h, &(struct id){ { 3, (uint8_t) i, (uint8_t) (i >> 8) } }, SECOND, 0);
    ok(history_left_us(h, &a, 0, 0) == -1);
    _cleanup_json_ json_t *json = history_to_json(h);
    ok(json_array_size(json) == HISTORY_PROJECTS && history_from_json(json, &again, NULL) == 0);
    _cleanup_json_ json_t *twice = history_to_json(again);
    ok(json_equal(json, twice));
}

TAP_MAIN
