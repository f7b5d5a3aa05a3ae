/* What orgs, projects and users have had: refused with the field that is wrong, or within its bounds. */
#include "lifecycle/internal.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    _cleanup_json_ json_t *json = NULL;
    struct error err = { 0 };
    struct had_list had;

    if (json_parse((const char *) data, size, &json, NULL) < 0)
        return 0;
    if (had_list_read(json, &had, &err) < 0) {
        assert(err.text[0] && had.list.len == 0);
        return 0;
    }
    vec_foreach(&had.list, one)
        assert(one->used >= 0 && one->used <= SHARE_USED_MAX);
    vec_done(&had.list);
    return 0;
}
