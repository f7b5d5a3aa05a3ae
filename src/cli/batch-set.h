/* batch-set.h - what the files of options of sbatch share */
#ifndef CLI_BATCH_SET_H
#define CLI_BATCH_SET_H

#include "cli/batch.h"

/* One option; -EINVAL with what would be right, without its name. */
typedef int (*batch_set_f)(struct batch *b, const struct batch_option *o, struct error *err);

/* What is accepted and means something else here, in words. */
__attribute__((format(printf, 3, 4))) void batch_note(struct batch *b, const struct batch_option *o,
                                                      const char *fmt, ...);
/* "must be WHAT" */
int batch_wrong(const char *what, struct error *err);

/* batch-when.c */
int batch_set_dependency(struct batch *b, const struct batch_option *o, struct error *err);
int batch_set_kill_invalid(struct batch *b, const struct batch_option *o, struct error *err);
int batch_set_begin(struct batch *b, const struct batch_option *o, struct error *err);
int batch_set_nice(struct batch *b, const struct batch_option *o, struct error *err);

/* batch-where.c */
int batch_set_nodelist(struct batch *b, const struct batch_option *o, struct error *err);
int batch_set_exclude(struct batch *b, const struct batch_option *o, struct error *err);
int batch_set_constraint(struct batch *b, const struct batch_option *o, struct error *err);
int batch_set_exclusive(struct batch *b, const struct batch_option *o, struct error *err);
int batch_set_threads(struct batch *b, const struct batch_option *o, struct error *err);
int batch_set_hint(struct batch *b, const struct batch_option *o, struct error *err);
int batch_set_distribution(struct batch *b, const struct batch_option *o, struct error *err);

/* batch-refused.c: options of sbatch that are known and cannot be kept. What to do instead of NAME (of LEN
 * bytes; IS_LETTER: without dashes one letter); NULL: it is none of them. */
const char *batch_refused(const char *name, size_t len, bool is_letter);

#endif
