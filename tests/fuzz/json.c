/* What parses, prints and parses again as the same tree; strings of any bytes become valid ones. */
#include "base/json.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    _cleanup_json_ json_t *json = NULL, *again = NULL, *lossy = NULL, *quoted = NULL;
    _cleanup_text_ struct text t = { 0 };

    if (json_parse((const char *) data, size, &json, NULL) == 0) {
        _cleanup_free_ char *text = json_canonical(json);
        assert(json_parse(text, strlen(text), &again, NULL) == 0 && json_equal(json, again));
    }
    lossy = json_string_lossy((const char *) data, size);
    assert(lossy);
    text_add_json_string(&t, (const char *) data, size);
    assert(json_parse(t.data, t.len, &quoted, NULL) == 0 && json_equal(quoted, lossy));
    return 0;
}
