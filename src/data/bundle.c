/* bundle.c - many small files in one stream: "SHA256 SIZE\n", then so many bytes, again and again */
#include "data/bundle.h"

#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

ssize_t bundle_head_parse(const char *bytes, size_t len, struct bundle_head *ret)
{
    size_t within = len < BUNDLE_HEAD_MAX ? len : BUNDLE_HEAD_MAX;
    const char *newline = memchr(bytes, '\n', within);
    char text[BUNDLE_HEAD_MAX + 1];
    long long size;

    if (!newline)
        return within == BUNDLE_HEAD_MAX ? -EINVAL : 0;
    size_t n = (size_t) (newline - bytes);
    memcpy(text, bytes, n);
    text[n] = '\0';
    if (n < SHA256_HEX_LEN + 2 || strlen(text) != n || text[SHA256_HEX_LEN] != ' ')
        return -EINVAL;
    text[SHA256_HEX_LEN] = '\0';
    const char *digits = text + SHA256_HEX_LEN + 1;
    if (sha256_parse(text, &ret->sum) < 0 || *digits < '0' || *digits > '9' ||
        (digits[0] == '0' && digits[1]) || str_to_i64(digits, 0, INT64_C(1) << 40, &size) < 0)
        return -EINVAL;
    ret->size_bytes = size;
    return (ssize_t) n + 1;
}

void bundle_head_format(struct text *t, const struct bundle_head *head)
{
    char hex[SHA256_HEX_LEN + 1];

    text_addf(t, "%s %" PRId64 "\n", sha256_format(&head->sum, hex), head->size_bytes);
}
