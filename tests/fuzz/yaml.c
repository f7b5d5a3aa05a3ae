/* What parses, prints as YAML and parses again as the same tree. */
#include "base/yaml.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    _cleanup_json_ json_t *json = NULL, *again = NULL;

    if (yaml_parse((const char *) data, size, &json, NULL) < 0)
        return 0;
    _cleanup_free_ char *text = yaml_text(json);
    assert(yaml_parse(text, strlen(text), &again, NULL) == 0);
    assert(json_equal(json, again));
    return 0;
}
