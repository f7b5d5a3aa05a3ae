/* yaml.c - YAML documents as JSON trees
 *
 * A recursive descent over libyaml's events; the depth is bounded before each step down.
 */
#include "base/yaml.h"

#include "base/alloc.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <string.h>
#include <yaml.h>

struct reader {
    yaml_parser_t parser;
    struct error *err;
    int depth;
};

static void parser_done(struct reader *r) { yaml_parser_delete(&r->parser); }

static void event_done(yaml_event_t *event) { yaml_event_delete(event); }

static int refuse(const struct reader *r, yaml_mark_t mark, const char *what)
{
    return error_set(r->err, -EINVAL, "line %zu, column %zu: %s", mark.line + 1, mark.column + 1,
                     what);
}

static int next_event(struct reader *r, yaml_event_t *ret)
{
    if (yaml_parser_parse(&r->parser, ret))
        return 0;
    *ret = (yaml_event_t){ 0 };
    if (r->parser.error == YAML_READER_ERROR)
        return error_set(r->err, -EINVAL, "byte %zu: %s", r->parser.problem_offset,
                         r->parser.problem);
    return refuse(r, r->parser.problem_mark, r->parser.problem ? r->parser.problem : "is not YAML");
}

static bool is_one_of(const char *s, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(s, *list) == 0)
            return true;
    return false;
}

static const char *const null_words[] = { "", "~", "null", "Null", "NULL", NULL };
static const char *const true_words[] = { "true", "True", "TRUE", NULL };
static const char *const false_words[] = { "false", "False", "FALSE", NULL };
static const char *const not_finite[] = { ".inf",  ".Inf",  ".INF",  "+.inf", "+.Inf",
                                          "+.INF", "-.inf", "-.Inf", "-.INF", ".nan",
                                          ".NaN",  ".NAN",  NULL };

/* The integers of the core schema: [-+]?[0-9]+, 0o[0-7]+, 0x[0-9a-fA-F]+ */
static bool is_integer(const char *s, int *ret_base)
{
    const char *digits = "0123456789";

    *ret_base = 10;
    if (s[0] == '0' && (s[1] == 'o' || s[1] == 'x')) {
        *ret_base = s[1] == 'o' ? 8 : 16;
        digits = s[1] == 'o' ? "01234567" : "0123456789abcdefABCDEF";
        s += 2;
    } else if (*s == '-' || *s == '+') {
        s++;
    }
    return *s && s[strspn(s, digits)] == '\0';
}

