/* Every slice of a package lies inside the text, and none is empty that must not be. */
#include "image/image.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

struct text_bounds {
    const char *begin, *end;
    size_t n;
};

static void check(void *userdata, const struct package *p)
{
    struct text_bounds *text = userdata;

    assert(p->name_len > 0 && p->name >= text->begin && p->name + p->name_len <= text->end);
    assert(p->version_len > 0 && p->version + p->version_len <= text->end);
    assert(p->architecture_len == 0 || p->architecture + p->architecture_len <= text->end);
    text->n++;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct text_bounds text = { (const char *) data, (const char *) data + size, 0 };

    assert(image_parse_dpkg(text.begin, size, check, &text) == text.n);
    return 0;
}
