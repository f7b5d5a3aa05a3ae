/* field.h - lines of fields between spaces, with one spelling each
 *
 * A byte is percent-encoded if and only if it is not printable ASCII, a space or '%', with hex digits of upper case, so that
 * exactly one text belongs to a value and the text's digest names it.
 */
#ifndef BASE_FIELD_H
#define BASE_FIELD_H

#include "base/text.h"

#include <stddef.h>

void field_add(struct text *t, const char *s);
/* The next field of the line at *P (which ends at END), up to a space, into BUF; NULL when it is longer than SIZE - 1, holds
 * a NUL (which would end it early) or there is none. */
char *field_next(const char **p, const char *end, char *buf, size_t size);
/* In place; -EINVAL for anything that field_add() would not write. */
int field_decode(char *s);

#endif
