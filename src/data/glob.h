/* glob.h - the patterns of gitignore(5), compiled, matched in time text × pattern */
#ifndef DATA_GLOB_H
#define DATA_GLOB_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>

#define GLOB_LEN_MAX 4096

struct glob;

/* PATHNAME: '*', '?' and sets do not match '/', and '**' between slashes matches directories;
 * without it there is no difference between characters. NULL for a pattern that can never match
 * (unclosed set, unknown class, trailing backslash) or is longer than GLOB_LEN_MAX. */
struct glob *glob_compile(const char *pattern, size_t len, bool pathname);
void glob_free(struct glob *g);
DEFINE_CLEANUP(struct glob *, glob_free);
bool glob_match(const struct glob *g, const char *text);

#endif
