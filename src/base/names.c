/* names.c - lists of names in few words */
#include "base/names.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Numbers of more digits are no numbers. */
enum { DIGITS_MAX = 18, RUN_MIN = 3 };

/* A name as what is before its last number, that number, and what is after it. */
struct part {
    const char *name, *after;
    size_t before; /* bytes */
    int digits;    /* 0: there is no number */
    long long number;
};

static struct part split(const char *name)
{
    size_t end = strlen(name);

    while (end > 0 && !isdigit((unsigned char) name[end - 1]))
        end--;
    size_t start = end;
    while (start > 0 && isdigit((unsigned char) name[start - 1]))
        start--;
    if (end == start || end - start > DIGITS_MAX)
        return (struct part){ .name = name };
    return (struct part){ .name = name,
                          .after = name + end,
                          .before = start,
                          .digits = (int) (end - start),
                          .number = strtoll(name + start, NULL, 10) };
}

/* Is B what counting on from A gives? With leading zeros numbers keep their width. */
static bool follows(const struct part *a, const struct part *b)
{
    if (a->digits == 0 || b->digits == 0 || b->number != a->number + 1 || a->before != b->before ||
        memcmp(a->name, b->name, a->before) != 0 || !str_equal(a->after, b->after))
        return false;
    bool is_padded = a->name[a->before] == '0' || b->name[b->before] == '0';
    return a->digits == b->digits || !is_padded;
}

/* How many of N names, from the first on, count up; *RET_LAST: the last of them. */
static size_t run_of(const char *const *names, size_t n, const struct part *first,
                     struct part *ret_last)
{
    struct part last = *first;
    size_t len;

    for (len = 1; len < n; len++) {
        struct part next = split(names[len]);
        if (!follows(&last, &next))
            break;
        last = next;
    }
    *ret_last = last;
    return len;
}

void names_add(struct text *out, const char *const *names, size_t n)
{
    struct part first, last;
    size_t len;

    for (size_t i = 0; i < n; i += len) {
        first = split(names[i]);
        len = run_of(names + i, n - i, &first, &last);
        text_add(out, i ? ", " : "");
        if (len < RUN_MIN) {
            len = 1;
            text_add(out, names[i]);
        } else {
            text_addf(out, "%.*s[%.*s-%.*s]%s", (int) first.before, first.name, first.digits,
                      first.name + first.before, last.digits, last.name + last.before, first.after);
        }
    }
}
