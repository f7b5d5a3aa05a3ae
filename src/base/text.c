/* text.c - a growable byte string */
#include "base/text.h"

#include "base/alloc.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

char *text_reserve(struct text *t, size_t n)
{
    size_t need = t->len + n + 1;
    assert(need > n);

    if (need > t->cap) {
        size_t cap = t->cap ? t->cap : 64;
        while (cap < need)
            cap *= 2;
        t->data = xrealloc(t->data, cap);
        t->cap = cap;
    }
    return t->data + t->len;
}

void text_add_bytes(struct text *t, const void *bytes, size_t n)
{
    char *at = text_reserve(t, n);

    if (n)
        memcpy(at, bytes, n);
    t->len += n;
    t->data[t->len] = '\0';
}

void text_add(struct text *t, const char *s) { text_add_bytes(t, s, strlen(s)); }

void text_add_char(struct text *t, char c) { text_add_bytes(t, &c, 1); }

void text_addv(struct text *t, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    char *at = text_reserve(t, 64);
    size_t room = t->cap - t->len;
    int n = vsnprintf(at, room, fmt, ap);

    assert(n >= 0);
    if ((size_t) n >= room) {
        at = text_reserve(t, (size_t) n);
        (void) vsnprintf(at, (size_t) n + 1, fmt, again);
    }
    va_end(again);
    t->len += (size_t) n;
}

void text_addf(struct text *t, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    text_addv(t, fmt, ap);
    va_end(ap);
}

void text_consume(struct text *t, size_t n)
{
    assert(n <= t->len);
    if (!t->data)
        return;
    memmove(t->data, t->data + n, t->len - n);
    t->len -= n;
    t->data[t->len] = '\0';
}

void text_clear(struct text *t)
{
    t->len = 0;
    if (t->data)
        t->data[0] = '\0';
}

void text_done(struct text *t)
{
    free(t->data);
    *t = (struct text){ 0 };
}

char *text_take(struct text *t)
{
    char *s = t->data ? t->data : xstrdup("");

    *t = (struct text){ 0 };
    return s;
}
