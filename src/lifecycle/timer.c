/* timer.c - a heap of what is due; who added an entry says when it no longer matters */
#include "lifecycle/internal.h"

static void swap(struct timer *a, struct timer *b)
{
    struct timer t = *a;
    *a = *b;
    *b = t;
}

void timer_add(struct lifecycle *lc, const struct timer *timer)
{
    size_t i = lc->timers.len;

    vec_push(&lc->timers, *timer);
    for (struct timer *items = lc->timers.items;
         i > 0 && items[i].due_us < items[(i - 1) / 2].due_us; i = (i - 1) / 2)
        swap(&items[i], &items[(i - 1) / 2]);
    if (i == 0)
        lc_wake(lc);
}

bool timer_take(struct lifecycle *lc, int64_t boot_us, struct timer *ret)
{
    struct timer *items = lc->timers.items;

    if (lc->timers.len == 0 || items[0].due_us > boot_us)
        return false;
    *ret = items[0];
    size_t n = --lc->timers.len;
    items[0] = items[n];
    for (size_t i = 0;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < n; child++)
            if (items[child].due_us < items[least].due_us)
                least = child;
        if (least == i)
            return true;
        swap(&items[i], &items[least]);
        i = least;
    }
}
