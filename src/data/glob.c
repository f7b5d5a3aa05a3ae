/* glob.c - a pattern becomes a list of steps; matching keeps the set of steps that can come next
 *
 * As no step is tried twice at the same place of the text, a hostile pattern costs no more than
 * text length × pattern length (git's own recursive matcher is exponential there). The meaning is
 * that of git's wildmatch.c.
 */
#include "data/glob.h"

#include "base/alloc.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

enum step_kind {
    STEP_BYTE,    /* exactly this byte */
    STEP_SET,     /* one byte of a set; also '?' */
    STEP_STAR,    /* any bytes of a set, also none */
    STEP_DIRS,    /* the slash-ended part of a path, or nothing: enters the next or the one after */
    STEP_DIRS_IN, /* inside of STEP_DIRS: any bytes, leaving after a '/' */
};

struct set {
    uint64_t bits[4];
};

struct step {
    enum step_kind kind;
    unsigned char byte;
    struct set set;
};

struct glob {
    size_t n;
    struct step steps[];
};

struct parser {
    const unsigned char *p, *start, *end;
    bool pathname;
    struct glob *glob;
};

static void set_add(struct set *s, unsigned c) { s->bits[c >> 6] |= UINT64_C(1) << (c & 63); }
static void set_remove(struct set *s, unsigned c) { s->bits[c >> 6] &= ~(UINT64_C(1) << (c & 63)); }
static bool set_has(const struct set *s, unsigned c) { return s->bits[c >> 6] >> (c & 63) & 1; }

static struct set set_any(bool slash)
{
    struct set s = { { UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX } };

    if (!slash)
        set_remove(&s, '/');
    return s;
}

static void add_step(struct parser *ps, struct step step) { ps->glob->steps[ps->glob->n++] = step; }

/* ---- sets: [a-z[:digit:]] -------------------------------------------------------------------- */

static int ascii_blank(int c) { return c == ' ' || c == '\t'; }

static bool add_class(struct set *s, const unsigned char *name, size_t len)
{
    static const struct {
        const char *name;
        int (*has)(int);
    } classes[] = {
        { "alnum", isalnum }, { "alpha", isalpha }, { "blank", ascii_blank },
        { "cntrl", iscntrl }, { "digit", isdigit }, { "graph", isgraph },
        { "lower", islower }, { "print", isprint }, { "punct", ispunct },
        { "space", isspace }, { "upper", isupper }, { "xdigit", isxdigit },
    };

    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        if (strlen(classes[i].name) != len || memcmp(classes[i].name, name, len) != 0)
            continue;
        for (int c = 0; c < 128; c++)
            if (classes[i].has(c))
                set_add(s, (unsigned) c);
        return true;
    }
    return false;
}

/* A byte of a set, after its backslash if it has one; -1 at the end of the pattern. */
static int set_byte(struct parser *ps)
{
    if (*ps->p == '\\')
        ps->p++;
    return ps->p < ps->end ? *ps->p : -1;
}

/* At "[:": the class, if it is closed by ":]". 1: added, 0: an ordinary '[', -1: never matches. */
static int set_class(struct parser *ps, struct set *s)
{
    const unsigned char *name = ps->p + 2;
    const unsigned char *close =
        name < ps->end ? memchr(name, ']', (size_t) (ps->end - name)) : NULL;

    if (!close)
        return -1;
    if (close == name || close[-1] != ':')
        return 0;
    if (!add_class(s, name, (size_t) (close - 1 - name)))
        return -1;
    ps->p = close;
    return 1;
}

/* One member at ps->p, which is left on its last byte. PREV is the byte that may begin a range, or
 * 0. Returns the new one, or -1. */
static int set_member(struct parser *ps, struct set *s, int prev)
{
    bool has_next = ps->p + 1 < ps->end;

    if (*ps->p == '-' && prev && has_next && ps->p[1] != ']') {
        ps->p++;
        int last = set_byte(ps);
        for (int c = prev; c <= last; c++)
            set_add(s, (unsigned) c);
        return last < 0 ? -1 : 0;
    }
    if (*ps->p == '[' && has_next && ps->p[1] == ':') {
        int r = set_class(ps, s);
        if (r != 0)
            return r > 0 ? 0 : -1;
        set_add(s, '[');
        return '[';
    }
    int c = set_byte(ps);
    if (c >= 0)
        set_add(s, (unsigned) c);
    return c;
}

