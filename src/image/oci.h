/* oci.h - the documents of an image: index, manifest, config, docker's archive list; pure
 *
 * Both families of media types are read (OCI image-spec 1.1, Docker image manifest 2.2). Only what
 * names layers and how to run them is kept; everything else is passed over. Documents come from
 * outside: sizes, counts and depths are limited.
 */
#ifndef IMAGE_OCI_H
#define IMAGE_OCI_H

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/json.h"

#include <stdint.h>

#define OCI_DOCUMENT_MAX (4 << 20) /* bytes of an index, a manifest or a config */
#define OCI_LAYERS_MAX   127       /* what fits one overlay mount */

/* Accept header of a manifest's GET. */
#define OCI_ACCEPT                                                                                 \
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "        \
    "application/vnd.docker.distribution.manifest.list.v2+json, "                                  \
    "application/vnd.docker.distribution.manifest.v2+json"

struct oci_descriptor {
    struct sha256 digest;
    int64_t size;
};

struct oci_manifest {
    struct oci_descriptor config;
    struct oci_descriptor *layers; /* lowest first */
    size_t n_layers;
    int64_t size; /* of all */
};

struct oci_config {
    struct sha256 *layers; /* digests of the unpacked tars, lowest first */
    size_t n_layers;
    json_t *run; /* {"entrypoint", "command", "env", "user", "workdir"}: those that are there */
};

/* Choose from an index: the manifest for linux on ARCHITECTURE ("amd64"), or with TAG the one that is
 * annotated so (org.opencontainers.image.ref.name; needed where there is more than one). 1: *RET is it;
 * 0: BYTES is no index; -ENOENT with what there is. */
int oci_index_choose(const char *bytes, size_t len, const char *architecture, const char *tag,
                     struct oci_descriptor *ret, struct error *err);
int oci_manifest_parse(const char *bytes, size_t len, struct oci_manifest *ret, struct error *err);
void oci_manifest_done(struct oci_manifest *manifest);
/* ARCHITECTURE: what this machine runs; another one is refused. */
int oci_config_parse(const char *bytes, size_t len, const char *architecture,
                     struct oci_config *ret, struct error *err);
void oci_config_done(struct oci_config *config);
/* The name that images use for uname's machine: x86_64 is amd64. */
const char *oci_architecture(const char *machine);

/* manifest.json of `docker save`: the entry tagged TAG (NULL: the only one). Names within the archive,
 * owned by the caller: CONFIG, and LAYERS, NULL-terminated. */
int docker_archive_parse(const char *bytes, size_t len, const char *tag, char **ret_config,
                         char ***ret_layers, struct error *err);

/* A WWW-Authenticate header (RFC 9110, 11.6.1), the first challenge in it that is known. */
struct challenge {
    bool bearer; /* otherwise Basic */
    char *realm, *service, *scope;
};
/* -EINVAL where neither Bearer nor Basic is asked for in a form that can be read. */
int challenge_parse(const char *header, size_t len, struct challenge *ret);
void challenge_done(struct challenge *challenge);

#endif
