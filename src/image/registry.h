/* registry.h - a registry that speaks the distribution protocol (OCI distribution-spec 1.1), as a client
 *
 * Everything is verified against its digest while it arrives. Blobs go to files and are resumed where
 * they broke off. Credentials go to the registry and to the token server that it names, never along a
 * redirect to another origin. Blocking; for a process of its own.
 *
 * Errors: -ENOENT not there, -EACCES login wanted or refused, -EBADMSG what came is not what was
 * promised, -ENOSPC the disk is full, -EAGAIN another try may help (time-outs, 429, 5xx, broken
 * connections).
 */
#ifndef IMAGE_REGISTRY_H
#define IMAGE_REGISTRY_H

#include "base/text.h"
#include "image/oci.h"

struct registry;

struct registry_options {
    const char *host;                /* "docker.io", "127.0.0.1:5055" */
    const char *repository;          /* "library/python" */
    const char *username, *password; /* NULL: none */
    bool plain_http;                 /* the operator said so; loopback needs no word */
    bool push;                       /* ask for the right to push too */
    const char *proxy, *ca_file;     /* NULL: libcurl's */
    long stall_s;                    /* a transfer that does not move for so long is broken off */
    /* Bytes of blobs, as they arrive or are sent; negative when some must go again. */
    void (*arrived)(void *userdata, int64_t bytes);
    void *userdata;
};

/* Strings are borrowed for the registry's life. */
int registry_new(const struct registry_options *options, struct registry **ret, struct error *err);
void registry_free(struct registry *registry);
DEFINE_CLEANUP(struct registry *, registry_free);

/* The manifest or index that REFERENCE (a tag, or sha256:HEX) names, as it was sent. */
int registry_manifest(struct registry *registry, const char *reference, struct text *ret,
                      struct error *err);
/* A small blob into memory, verified. */
int registry_document(struct registry *registry, const struct oci_descriptor *what,
                      struct text *ret, struct error *err);

/* NULL: not told. */
struct blobs_listener {
    /* A good part of a large blob is in HEX.part; told once. */
    void (*begun)(void *userdata, size_t i);
    void (*done)(void *userdata, size_t i); /* it is whole */
    void *userdata;
};

/* Fetch blobs into DIR, each as HEX when it is whole and as HEX.part before; those that are there are
 * taken as they are. Ends with the first failure. */
int registry_blobs(struct registry *registry, int dir, const struct oci_descriptor *blobs, size_t n,
                   const struct blobs_listener *listener, struct error *err);

/* ---- pushing (registry-push.c) ---- */

/* 1: the repository has the blob; 0: it has not. */
int registry_has_blob(struct registry *registry, const struct sha256 *digest, struct error *err);
/* Send what is in FD, from its beginning. */
int registry_push_blob(struct registry *registry, int fd, const struct oci_descriptor *what,
                       struct error *err);
/* After its blobs; REFERENCE is the tag that it gets. */
int registry_push_manifest(struct registry *registry, const char *reference, const char *media_type,
                           const struct text *bytes, struct error *err);

#endif
