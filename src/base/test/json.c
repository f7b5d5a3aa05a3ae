#include "base/json.h"
#include "base/yaml.h"

#include "tests/tap.h"

#include <errno.h>

static char *refusal(int (*parse)(const char *, size_t, json_t **, struct error *),
                     const char *text)
{
    static struct error err;
    _cleanup_json_ json_t *json = NULL;

    err = (struct error){ 0 };
    return parse(text, strlen(text), &json, &err) < 0 ? err.text : NULL;
}

static char *yaml_as_json(const char *text)
{
    struct error err = { 0 };
    _cleanup_json_ json_t *json = NULL;

    if (yaml_parse(text, strlen(text), &json, &err) < 0) {
        struct text t = { 0 };
        text_addf(&t, "refused: %s", err.text);
        return text_take(&t);
    }
    return json_text(json);
}

#define is_yaml(text, want)                                                                        \
    do {                                                                                           \
        _cleanup_free_ char *json_ = yaml_as_json(text);                                           \
        is_str(json_, want);                                                                       \
    } while (0)

TEST(json_refuses_what_is_not_strict)
{
    const char *wrong[] = {
        "",         "{\"a\":1,\"a\":2}", "{} x",          "[NaN]", "[\"\\ud800\"]",
        "[1,]",     "{'a':1}",           "[\"\\u0000\"]", "[01]",  "[1e999]",
        "[\"\t\"]", "[\"\xff\"]",        "[//c\n1]",      "[+1]",  "[99999999999999999999]"
    };

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ok(refusal(json_parse, wrong[i]) != NULL);
    is_str(refusal(json_parse, "{\"a\":\n 1 x}"), "line 2, column 4: '}' expected near 'x'");
}

TEST(json_depth_is_bounded)
{
    char deep[2 * JSON_MAX_DEPTH + 3];

    memset(deep, '[', JSON_MAX_DEPTH);
    memset(deep + JSON_MAX_DEPTH, ']', JSON_MAX_DEPTH);
    deep[2 * JSON_MAX_DEPTH] = '\0';
    ok(refusal(json_parse, deep) == NULL);
    memset(deep, '[', JSON_MAX_DEPTH + 1);
    memset(deep + JSON_MAX_DEPTH + 1, ']', JSON_MAX_DEPTH + 1);
    deep[2 * JSON_MAX_DEPTH + 2] = '\0';
    is_str(refusal(json_parse, deep), "is nested deeper than 64 levels");
    is_str(refusal(yaml_parse, deep), "line 1, column 65: nested too deep");
}

TEST(pretty_text_is_the_same_value_over_lines)
{
    static const char *const text =
        "{\"a\":[],\"b\":{\"c\":[1,0.98],\"d\":{}},\"e\":\"{[,:\\\"\\\\\"}";
    _cleanup_json_ json_t *json = NULL, *back = NULL;

    ok(json_parse(text, strlen(text), &json, NULL) == 0);
    _cleanup_free_ char *pretty = json_pretty(json);
    is_str(pretty, "{\n  \"a\": [],\n  \"b\": {\n    \"c\": [\n      1,\n      0.98\n    ],\n"
                   "    \"d\": {}\n  },\n  \"e\": \"{[,:\\\"\\\\\"\n}");
    ok(json_parse(pretty, strlen(pretty), &back, NULL) == 0);
    ok(json_equal(json, back));
}

TEST(json_text_reads_back)
{
    const char *text =
        "{\"b\":[1,-9223372036854775808,2.31,1e300,2.0,true,false,null],\"a\":\"x\\n\\\"\\\\\\u0001é\"}";
    _cleanup_json_ json_t *json = NULL;

    ok(json_parse(text, strlen(text), &json, NULL) == 0);
    _cleanup_free_ char *same = json_text(json);
    is_str(
        same,
        "{\"b\":[1,-9223372036854775808,2.31,1e+300,2.0,true,false,null],\"a\":\"x\\n\\\"\\\\\\u0001é\"}");
    _cleanup_free_ char *sorted = json_canonical(json);
    ok(str_starts(sorted, "{\"a\":"));
}

TEST(strings_of_any_origin)
{
    _cleanup_text_ struct text t = { 0 };

    text_add_json_string(&t, "a\xff\0\xed\xa0\x80z\x7f", 8);
    is_str(text_str(&t), "\"a\xef\xbf\xbd\\u2400\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\\u007f\"");
    _cleanup_json_ json_t *s = json_string_lossy("a\xc3\0é", 5);
    is_str(json_string_value(s), "a\xef\xbf\xbd\xe2\x90\x80é");
    ok(utf8_is_valid("\xf0\x9f\x98\x80", 4));
    ok(!utf8_is_valid("\xf0\x9f\x98", 3));
    ok(!utf8_is_valid("\xc0\x80", 2));
    ok(!utf8_is_valid("\xf4\x90\x80\x80", 4));
}

