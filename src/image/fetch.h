/* fetch.h - bring an image's documents and packed layers into a directory: a process of its own
 *
 * The server starts `berth fetch-image` for each pull: libcurl and what comes over the network never
 * enter the server, and a pull is cancelled by ending its process. It reads one JSON object from stdin
 *
 *     {"reference", "source", "directory", "machine", "username", "password", "plain_http",
 *      "proxy", "ca_file", "stall", "max_bytes", "have": [HEX, …], "have_blobs": [HEX, …]}
 *
 * (HAVE: digests of unpacked layers that need not come; with HAVE_BLOBS, of as many, only where the packed one
 * is the same, too) and writes lines of JSON to stdout:
 *
 *     {"event": "resolved", "digest": HEX, "bytes": N}
 *     {"event": "progress", "bytes": N}                    of those, so far
 *     {"event": "arriving", "blob": HEX, "layer": HEX, "bytes": N}   DIRECTORY/BLOB.part grows to N bytes
 *     {"event": "layer", "blob": HEX, "layer": HEX, "bytes": N}      DIRECTORY/BLOB is whole
 *     {"event": "done", "config": {…}, "layers": [HEX, …], "blobs": [HEX, …], "blob_sizes": [N, …]}
 *     {"event": "failed", "code": ERRNO, "text": WORDS}    the last one
 *
 * A reference with a digest of which all is in DIRECTORY already is taken from there; nobody is asked.
 */
#ifndef IMAGE_FETCH_H
#define IMAGE_FETCH_H

#include "base/text.h"
#include "data/data.h"
#include "image/oci.h"

/* The program; its exit code is 0 also after "failed". */
int image_fetch_main(void);

/* local.c: put what REF (a layout or an archive) names into DIR as blobs named HEX; RET is its
 * manifest. MAX_BYTES: at most so many in all. */
int image_local_open(const struct image_reference *ref, int dir, const char *architecture,
                     int64_t max_bytes, struct text *ret, struct error *err);

#endif
