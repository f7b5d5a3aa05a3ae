/* alloc.h - memory for small control structures
 *
 * These abort when memory is exhausted: state is in the store and containers are not our
 * children's children, so ending is safe and removes an untestable branch from every caller.
 * Whatever has a size that comes from outside is bounded before it is allocated.
 */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <stddef.h>

/* Zeroed memory for N objects of SIZE bytes; never NULL. Free with free(). */
void *xcalloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *p, size_t size) __attribute__((returns_nonnull));
/* A copy of S, NULL for NULL. */
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
void *xmemdup(const void *p, size_t n);
__attribute__((format(printf, 1, 2), returns_nonnull)) char *xasprintf(const char *fmt, ...);

#define xnew(type)      ((type *) xcalloc(1, sizeof(type)))
#define xnew_n(type, n) ((type *) xcalloc((n), sizeof(type)))

/* Replace the owned string *P by a copy of S (which may be NULL). */
void xstr_set(char **p, const char *s);

#endif
