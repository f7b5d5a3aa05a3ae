#include "image/image.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct challenge challenge;

    if (challenge_parse((const char *) data, size, &challenge) == 0)
        assert(!challenge.bearer || challenge.realm);
    else
        assert(!challenge.realm && !challenge.service && !challenge.scope);
    challenge_done(&challenge);
    return 0;
}
