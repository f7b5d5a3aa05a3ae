/* time.h - points in time as microseconds since 1970 UTC, and their RFC 3339 form; reads no clock */
#ifndef BASE_TIME_H
#define BASE_TIME_H

#include <stdint.h>

#define TIME_TEXT_LEN 27 /* 2026-11-21T02:34:56.123456Z */
#define US_PER_MS     INT64_C(1000)
#define US_PER_S      INT64_C(1000000)

/* BUF is filled and returned. Years 1970 to 9999. */
const char *time_format(int64_t us, char buf[static TIME_TEXT_LEN + 1]);
/* RFC 3339 with any offset and 0 to 9 fraction digits; -EINVAL otherwise. */
int time_parse(const char *text, int64_t *ret_us);

#endif
