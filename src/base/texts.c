/* texts.c - lists of strings that end with a NULL */
#include "base/texts.h"

#include "base/alloc.h"
#include "base/text.h"

#include <stdlib.h>

void texts_free(char **list)
{
    for (char **item = list; item && *item; item++)
        free(*item);
    free(list);
}

char **texts_copy(char *const *list)
{
    size_t n = texts_count(list);

    if (!list)
        return NULL;
    char **copy = xnew_n(char *, n + 1);
    for (size_t i = 0; i < n; i++)
        copy[i] = xstrdup(list[i]);
    return copy;
}

bool texts_equal(char *const *a, char *const *b)
{
    if (!a || !b)
        return a == b;
    for (; *a && str_equal(*a, *b); a++)
        b++;
    return !*a && !*b;
}

size_t texts_count(char *const *list)
{
    size_t n = 0;

    while (list && list[n])
        n++;
    return n;
}
