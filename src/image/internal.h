/* internal.h - what the files of image/ share */
#ifndef IMAGE_INTERNAL_H
#define IMAGE_INTERNAL_H

#include "base/text.h"
#include "image/image.h"

void image_add_link(struct image *image, const char *path, const char *target);
void image_add_file(struct image *image, const char *path, const char *content);
void image_add_directory(struct image *image, const char *path, mode_t mode);

/* allow.c: binds and links of image `host`, from what lies below OPTIONS' root. */
int allow_collect(const struct image_host_options *options, struct image *image, struct error *err);
/* packages.c: one sorted line a package, and the stamp of where they came from. */
int packages_read(const char *root, struct text *ret, struct image_stamp *stamp, struct error *err);
bool packages_unchanged(const struct image_stamp *stamp);

#endif
