/* USER, passwd and group, one a line ended by NUL. */
#include "image/image.h"

#include "base/alloc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    _cleanup_free_ char *text = xcalloc(size + 3, 1);
    struct image_user user;

    memcpy(text, data, size);
    const char *passwd = text + strlen(text) + 1;
    const char *group = passwd < text + size ? passwd + strlen(passwd) + 1 : "";
    if (passwd > text + size)
        passwd = "";
    if (image_user_parse(text, passwd, group, &user, NULL) == 0)
        assert(user.uid <= 65535 && user.gid <= 65535 && user.n_groups <= IMAGE_GROUPS_MAX);
    free(user.home);
    return 0;
}
