/* id.h - UUIDv7 identifiers (RFC 9562, section 5.7) and names people type */
#ifndef BASE_ID_H
#define BASE_ID_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define ID_TEXT_LEN 36 /* 8-4-4-4-12 lower-case hex */

struct id {
    uint8_t bytes[16];
};

extern const struct id id_none; /* all zero */

/* Make an id from the time and 10 random bytes; both come from outside, as this does no I/O. Ids of
 * different microseconds sort by time. */
struct id id_make(int64_t now_us, const uint8_t random[static 10]);
/* What stands for NAME within IN, always the same: their hash by FNV-1a with 128 bits (Fowler, Noll, Vo: draft-eastlake-fnv). It keeps
 * apart what nobody tries to make alike. */
struct id id_within(const struct id *in, const char *name);
/* BUF is filled and returned. */
const char *id_format(const struct id *id, char buf[static ID_TEXT_LEN + 1]);
/* -EINVAL unless TEXT is exactly the canonical form. */
int id_parse(const char *text, struct id *ret);
bool id_equal(const struct id *a, const struct id *b);
bool id_is_none(const struct id *id);
int id_compare(const struct id *a, const struct id *b);
/* The millisecond in which it was made. */
int64_t id_time_ms(const struct id *id);

/* Names: 1 to 63 of a-z 0-9 '-' '.' '_', beginning and ending with a letter or digit (so they fit a
 * DNS label's length, a path component and a URL segment unescaped), and never the form of a UUID. */
bool name_is_valid(const char *name);
int name_check(const char *what, const char *name, struct error *err);

#endif