/* At '['; leaves ps->p after ']'. */
static bool parse_set(struct parser *ps)
{
    struct set s = { { 0 } };
    bool negated = false;
    int prev = 0;

    if (++ps->p < ps->end && (*ps->p == '!' || *ps->p == '^')) {
        negated = true;
        ps->p++;
    }
    do {
        if (ps->p >= ps->end || (prev = set_member(ps, &s, prev)) < 0)
            return false;
    } while (++ps->p >= ps->end || *ps->p != ']');
    ps->p++;

    if (negated)
        for (int i = 0; i < 4; i++)
            s.bits[i] = ~s.bits[i];
    if (ps->pathname)
        set_remove(&s, '/');
    add_step(ps, (struct step){ .kind = STEP_SET, .set = s });
    return true;
}

/* ---- stars ----------------------------------------------------------------------------------- */

static void parse_stars(struct parser *ps)
{
    const unsigned char *first = ps->p;

    while (ps->p < ps->end && *ps->p == '*')
        ps->p++;

    bool at_slash = ps->p < ps->end && *ps->p == '/';
    bool alone = (first == ps->start || first[-1] == '/') &&
                 (ps->p == ps->end || at_slash ||
                  (ps->p + 1 < ps->end && ps->p[0] == '\\' && ps->p[1] == '/'));
    bool crosses = !ps->pathname || (ps->p - first > 1 && alone);

    if (crosses && ps->pathname && at_slash) {
        add_step(ps, (struct step){ .kind = STEP_DIRS });
        add_step(ps, (struct step){ .kind = STEP_DIRS_IN });
        ps->p++;
        return;
    }
    add_step(ps, (struct step){ .kind = STEP_STAR, .set = set_any(crosses) });
}

static bool parse_step(struct parser *ps)
{
    switch (*ps->p) {
    case '*':
        parse_stars(ps);
        return true;
    case '[':
        return parse_set(ps);
    case '?':
        add_step(ps, (struct step){ .kind = STEP_SET, .set = set_any(!ps->pathname) });
        break;
    case '\\':
        if (++ps->p == ps->end)
            return false;
        __attribute__((fallthrough));
    default:
        add_step(ps, (struct step){ .kind = STEP_BYTE, .byte = *ps->p });
    }
    ps->p++;
    return true;
}

struct glob *glob_compile(const char *pattern, size_t len, bool pathname)
{
    if (len > GLOB_LEN_MAX)
        return NULL;

    const unsigned char *start = (const unsigned char *) pattern;
    _cleanup_(glob_freep) struct glob *g = xcalloc(1, sizeof *g + (len + 1) * sizeof *g->steps);
    struct parser ps = { start, start, start + len, pathname, g };
    while (ps.p < ps.end)
        if (!parse_step(&ps))
            return NULL;
    return take_ptr(g);
}

void glob_free(struct glob *g) { free(g); }

/* ---- matching -------------------------------------------------------------------------------- */

#define WORDS ((GLOB_LEN_MAX + 1) / 64 + 1)

static void reach(const struct glob *g, uint64_t *states, size_t i)
{
    while (!(states[i / 64] >> (i % 64) & 1)) {
        states[i / 64] |= UINT64_C(1) << (i % 64);
        if (i == g->n)
            return;
        if (g->steps[i].kind == STEP_DIRS)
            reach(g, states, i + 2);
        else if (g->steps[i].kind != STEP_STAR)
            return;
        i++;
    }
}

static void advance(const struct glob *g, uint64_t *next, size_t i, unsigned char c)
{
    const struct step *s = &g->steps[i];

    switch (s->kind) {
    case STEP_BYTE:
        if (s->byte == c)
            reach(g, next, i + 1);
        break;
    case STEP_SET:
        if (set_has(&s->set, c))
            reach(g, next, i + 1);
        break;
    case STEP_STAR:
        if (set_has(&s->set, c))
            reach(g, next, i);
        break;
    case STEP_DIRS:
        break;
    case STEP_DIRS_IN:
        reach(g, next, i);
        if (c == '/')
            reach(g, next, i + 1);
        break;
    }
}

bool glob_match(const struct glob *g, const char *text)
{
    uint64_t now[WORDS] = { 0 }, next[WORDS];
    size_t n_words = g->n / 64 + 1;

    reach(g, now, 0);
    for (; *text; text++) {
        bool alive = false;
        memset(next, 0, n_words * sizeof *next);
        for (size_t w = 0; w < n_words; w++)
            for (uint64_t bits = now[w]; bits; bits &= bits - 1) {
                size_t i = w * 64 + (size_t) __builtin_ctzll(bits);
                if (i < g->n)
                    advance(g, next, i, (unsigned char) *text);
            }
        for (size_t w = 0; w < n_words; w++)
            alive |= (now[w] = next[w]) != 0;
        if (!alive)
            return false;
    }
    return now[g->n / 64] >> (g->n % 64) & 1;
}
