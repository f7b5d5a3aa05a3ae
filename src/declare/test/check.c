#include "declare/declare.h"

#include "base/yaml.h"
#include "tests/tap.h"

#include <errno.h>
#include <stdlib.h>

/* What checking YAML text gives: the canonical tree, or the refusal. */
static char *checked(const char *type, const char *yaml)
{
    struct error err = { 0 };
    _cleanup_json_ json_t *json = NULL;

    if (yaml_parse(yaml, strlen(yaml), &json, &err) < 0)
        abort();
    if (declare_check(declare_type(type), json, &err) == 0)
        return json_canonical(json);

    struct text t = { 0 };
    text_add(&t, err.text);
    return text_take(&t);
}

#define job_is(yaml, want)                                                                         \
    do {                                                                                           \
        _cleanup_free_ char *got_text = checked("job_request", yaml);                              \
        is_str(got_text, want);                                                                    \
    } while (0)

TEST(a_small_job_gets_its_defaults)
{
    job_is("command: [a]",
           "{\"command\":[\"a\"],\"image\":\"host\",\"preemptible\":false,\"priority\":0}");
}

TEST(values_get_their_one_form)
{
    job_is(
        "{command: echo hi, memory: 1.5Gi, max_time: 2h, retries: {max: 3}, env: {A: b}, name: null}",
        "{\"command\":[\"/bin/sh\",\"-c\",\"echo hi\"],\"env\":{\"A\":\"b\"},\"image\":\"host\","
        "\"max_time\":7200,\"memory\":1610612736,\"preemptible\":false,\"priority\":0,"
        "\"retries\":{\"backoff\":10,\"max\":3}}");
}

TEST(checking_twice_changes_nothing)
{
    const char *text =
        "{\"command\":\"a\",\"ports\":[{\"name\":\"web\",\"port\":80}],\"grace\":\"1m\"}";
    _cleanup_json_ json_t *json = NULL;

    ok(json_parse(text, strlen(text), &json, NULL) == 0);
    ok(declare_check(declare_type("job_request"), json, NULL) == 0);
    _cleanup_free_ char *once = json_canonical(json);
    ok(declare_check(declare_type("job_request"), json, NULL) == 0);
    _cleanup_free_ char *twice = json_canonical(json);
    is_str(twice, once);
}

TEST(refusals_name_path_value_and_cure)
{
    job_is("command: [a]\nports: [{name: web, port: 70000}]",
           "ports[0].port: 70000 must be between 1 and 65535");
    job_is("{command: [a], flavour: x}", "flavour: there is no such field; did you mean 'flavor'?");
    job_is("{command: [a], retries: {often: 1}}",
           "retries.often: there is no such field; known are max, backoff");
    job_is("checkpoint: {}", "checkpoint.signal: is missing. Signal that asks for a checkpoint.");
    job_is("{command: [a], env: {SEED: 1}}", "env.SEED: 1 must be a string: write \"1\"");
    job_is("{command: [a], env: {\"A-B\": x}}",
           "env.A-B: \"A-B\" must have the form [A-Za-z_][A-Za-z0-9_]{0,254}");
    job_is("{command: [a, 2]}", "command[1]: 2 must be a string: write \"2\"");
    job_is(
        "{command: []}",
        "command: a list must be a program and its arguments as a list, or a line for the shell");
    job_is("{command: [a], memory: lots}",
           "memory: \"lots\" must be a size such as 512Mi or 1.5Gi, or a number of bytes");
    job_is("{command: [a], memory: 1K}", "memory: \"1K\" must be between 16 MiB and 1 PiB");
    job_is("{command: [a], network: open}", "network: \"open\" must be one of egress, none");
    job_is("{command: [a], flavor: cpu.1, cpus: 2}",
           "cpus: cannot be given together with 'flavor'");
    job_is("{command: [a], source: {git: {url: \"https://x/y\"}, workspace: a}}",
           "source.workspace: \"a\" must be a SHA-256 digest, 64 hex digits in lower case");
    job_is("{command: [a], tags: [x]}", "tags: a list must be an object");
    job_is("[a]", "a list must be an object with fields");
    job_is("{command: [a], priority: 1.5}", "priority: 1.5 must be a whole number");
    job_is("{command: [a], preemptible: \"yes\"}", "preemptible: \"yes\" must be true or false");
}

TEST(a_patch_requires_nothing_and_keeps_nulls)
{
    const char *text = "{\"tags\":{\"a\":null,\"b\":\"1\"}}";
    _cleanup_json_ json_t *json = NULL;
    struct error err = { 0 };

    ok(json_parse(text, strlen(text), &json, NULL) == 0);
    ok(declare_check_patch(declare_type("job_patch"), json, &err) == 0);
    _cleanup_free_ char *same = json_text(json);
    is_str(same, text);
}

/* Every default and example of the declarations is itself right. */
TEST(declarations_hold_to_themselves)
{
    for (size_t i = 0; i < declare_n_types; i++)
        for (size_t j = 0; j < declare_types[i]->n_fields; j++) {
            const struct declare_field *field = &declare_types[i]->fields[j];
            const char *texts[] = { field->otherwise, field->example };
            struct declare_type whole = { .kind = DECLARE_OBJECT, .fields = field, .n_fields = 1 };
            for (size_t k = 0; k < 2; k++) {
                if (!texts[k])
                    continue;
                _cleanup_json_ json_t *object = json_object();
                struct error err = { 0 };
                json_put(object, field->name, json_loads(texts[k], JSON_DECODE_ANY, NULL));
                int r = declare_check(&whole, object, &err);
                if (r < 0)
                    printf("# %s.%s: %s\n", declare_types[i]->name, field->name, err.text);
                ok(r == 0);
            }
        }
}

TEST(the_document_is_json)
{
    _cleanup_json_ json_t *json = NULL;

    ok(json_parse(declare_openapi, declare_openapi_len, &json, NULL) == 0);
    is_str(json_get_str(json, "openapi", ""), "3.1.0");
}

TAP_MAIN
