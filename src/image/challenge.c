/* challenge.c - what a registry asks for: Basic, or Bearer with the address of a token server */
#include "image/oci.h"

#include "base/alloc.h"
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

enum { VALUE_MAX = 4096 };

struct cursor {
    const char *p, *end;
};

static void skip(struct cursor *c, const char *set)
{
    while (c->p < c->end && *c->p && strchr(set, *c->p))
        c->p++;
}

static size_t token(struct cursor *c, const char **ret)
{
    *ret = c->p;
    while (c->p < c->end &&
           (isalnum((unsigned char) *c->p) || (*c->p && strchr("!#$%&'*+-.^_`|~", *c->p))))
        c->p++;
    return (size_t) (c->p - *ret);
}

/* A token or a quoted string; owned by the caller, NULL when it is neither. */
static char *value(struct cursor *c)
{
    struct text t = { 0 };
    const char *start;

    if (c->p == c->end || *c->p != '"') {
        size_t n = token(c, &start);
        return n ? xstrndup(start, n) : NULL;
    }
    for (c->p++; c->p < c->end && *c->p != '"' && t.len < VALUE_MAX; c->p++) {
        if (*c->p == '\\' && c->p + 1 < c->end)
            c->p++;
        if ((unsigned char) *c->p < ' ')
            break;
        text_add_char(&t, *c->p);
    }
    if (c->p == c->end || *c->p != '"') {
        text_done(&t);
        return NULL;
    }
    c->p++;
    return text_take(&t);
}

static void keep(struct challenge *ret, const char *name, size_t len, char *text)
{
    char **slot = len == 5 && strncasecmp(name, "realm", len) == 0     ? &ret->realm
                  : len == 7 && strncasecmp(name, "service", len) == 0 ? &ret->service
                  : len == 5 && strncasecmp(name, "scope", len) == 0   ? &ret->scope
                                                                       : NULL;
    if (slot && !*slot)
        *slot = text;
    else
        free(text);
}

/* name=value, …; stops where another challenge begins. */
static int parameters(struct cursor *c, struct challenge *ret)
{
    for (;;) {
        const char *name;
        skip(c, " \t,");
        const char *before = c->p;
        size_t len = token(c, &name);
        skip(c, " \t");
        if (!len || c->p == c->end || *c->p != '=') {
            c->p = before;
            return 0;
        }
        c->p++;
        skip(c, " \t");
        char *text = value(c);
        if (!text)
            return -EINVAL;
        keep(ret, name, len, text);
    }
}

int challenge_parse(const char *header, size_t len, struct challenge *ret)
{
    struct cursor c = { header, header + len };

    *ret = (struct challenge){ 0 };
    while (c.p < c.end) {
        const char *scheme;
        skip(&c, " \t,");
        size_t n = token(&c, &scheme);
        bool bearer = n == 6 && strncasecmp(scheme, "bearer", n) == 0;
        bool basic = n == 5 && strncasecmp(scheme, "basic", n) == 0;
        if (!n || parameters(&c, ret) < 0)
            break;
        if (basic || (bearer && ret->realm)) {
            ret->bearer = bearer;
            return 0;
        }
        challenge_done(ret);
    }
    challenge_done(ret);
    return -EINVAL;
}

void challenge_done(struct challenge *challenge)
{
    free(challenge->realm);
    free(challenge->service);
    free(challenge->scope);
    *challenge = (struct challenge){ 0 };
}