/* Its floats: [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool is_float(const char *s)
{
    const char *digits = "0123456789";

    s += *s == '-' || *s == '+';
    size_t whole = strspn(s, digits), fraction = 0;
    s += whole;
    if (*s == '.') {
        fraction = strspn(++s, digits);
        s += fraction;
    }
    if (whole + fraction == 0)
        return false;
    if (*s == 'e' || *s == 'E') {
        s++;
        s += *s == '-' || *s == '+';
        size_t exponent = strspn(s, digits);
        if (exponent == 0)
            return false;
        s += exponent;
    }
    return *s == '\0';
}

static int read_integer(const struct reader *r, yaml_mark_t mark, const char *s, int base,
                        json_t **ret)
{
    errno = 0;
    long long value = strtoll(base == 10 ? s : s + 2, NULL, base);
    if (errno == ERANGE)
        return refuse(r, mark, "the integer does not fit in 64 bits");
    *ret = json_integer(value);
    return 0;
}

static int read_plain(const struct reader *r, yaml_mark_t mark, const char *s, size_t len,
                      json_t **ret)
{
    int base;

    if (is_one_of(s, null_words))
        *ret = json_null();
    else if (is_one_of(s, true_words))
        *ret = json_true();
    else if (is_one_of(s, false_words))
        *ret = json_false();
    else if (is_integer(s, &base))
        return read_integer(r, mark, s, base, ret);
    else if (is_one_of(s, not_finite) || (is_float(s) && !isfinite(strtod(s, NULL))))
        return refuse(r, mark, "a number must be finite");
    else if (is_float(s))
        *ret = json_real(strtod(s, NULL));
    else
        *ret = json_stringn_nocheck(s, len);
    return 0;
}

static int check_scalar(const struct reader *r, const yaml_event_t *event)
{
    const char *s = (const char *) event->data.scalar.value;

    if (event->data.scalar.anchor)
        return refuse(r, event->start_mark, "anchors are not taken");
    if (event->data.scalar.tag)
        return refuse(r, event->start_mark, "tags are not taken");
    if (memchr(s, 0, event->data.scalar.length))
        return refuse(r, event->start_mark, "a string must not have a NUL");
    return 0;
}

static int read_scalar(const struct reader *r, const yaml_event_t *event, json_t **ret)
{
    const char *s = (const char *) event->data.scalar.value;
    int rc = check_scalar(r, event);

    if (rc < 0)
        return rc;
    if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        return read_plain(r, event->start_mark, s, event->data.scalar.length, ret);
    *ret = json_stringn_nocheck(s, event->data.scalar.length);
    return 0;
}

static int read_node(struct reader *r, const yaml_event_t *event, json_t **ret);

static int read_sequence(struct reader *r, json_t **ret)
{
    _cleanup_json_ json_t *array = json_array();

    for (;;) {
        _cleanup_(event_done) yaml_event_t event = { 0 };
        json_t *item = NULL;
        int rc = next_event(r, &event);
        if (rc < 0)
            return rc;
        if (event.type == YAML_SEQUENCE_END_EVENT)
            break;
        rc = read_node(r, &event, &item);
        if (rc < 0)
            return rc;
        (void) json_array_append_new(array, item);
    }
    *ret = take_ptr(array);
    return 0;
}

static int read_member(struct reader *r, const yaml_event_t *key, json_t *object)
{
    if (key->type != YAML_SCALAR_EVENT)
        return refuse(r, key->start_mark, "a key must be a word");
    int rc = check_scalar(r, key);
    if (rc < 0)
        return rc;

    const char *name = (const char *) key->data.scalar.value;
    if (json_object_get(object, name))
        return error_set(r->err, -EINVAL, "line %zu, column %zu: the key '%.60s' is there twice",
                         key->start_mark.line + 1, key->start_mark.column + 1, name);

    _cleanup_(event_done) yaml_event_t event = { 0 };
    json_t *value = NULL;
    rc = next_event(r, &event);
    if (rc < 0)
        return rc;
    rc = read_node(r, &event, &value);
    if (rc < 0)
        return rc;
    (void) json_object_set_new_nocheck(object, name, value);
    return 0;
}

static int read_mapping(struct reader *r, json_t **ret)
{
    _cleanup_json_ json_t *object = json_object();

    for (;;) {
        _cleanup_(event_done) yaml_event_t key = { 0 };
        int rc = next_event(r, &key);
        if (rc < 0)
            return rc;
        if (key.type == YAML_MAPPING_END_EVENT)
            break;
        rc = read_member(r, &key, object);
        if (rc < 0)
            return rc;
    }
    *ret = take_ptr(object);
    return 0;
}

static int read_collection(struct reader *r, const yaml_event_t *event, json_t **ret)
{
    bool mapping = event->type == YAML_MAPPING_START_EVENT;

    if (mapping ? event->data.mapping_start.anchor : event->data.sequence_start.anchor)
        return refuse(r, event->start_mark, "anchors are not taken");
    if (mapping ? event->data.mapping_start.tag : event->data.sequence_start.tag)
        return refuse(r, event->start_mark, "tags are not taken");
    if (r->depth >= JSON_MAX_DEPTH)
        return refuse(r, event->start_mark, "nested too deep");
    r->depth++;
    int rc = mapping ? read_mapping(r, ret) : read_sequence(r, ret);
    r->depth--;
    return rc;
}

static int read_node(struct reader *r, const yaml_event_t *event, json_t **ret)
{
    switch ((int) event->type) {
    case YAML_SCALAR_EVENT:
        return read_scalar(r, event, ret);
    case YAML_MAPPING_START_EVENT:
    case YAML_SEQUENCE_START_EVENT:
        return read_collection(r, event, ret);
    case YAML_ALIAS_EVENT:
        return refuse(r, event->start_mark, "aliases are not taken");
    default:
        return refuse(r, event->start_mark, "a value was expected");
    }
}

/* The single event that must come next. */
static int expect(struct reader *r, yaml_event_type_t type, const char *otherwise)
{
    _cleanup_(event_done) yaml_event_t event = { 0 };
    int rc = next_event(r, &event);

    if (rc < 0)
        return rc;
    return event.type == type ? 0 : refuse(r, event.start_mark, otherwise);
}

static int read_document(struct reader *r, json_t **ret)
{
    _cleanup_(event_done) yaml_event_t event = { 0 };
    int rc = next_event(r, &event);

    if (rc < 0)
        return rc;
    if (event.type == YAML_STREAM_END_EVENT) {
        *ret = json_null();
        return 0;
    }

    _cleanup_(event_done) yaml_event_t root = { 0 };
    _cleanup_json_ json_t *json = NULL;
    if ((rc = next_event(r, &root)) < 0 || (rc = read_node(r, &root, &json)) < 0)
        return rc;
    if ((rc = expect(r, YAML_DOCUMENT_END_EVENT, "a single value was expected")) < 0)
        return rc;
    if ((rc = expect(r, YAML_STREAM_END_EVENT, "a single document was expected")) < 0)
        return rc;
    *ret = take_ptr(json);
    return 0;
}

static bool looks_like_json(const char *bytes, size_t len)
{
    size_t i = 0;

    while (i < len && isspace((unsigned char) bytes[i]))
        i++;
    return i < len && (bytes[i] == '{' || bytes[i] == '[');
}

int yaml_parse(const char *bytes, size_t len, json_t **ret, struct error *err)
{
    /* libyaml takes no surrogate pairs in escapes, which JSON writers use. */
    if (looks_like_json(bytes, len) && json_parse(bytes, len, ret, NULL) == 0)
        return 0;

    _cleanup_(parser_done) struct reader r = { .err = err };
    if (!yaml_parser_initialize(&r.parser))
        return error_set(err, -ENOMEM, "out of memory");
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *) bytes, len);
    int rc = expect(&r, YAML_STREAM_START_EVENT, "is not YAML");
    return rc < 0 ? rc : read_document(&r, ret);
}
