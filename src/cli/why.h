/* why.h - a reason with its numbers, for people */
#ifndef CLI_WHY_H
#define CLI_WHY_H

#include "cli/internal.h"

/* Lines of a `why` or a planned placement, without its text: rule, numbers, place, what would help. */
void why_add(const struct cli *cli, const json_t *why, struct text *out);

#endif
