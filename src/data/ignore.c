/* ignore.c - which files of a tree are left out, in the syntax and with the meaning of gitignore(5)
 *
 * Of the rules that match a path, one from the deepest directory wins, and of these the last. A
 * path below an ignored directory is ignored, whatever else is said about it.
 */
#include "data/data.h"
#include "data/glob.h"

#include "base/alloc.h"
#include "base/text.h"
#include "base/vec.h"

#include <errno.h>
#include <string.h>

#define RULES_MAX 10000

struct rule {
    char *base;        /* directory of the file that has it, "" or with a '/' at the end */
    char *literal;     /* the part before the first wildcard, compared as it is */
    struct glob *rest; /* what follows it; NULL: nothing */
    bool negative;
    bool directory_only;
    bool basename; /* had no '/': matches the last component at any depth */
};

struct ignore {
    VEC(struct rule) rules;
};

struct ignore *ignore_new(void) { return xnew(struct ignore); }

void ignore_free(struct ignore *ig)
{
    if (!ig)
        return;
    vec_foreach(&ig->rules, r) {
        free(r->base);
        free(r->literal);
        glob_free(r->rest);
    }
    vec_done(&ig->rules);
    free(ig);
}

/* Length without spaces at the end; "\ " is kept. */
static size_t trimmed_len(const char *s, size_t len)
{
    size_t end = 0;

    for (size_t i = 0; i < len; i++) {
        if (s[i] == ' ')
            continue;
        if (s[i] == '\\' && i + 1 < len)
            i++;
        end = i + 1;
    }
    return end;
}

static size_t literal_len(const char *s, size_t len)
{
    size_t n = 0;

    while (n < len && !strchr("*?[\\", s[n]))
        n++;
    return n;
}

static int add_rule(struct ignore *ig, const char *base, const char *s, size_t len)
{
    struct rule rule = { 0 };

    rule.negative = *s == '!';
    s += rule.negative;
    len -= rule.negative;
    if (len && s[len - 1] == '/') {
        rule.directory_only = true;
        len--;
    }
    rule.basename = !memchr(s, '/', len);
    if (len && *s == '/') {
        s++;
        len--;
    }
    if (len == 0)
        return 0;
    if (ig->rules.len >= RULES_MAX || len > GLOB_LEN_MAX)
        return -E2BIG;

    /* git, too, gives only what follows the literal part to its matcher, so that "a**" + "/b"
     * means the directories below a… in both. */
    size_t literal = rule.basename ? 0 : literal_len(s, len);
    if (rule.basename && literal_len(s, len) == len)
        literal = len;
    if (literal < len) {
        rule.rest = glob_compile(s + literal, len - literal, !rule.basename);
        if (!rule.rest)
            return 0;
    }
    rule.literal = xstrndup(s, literal);
    rule.base = *base ? xasprintf("%s/", base) : xstrdup("");
    vec_push(&ig->rules, rule);
    return 0;
}

int ignore_add(struct ignore *ig, const char *base, const char *bytes, size_t len)
{
    const char *p = bytes, *end = bytes + len;

    if (len >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
        p += 3;
    while (p < end) {
        const char *newline = memchr(p, '\n', (size_t) (end - p));
        size_t n = (size_t) ((newline ? newline : end) - p);
        const char *next = newline ? newline + 1 : end;
        if (n && *p != '#' && !memchr(p, '\0', n)) {
            if (p[n - 1] == '\r')
                n--;
            n = trimmed_len(p, n);
            int r = n ? add_rule(ig, base, p, n) : 0;
            if (r < 0)
                return r;
        }
        p = next;
    }
    return 0;
}

static bool rule_match(const struct rule *rule, const char *path, bool directory)
{
    if (rule->directory_only && !directory)
        return false;
    if (!str_starts(path, rule->base))
        return false;

    const char *name = path + strlen(rule->base);
    if (rule->basename) {
        const char *slash = strrchr(name, '/');
        name = slash ? slash + 1 : name;
    }
    size_t literal = strlen(rule->literal);
    if (strncmp(name, rule->literal, literal) != 0)
        return false;
    return rule->rest ? glob_match(rule->rest, name + literal) : name[literal] == '\0';
}

/* What the rules say of this one path, without its parents. */
static bool decides(const struct ignore *ig, const char *path, bool directory)
{
    const struct rule *best = NULL;

    for (size_t i = ig->rules.len; i-- > 0;) {
        const struct rule *rule = &ig->rules.items[i];
        if (best && strlen(rule->base) <= strlen(best->base))
            continue;
        if (rule_match(rule, path, directory))
            best = rule;
    }
    return best && !best->negative;
}

bool ignore_match(const struct ignore *ig, const char *path, bool directory)
{
    _cleanup_free_ char *above = xstrdup(path);

    for (char *slash = strchr(above, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (decides(ig, above, true))
            return true;
        *slash = '/';
    }
    return decides(ig, path, directory);
}
