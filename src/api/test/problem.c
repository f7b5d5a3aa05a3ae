#include "api/internal.h"

#include "tests/tap.h"

static json_t *problem(int code, const char *detail)
{
    int status;
    _cleanup_free_ char *text = problem_text(code, detail, &status);
    json_t *json = NULL;

    ok(json_parse(text, strlen(text), &json, NULL) == 0);
    ok(json_get_int(json, "status", 0) == status);
    return json;
}

TEST(refused_fields_are_named)
{
    _cleanup_json_ json_t *p = problem(-EINVAL, "ports[0].port: 70000 must be between 1 and 65535");

    ok(json_get_int(p, "status", 0) == 400);
    is_str(json_get_str(p, "type", ""), "/problems/invalid");
    is_str(json_get_str(p, "field", ""), "ports[0].port");
}

TEST(other_texts_name_no_field)
{
    _cleanup_json_ json_t *p = problem(-EINVAL, "line 1, column 2: '}' expected");
    _cleanup_json_ json_t *q = problem(-ENOENT, "job: there is none");

    is_str(json_get_str(p, "field", "none"), "none");
    is_str(json_get_str(q, "field", "none"), "none");
}

TEST(what_is_not_in_the_table_is_our_fault)
{
    _cleanup_json_ json_t *p = problem(-ENOTTY, "\"quotes\"");

    ok(json_get_int(p, "status", 0) == 500);
    is_str(json_get_str(p, "detail", ""), "\"quotes\"");
}

TAP_MAIN
