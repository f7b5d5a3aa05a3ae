/* fields.h - pieces of a line, for text.c and text-node.c */
#ifndef ENGINE_SLURM_FIELDS_H
#define ENGINE_SLURM_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slice {
    const char *at;
    size_t len;
};

bool slice_is(struct slice s, const char *word);
/* Digits alone, at most MAX. */
bool slice_number(struct slice s, uint64_t max, uint64_t *ret);
/* Cut to SIZE - 1; what is not printable ASCII becomes '?'. */
void slice_copy(struct slice s, char *ret, size_t size);
/* Up to END, which is taken from REST too. */
struct slice slice_until(struct slice *rest, char end);
/* The value of the first KEY=VALUE, up to a blank. */
bool slice_key(struct slice line, const char *key, struct slice *ret);

#endif
