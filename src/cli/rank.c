/* rank.c - --rank: which task of a job that has many */
#include "cli/internal.h"

#include "base/alloc.h"

#include <errno.h>
#include <string.h>

int rank_of(const struct args *args, int *ret, struct error *err)
{
    const char *text = args_get(args, "rank");
    long long rank = 0;

    *ret = -1;
    if (!text)
        return 0;
    if (str_to_i64(text, 0, RANK_MAX, &rank) < 0)
        return error_set(err, -EINVAL, "--rank %.40s: not a number of 0 to %d", text, RANK_MAX);
    *ret = (int) rank;
    return 0;
}

int rank_add(const struct args *args, char **target, struct error *err)
{
    int rank;

    int r = rank_of(args, &rank, err);
    if (r < 0 || rank < 0)
        return r;
    char *with = xasprintf("%s%srank=%d", *target, strchr(*target, '?') ? "&" : "?", rank);
    free(*target);
    *target = with;
    return 0;
}

int ranks_add(const struct args *args, char **target, struct error *err)
{
    if (!str_equal(args_get(args, "rank"), "all"))
        return rank_add(args, target, err);
    char *with = xasprintf("%s%smerged=true", *target, strchr(*target, '?') ? "&" : "?");
    free(*target);
    *target = with;
    return 0;
}
