/* base64.h - base64 of RFC 4648, with padding */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/text.h"

#include <stddef.h>

void text_add_base64(struct text *t, const void *bytes, size_t n);
/* S as a whole, canonical: padded, no white space, unused bits zero. -EINVAL otherwise, -ENOSPC when it
 * is more than MAX bytes. */
int base64_decode(const char *s, void *bytes, size_t max, size_t *ret_n);

#endif
