/* The kernel's "name: value" texts, PCI addresses and mounts. */
#include "admin/doctor.h"
#include "base/alloc.h"
#include "probe/internal.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    _cleanup_free_ char *text = xstrndup((const char *) data, size);
    char address[16], again[16];
    struct cgroup_view view;
    const char *value;
    int64_t bytes;

    int n = field_find((const char *) data, size, "MemTotal", &value);
    assert(n < 0 || (size_t) (value - (const char *) data) + (size_t) n <= size);
    if (field_kilobytes((const char *) data, size, "MemTotal", &bytes) == 0)
        assert(bytes >= 0 && bytes % 1024 == 0);
    if (pci_address_normalise(text, address) == 0)
        assert(pci_address_normalise(address, again) == 0 && strcmp(address, again) == 0);
    cgroup_view_parse((const char *) data, size, &view);
    assert(strlen(view.v1_base) < sizeof view.v1_base);
    return 0;
}
