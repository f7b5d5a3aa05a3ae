/* texts.h - lists of strings that end with a NULL, as argv does; NULL is a list that was not given */
#ifndef BASE_TEXTS_H
#define BASE_TEXTS_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>

/* The list and its strings. */
void texts_free(char **list);
/* Owned by the caller; NULL for NULL. */
char **texts_copy(char *const *list);
/* The same strings in the same order; a list not given is like no other, an empty one too. */
bool texts_equal(char *const *a, char *const *b);
/* 0 for NULL. */
size_t texts_count(char *const *list);

#endif
