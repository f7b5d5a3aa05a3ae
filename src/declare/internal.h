/* internal.h - what the files of declare/ share */
#ifndef DECLARE_INTERNAL_H
#define DECLARE_INTERNAL_H

#include "declare/declare.h"

/* Where a value lies, from the inside out; lives on the stack of the check. */
struct declare_place {
    const struct declare_place *parent; /* NULL: the whole */
    const char *name;                   /* member; NULL: item INDEX of an array */
    size_t index;
};

/* -EINVAL with "ports[0].port: 70000 must be …". VALUE NULL: there is none. */
__attribute__((format(printf, 4, 5), warn_unused_result)) int declare_refuse(
    const struct declare_place *place, const json_t *value, struct error *err, const char *fmt,
    ...);
/* The same for a member that is not in FIELDS, naming the nearest that is. */
__attribute__((warn_unused_result)) int declare_refuse_unknown(const struct declare_place *place,
                                                               const struct declare_type *object,
                                                               struct error *err);

/* Check a value that is neither object, array nor map; *RET_NEW is set when another takes its place. */
int declare_check_scalar(const struct declare_type *type, json_t *value,
                         const struct declare_place *place, json_t **ret_new, struct error *err);

#endif
