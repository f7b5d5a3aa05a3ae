/* internal.h - what the files of gpu/ share */
#ifndef GPU_INTERNAL_H
#define GPU_INTERNAL_H

#include "gpu/gpu.h"

#include "base/alloc.h"
#include "base/text.h"
#include "base/texts.h"

/* A NULL-terminated list; freed with its items. */
void edits_add(struct cdi_edits *to, const struct cdi_edits *from);

#endif
