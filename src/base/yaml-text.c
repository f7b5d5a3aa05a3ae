/* yaml-text.c - trees as block-style YAML that reads back as the same tree */
#include "base/alloc.h"
#include "base/yaml.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* Booleans of YAML 1.1, which other readers of our output may still follow. */
static bool is_old_boolean(const char *s)
{
    static const char *const words[] = { "y", "n", "yes", "no", "on", "off" };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasecmp(s, words[i]) == 0)
            return true;
    return false;
}

/* Words and numbers that would not read back as strings are found by parsing them. */
static bool is_plain(const char *s, size_t len)
{
    static const char safe_first[] = "./_";

    if (len == 0 || len > 200)
        return false;
    if (!isalpha((unsigned char) s[0]) && !strchr(safe_first, s[0]))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char) s[i]) && !strchr(" ./_-+@=,%", s[i]))
            return false;
    if (s[len - 1] == ' ' || is_old_boolean(s))
        return false;

    _cleanup_json_ json_t *read = NULL;
    return yaml_parse(s, len, &read, NULL) == 0 && json_is_string(read) &&
           str_equal(json_string_value(read), s);
}

static unsigned code_point(const char *s, size_t n)
{
    unsigned code = (unsigned char) s[0] & (n == 1 ? 0x7f : 0xff >> (n + 1));

    for (size_t i = 1; i < n; i++)
        code = code << 6 | ((unsigned char) s[i] & 0x3f);
    return code;
}

/* What libyaml takes only escaped, or takes for a line break. */
static bool needs_escape(unsigned code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029 ||
           code == 0xfeff || code == 0xfffe || code == 0xffff;
}

static void add_quoted(struct text *t, const char *s, size_t len)
{
    text_add_char(t, '"');
    for (size_t n, i = 0; i < len; i += n) {
        n = utf8_sequence(s + i, len - i);
        n = n ? n : 1;
        unsigned code = code_point(s + i, n);
        if (code == '\n')
            text_add(t, "\\n");
        else if (code == '\t')
            text_add(t, "\\t");
        else if (needs_escape(code))
            text_addf(t, "\\u%04x", code);
        else {
            if (code == '"' || code == '\\')
                text_add_char(t, '\\');
            text_add_bytes(t, s + i, n);
        }
    }
    text_add_char(t, '"');
}

static void add_string(struct text *t, const char *s, size_t len)
{
    if (is_plain(s, len))
        text_add_bytes(t, s, len);
    else
        add_quoted(t, s, len);
}

static void add_indent(struct text *t, int indent) { text_addf(t, "%*s", indent, ""); }

static bool is_block(const json_t *json)
{
    return json_object_size(json) > 0 || json_array_size(json) > 0;
}

static void add_node(struct text *t, const json_t *json, int indent, bool indented);

/* A key longer than libyaml's simple keys (1,024 characters) needs the explicit form. */
static void add_key(struct text *t, const char *key, int indent)
{
    enum { LONGEST_SIMPLE_KEY = 128 };
    bool is_long = strlen(key) > LONGEST_SIMPLE_KEY;

    text_add(t, is_long ? "? " : "");
    add_string(t, key, strlen(key));
    if (is_long) {
        text_add_char(t, '\n');
        add_indent(t, indent);
    }
    text_add_char(t, ':');
}

static void add_mapping(struct text *t, const json_t *json, int indent, bool indented)
{
    json_t *obj = (json_t *) (uintptr_t) json; /* jansson's iterators take no const */

    for (void *it = json_object_iter(obj); it; it = json_object_iter_next(obj, it)) {
        const json_t *value = json_object_iter_value(it);
        if (!indented)
            add_indent(t, indent);
        indented = false;
        add_key(t, json_object_iter_key(it), indent);
        text_add_char(t, is_block(value) ? '\n' : ' ');
        add_node(t, value, is_block(value) ? indent + 2 : 0, false);
    }
}

static void add_sequence(struct text *t, const json_t *json, int indent, bool indented)
{
    for (size_t i = 0; i < json_array_size(json); i++) {
        if (!indented)
            add_indent(t, indent);
        indented = false;
        text_add(t, "- ");
        add_node(t, json_array_get(json, i), indent + 2, true);
    }
}

/* Ends with a line break. INDENTED: the indentation of the first line is there already. */
static void add_node(struct text *t, const json_t *json, int indent, bool indented)
{
    if (is_block(json)) {
        if (json_is_object(json))
            add_mapping(t, json, indent, indented);
        else
            add_sequence(t, json, indent, indented);
        return;
    }
    if (json_is_string(json))
        add_string(t, json_string_value(json), json_string_length(json));
    else
        text_add_json(t, json);
    text_add_char(t, '\n');
}

char *yaml_text(const json_t *json)
{
    struct text t = { 0 };

    add_node(&t, json, 0, true);
    return text_take(&t);
}
