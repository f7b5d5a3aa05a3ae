/* user.h - whom an image's config means by USER; pure */
#ifndef IMAGE_USER_H
#define IMAGE_USER_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#define IMAGE_GROUPS_MAX 32

struct image_user {
    uint32_t uid, gid;
    uint32_t groups[IMAGE_GROUPS_MAX]; /* further ones */
    size_t n_groups;
    char *home; /* owned; NULL: unknown */
};

/* "uid", "name", "uid:gid" or "name:group", by the image's PASSWD and GROUP (NUL-terminated text; "" where it
 * has none). NULL or "": root. Names that are not there: -EINVAL. */
int image_user_parse(const char *user, const char *passwd, const char *group,
                     struct image_user *ret, struct error *err);

#endif
