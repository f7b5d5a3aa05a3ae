/* json-line.c - on which line of a JSON text does a value begin
 *
 * The tree does not know where its values stood. Only who has to name a line walks over the text again.
 */
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

struct walk {
    const char *p, *end;
};

static void skip_blanks(struct walk *w)
{
    while (w->p < w->end && strchr(" \t\r\n:,", *w->p) && *w->p)
        w->p++;
}

static void skip_string(struct walk *w)
{
    for (w->p++; w->p < w->end && *w->p != '"'; w->p++)
        if (*w->p == '\\')
            w->p++;
    w->p += w->p < w->end;
}

static void skip_value(struct walk *w)
{
    int depth = 0;

    do {
        skip_blanks(w);
        if (w->p >= w->end)
            return;
        if (*w->p == '"') {
            skip_string(w);
        } else if (strchr("{[", *w->p)) {
            depth++;
            w->p++;
        } else if (strchr("}]", *w->p)) {
            depth--;
            w->p++;
        } else {
            while (w->p < w->end && !strchr(" \t\r\n,:}]", *w->p))
                w->p++;
        }
    } while (depth > 0);
}

/* To the value of member NAME of the object at P; false: it has none. */
static bool enter_member(struct walk *w, const char *name, size_t len)
{
    for (w->p++;;) {
        skip_blanks(w);
        if (w->p >= w->end || *w->p != '"')
            return false;
        const char *key = w->p + 1;
        skip_string(w);
        bool is_it = (size_t) (w->p - 1 - key) == len && memcmp(key, name, len) == 0;
        skip_blanks(w);
        if (is_it)
            return true;
        skip_value(w);
    }
}

static bool enter_item(struct walk *w, size_t index)
{
    for (w->p++;; index--) {
        skip_blanks(w);
        if (w->p >= w->end || *w->p == ']')
            return false;
        if (index == 0)
            return true;
        skip_value(w);
    }
}

static bool enter(struct walk *w, const char *token, size_t len)
{
    if (w->p < w->end && *w->p == '{')
        return enter_member(w, token, len);
    return w->p < w->end && *w->p == '[' && enter_item(w, strtoul(token, NULL, 10));
}

size_t json_line(const char *bytes, size_t len, const char *pointer)
{
    struct walk w = { bytes, bytes + len };
    const char *found;
    size_t line = 1;

    skip_blanks(&w);
    found = w.p;
    for (const char *token = pointer; *token == '/';) {
        size_t n = strcspn(++token, "/");
        if (!enter(&w, token, n))
            break;
        found = w.p;
        token += n;
    }
    for (const char *p = bytes; p < found && (p = memchr(p, '\n', (size_t) (found - p))); p++)
        line++;
    return line;
}
