/* Index, manifest, config and docker's list: whatever is taken is within its limits. */
#include "image/image.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    const char *bytes = (const char *) data;
    struct oci_manifest manifest;
    struct oci_config config;
    struct oci_descriptor chosen = { .size = -1 };
    char *name = NULL, **layers = NULL;

    if (oci_index_choose(bytes, size, "amd64", NULL, &chosen, NULL) == 1)
        assert(chosen.size >= 0);
    (void) oci_index_choose(bytes, size, "amd64", "1", &chosen, NULL);
    if (oci_manifest_parse(bytes, size, &manifest, NULL) == 0)
        assert(manifest.n_layers <= OCI_LAYERS_MAX && manifest.size >= manifest.config.size);
    oci_manifest_done(&manifest);
    if (oci_config_parse(bytes, size, "amd64", &config, NULL) == 0)
        assert(config.n_layers <= OCI_LAYERS_MAX && config.run);
    oci_config_done(&config);
    if (docker_archive_parse(bytes, size, NULL, &name, &layers, NULL) == 0)
        for (size_t i = 0; layers[i]; i++)
            free(layers[i]);
    free(name);
    free(layers);
    return 0;
}
