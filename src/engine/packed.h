/* packed.h - the packed bytes of images in STATE/images/PROJECT/, each named by its digest
 *
 * They lie there while they are pulled or pushed, and for as long as their image is known where it was made
 * here: there is nowhere to get them again.
 */
#ifndef ENGINE_PACKED_H
#define ENGINE_PACKED_H

#include "engine/puller.h"

/* Owned by the caller. */
char *packed_directory(const char *state, const struct id *project);

/* Is REGISTRY (NULL: none) in the NULL-terminated list of those without TLS? */
bool registry_is_plain(const char *const *list, const char *registry);

/* Remove what no manifest in KEEP names. Uploads are left alone for a day. */
struct packed_sweep;
struct packed_sweep *packed_sweep_new(const char *state, const struct image_packed *keep, size_t n,
                                      void *owner);
void packed_sweep_run(struct packed_sweep *sweep); /* reads and removes files: for the pool */
/* NULL once it is disowned. */
void *packed_sweep_owner(const struct packed_sweep *sweep);
void packed_sweep_disown(struct packed_sweep *sweep);
void packed_sweep_free(struct packed_sweep *sweep);

#endif