TEST(thousandths)
{
    _cleanup_json_ json_t *obj = json_pack("{s:i, s:f}", "n", 7, "real", 0.5);
    int64_t milli = -1;

    ok(json_get_milli(obj, "n", &milli) == 0 && milli == 7000);
    ok(json_get_milli(obj, "real", &milli) == 0 && milli == 500);
    ok(json_get_milli(obj, "absent", &milli) == -EINVAL && milli == 500);
    for (int64_t i = -2000; i <= 2000; i++) {
        json_put_milli(obj, "milli", i);
        ok(json_get_milli(obj, "milli", &milli) == 0 && milli == i);
    }
    json_put(obj, "milli", json_real(0.0005));
    ok(json_get_milli(obj, "milli", &milli) == -EINVAL);
    json_put(obj, "milli", json_real(1e300));
    ok(json_get_milli(obj, "milli", &milli) == -EINVAL);
}

TEST(fields)
{
    _cleanup_json_ json_t *obj = json_object();

    json_put_str(obj, "name", "x");
    json_put_str(obj, "none", NULL);
    json_put_int(obj, "n", 7);
    json_put(obj, "real", json_real(0.5));
    json_put(obj, "yes", json_true());
    is_str(json_get_str(obj, "name", "other"), "x");
    is_str(json_get_str(obj, "none", "other"), "other");
    ok(json_get_int(obj, "n", 0) == 7);
    ok(json_get_int(obj, "name", 3) == 3);
    ok(json_get_real(obj, "n", 0) > 6.9);
    ok(json_get_real(obj, "real", 0) < 0.6);
    ok(json_get_bool(obj, "yes", false));
    ok(json_object_size(obj) == 4);
}

TEST(yaml_core_schema)
{
    is_yaml("a: 1\nb: [x, 'y', \"z\"]\nc:\n  - d: true\n  - ~\n",
            "{\"a\":1,\"b\":[\"x\",\"y\",\"z\"],\"c\":[{\"d\":true},null]}");
    is_yaml("[yes, no, on, 0o17, 0xff, 1.5, .5, 1e3, '1', 0x, 1_000, 12:30]",
            "[\"yes\",\"no\",\"on\",15,255,1.5,0.5,1000.0,\"1\",\"0x\",\"1_000\",\"12:30\"]");
    is_yaml("1: x\n", "{\"1\":\"x\"}");
    is_yaml("cmd: |\n  a\n  b\n", "{\"cmd\":\"a\\nb\\n\"}");
    is_yaml("", "null");
    is_yaml("--- 1\n...\n", "1");
    is_yaml("[\"\\ud83d\\ude00\"]", "[\"😀\"]");
}

TEST(yaml_refuses_with_the_place)
{
    is_yaml("a: 1\na: 2\n", "refused: line 2, column 1: the key 'a' is there twice");
    is_yaml("a: &x 1\nb: *x\n", "refused: line 1, column 4: anchors are not taken");
    is_yaml("b: *x\n", "refused: line 1, column 4: aliases are not taken");
    is_yaml("a: !!python/object x\n", "refused: line 1, column 4: tags are not taken");
    is_yaml("a: 1\n---\nb: 2\n", "refused: line 2, column 1: a single document was expected");
    is_yaml("a: .nan\n", "refused: line 1, column 4: a number must be finite");
    is_yaml("a: 99999999999999999999\n",
            "refused: line 1, column 4: the integer does not fit in 64 bits");
    is_yaml("[a]: 1\n", "refused: line 1, column 1: a key must be a word");
    is_yaml("a: \"\\0\"\n", "refused: line 1, column 4: a string must not have a NUL");
    is_yaml("a: [1\n", "refused: line 2, column 1: did not find expected ',' or ']'");
    is_yaml("a: \xff\n", "refused: byte 3: invalid leading UTF-8 octet");
}

TEST(yaml_text_is_for_people_and_reads_back)
{
    const char *text =
        "{\"name\":\"tiny-gpt\",\"env\":{},\"ports\":[{\"name\":\"web\",\"port\":80},[1,[2]]],"
        "\"words\":[\"yes\",\"null\",\"1\",\"a: b\",\"# x\",\"\",\" x\",\"line\\n2\",\"\xc2\x85\"]}";
    _cleanup_json_ json_t *json = NULL, *back = NULL;
    struct error err = { 0 };

    ok(json_parse(text, strlen(text), &json, &err) == 0);
    _cleanup_free_ char *yaml = yaml_text(json);
    ok(str_starts(
        yaml,
        "name: tiny-gpt\nenv: {}\nports:\n  - name: web\n    port: 80\n  - - 1\n    - - 2\nwords:\n  - \"yes\"\n  - \"null\"\n"));
    ok(yaml_parse(yaml, strlen(yaml), &back, &err) == 0);
    ok(json_equal(json, back));
}

TAP_MAIN
