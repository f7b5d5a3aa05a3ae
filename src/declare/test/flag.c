#include "declare/declare.h"

#include "tests/tap.h"

#include <errno.h>

static int set(json_t *obj, const char *name, const char *text, struct error *err)
{
    struct declare_flag flag;

    if (!declare_find_flag(declare_type("job_request"), name, &flag))
        return -ENOENT;
    return declare_set_flag(&flag, obj, text, err);
}

TEST(flags_build_a_job)
{
    _cleanup_json_ json_t *obj = json_object();
    struct error err = { 0 };

    ok(set(obj, "n", "x", &err) == 0);
    ok(set(obj, "memory", "1Gi", &err) == 0);
    ok(set(obj, "e", "A=1", &err) == 0);
    ok(set(obj, "env", "B=x=y", &err) == 0);
    ok(set(obj, "port", "web:8080", &err) == 0);
    ok(set(obj, "port", "api:9090:19090", &err) == 0);
    ok(set(obj, "retries", "2", &err) == 0);
    ok(set(obj, "backoff", "1m", &err) == 0);
    ok(set(obj, "git", "https://example.org/r.git", &err) == 0);
    ok(set(obj, "preemptible", NULL, &err) == 0);
    json_put(obj, "command", json_string("true"));
    int r = declare_check(declare_type("job_request"), obj, &err);
    is_str(err.text, "");
    ok(r == 0);
    _cleanup_free_ char *text = json_canonical(obj);
    is_str(
        text,
        "{\"command\":[\"/bin/sh\",\"-c\",\"true\"],\"env\":{\"A\":\"1\",\"B\":\"x=y\"},\"image\":\"host\","
        "\"memory\":1073741824,\"name\":\"x\",\"ports\":[{\"name\":\"web\",\"port\":8080,\"publish\":0},"
        "{\"name\":\"api\",\"port\":9090,\"publish\":19090}],\"preemptible\":true,\"priority\":0,"
        "\"retries\":{\"backoff\":60,\"max\":2},"
        "\"source\":{\"git\":{\"ref\":\"HEAD\",\"url\":\"https://example.org/r.git\"}}}");
}

TEST(wrong_flags_are_refused)
{
    _cleanup_json_ json_t *obj = json_object();
    struct error err = { 0 };

    ok(set(obj, "nope", "1", &err) == -ENOENT);
    ok(set(obj, "priority", "high", &err) == -EINVAL);
    is_str(err.text, "--priority: 'high' must be a whole number");
    ok(set(obj, "env", "A", &err) == -EINVAL);
    is_str(err.text, "--env: 'A' must have the form KEY=VALUE");
    ok(set(obj, "port", "web:x", &err) == -EINVAL);
    is_str(err.text, "--port: port: 'x' must be a whole number");
    ok(set(obj, "port", "web=8000", &err) == -EINVAL);
    is_str(err.text, "--port: 'web=8000' must have the form NAME:PORT[:PUBLISH]");
    ok(set(obj, "port", "8000", &err) == -EINVAL);
}

TEST(flags_are_listed_once_each)
{
    struct declare_flag flag;
    size_t n = 0;

    for (size_t pos = 0; declare_next_flag(declare_type("job_request"), &pos, &flag); n++) {
        struct declare_flag found;
        const struct declare_field *field = flag.path[flag.depth - 1];
        ok(declare_find_flag(declare_type("job_request"), field->flag, &found));
        ok(found.path[found.depth - 1] == field);
    }
    ok(n > 15);
    ok(declare_find_flag(declare_type("job_request"), "port", &flag));
    is_str(declare_flag_operand(&flag), "NAME:PORT[:PUBLISH]");
    ok(declare_find_flag(declare_type("job_request"), "max-time", &flag));
    is_str(declare_flag_operand(&flag), "DURATION");
}

TAP_MAIN
