/* alloc.c - allocation that ends the program instead of failing */
#include "base/alloc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((noreturn, cold)) static void out_of_memory(void)
{
    (void) fputs("out of memory\n", stderr);
    abort();
}

void *xcalloc(size_t n, size_t size)
{
    /* calloc(0) may be NULL, which our callers need not expect. */
    void *p = calloc(n ? n : 1, size ? size : 1);

    if (!p)
        out_of_memory();
    return p;
}

void *xrealloc(void *p, size_t size)
{
    void *q = realloc(p, size ? size : 1);

    if (!q)
        out_of_memory();
    return q;
}

void *xmemdup(const void *p, size_t n)
{
    void *q = malloc(n ? n : 1);

    if (!q)
        out_of_memory();
    if (n)
        memcpy(q, p, n);
    return q;
}

char *xstrdup(const char *s) { return s ? xmemdup(s, strlen(s) + 1) : NULL; }

char *xstrndup(const char *s, size_t n)
{
    if (!s)
        return NULL;

    /* Not strndup(): sanitizers want its argument to end in a NUL, which bytes from outside do not. */
    size_t len = strnlen(s, n);
    char *copy = xcalloc(len + 1, 1);
    memcpy(copy, s, len);
    return copy;
}

char *xasprintf(const char *fmt, ...)
{
    char *s = NULL;
    va_list ap;

    va_start(ap, fmt);
    int n = vasprintf(&s, fmt, ap);
    va_end(ap);
    if (n < 0)
        out_of_memory();
    return s;
}

void xstr_set(char **p, const char *s)
{
    char *copy = xstrdup(s); /* first: S may lie inside *P */

    free(*p);
    *p = copy;
}
