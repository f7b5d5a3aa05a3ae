#include "api/session.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

/* Any line and any word gives one of its kind. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *typed = xstrndup((const char *) data, size);
    _cleanup_json_ json_t *command = json_string_lossy(typed, strlen(typed));
    _cleanup_json_ json_t *words = session_words(command);
    _cleanup_json_ json_t *list = json_pack("[OO]", command, command);
    _cleanup_json_ json_t *both = session_words(list);

    if (!json_is_string(words) || json_array_size(both) != 2)
        abort();
    return 0;
}
