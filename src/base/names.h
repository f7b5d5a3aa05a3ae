/* names.h - lists of names in few words */
#ifndef BASE_NAMES_H
#define BASE_NAMES_H

#include "base/text.h"

/* Adds N names in their order: "n[1-4], n7, gpu[01-16].rack3". Three or more that follow each other and count up in their last
 * number are one word, in the form of fleet files and Slurm. */
void names_add(struct text *out, const char *const *names, size_t n);

#endif
