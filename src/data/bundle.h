/* bundle.h - many small files in one stream, so that each needs no request of its own
 *
 * For each file a head, "SHA256 SIZE\n" with a size of plain decimal digits, then its bytes. The stream ends
 * after a file.
 */
#ifndef DATA_BUNDLE_H
#define DATA_BUNDLE_H

#include "base/digest.h"
#include "base/text.h"

#include <sys/types.h>

#define BUNDLE_HEAD_MAX  90
#define BUNDLE_FILES_MAX 10000 /* in one stream */

struct bundle_head {
    struct sha256 sum;
    int64_t size_bytes;
};

/* Bytes taken, 0 when more are needed, -EINVAL. */
ssize_t bundle_head_parse(const char *bytes, size_t len, struct bundle_head *ret);
void bundle_head_format(struct text *t, const struct bundle_head *head);

#endif
