/* What the declaration of a job accepts, it accepts again unchanged; paths and flags of any bytes. */
#include "declare/declare.h"
#include "base/alloc.h"
#include "base/yaml.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    const struct declare_type *type = declare_type("job_request");
    _cleanup_json_ json_t *json = NULL, *copy = NULL, *object = json_object();
    _cleanup_free_ char *text = xstrndup((const char *) data, size);
    struct declare_match match;
    struct declare_flag flag;

    (void) declare_route("GET", (const char *) data, size, &match);
    for (size_t pos = 0; declare_next_flag(type, &pos, &flag);)
        (void) declare_set_flag(&flag, object, text, NULL);
    (void) declare_check_patch(type, object, NULL);
    if (yaml_parse((const char *) data, size, &json, NULL) < 0 ||
        declare_check(type, json, NULL) < 0)
        return 0;
    copy = json_deep_copy(json);
    assert(declare_check(type, json, NULL) == 0 && json_equal(json, copy));
    return 0;
}
