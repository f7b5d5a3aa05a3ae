/* tar.h - files of a manifest as one archive, POSIX.1-2001 (pax) */
#ifndef API_TAR_H
#define API_TAR_H

#include "api/internal.h"
#include "base/tar.h"

/* The header blocks of a file: with a pax record before it where name or size need one. Pure. */
void tar_add_header(struct text *out, const char *path, int64_t size, bool executable);
/* Answers the call with the archive; takes call and manifest. */
void tar_send(struct call *call, struct manifest *manifest);

#endif
