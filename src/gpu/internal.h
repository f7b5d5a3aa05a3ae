/* internal.h - what the files of gpu/ share */
#ifndef GPU_INTERNAL_H
#define GPU_INTERNAL_H

#include "gpu/gpu.h"

#include "base/alloc.h"
#include "base/text.h"

/* A NULL-terminated list; freed with its items. */
void list_free(char **list);
char **list_copy(char *const *list);
void edits_add(struct cdi_edits *to, const struct cdi_edits *from);

#endif
