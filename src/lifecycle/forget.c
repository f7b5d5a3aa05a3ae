/* forget.c - what deleted jobs leave on the disk is removed, in pages
 *
 * The commit that deletes a job writes down what is left of it; only then the engine is asked to remove
 * it, and its word takes it off the list. What could not be removed, or was on its way when the server
 * ended, is asked for again with the next deletion and at the next start.
 */
#include "lifecycle/internal.h"

enum { PAGE = 200 };

struct forgetting {
    struct lifecycle *lc; /* NULL: freed meanwhile */
    bool in_store;        /* the store owes an answer */
    bool again;           /* something was deleted meanwhile */
    bool is_full;         /* there may be another page */
    size_t waiting;       /* for the engine's word */
    struct leftover last;
    struct store_batch *done;
};

static void next_page(struct forgetting *f, const struct leftover *after);

static void forgetting_free(struct forgetting *f)
{
    if (f->lc)
        f->lc->forgetting = NULL;
    store_batch_free(f->done);
    free(f);
}

static void page_done(void *userdata, struct event *const *events, size_t n)
{
    struct forgetting *f = userdata;

    f->in_store = false;
    if (f->lc && f->is_full) {
        next_page(f, &f->last);
    } else if (f->lc && f->again) {
        f->again = false;
        next_page(f, NULL);
    } else {
        forgetting_free(f);
    }
}

static void settle(struct forgetting *f)
{
    if (--f->waiting > 0)
        return;
    f->in_store = true;
    store_commit(f->lc->store, take_ptr(f->done), page_done, f);
}

void forget_deleted(struct lifecycle *lc, const struct leftover *leftover, int r)
{
    struct forgetting *f = lc->forgetting;

    if (!f || !f->waiting)
        return;
    if (r >= 0)
        store_delete_leftover(f->done, leftover);
    settle(f);
}

static void on_page(void *userdata, int r, const struct leftover *items, size_t n,
                    const struct error *err)
{
    struct forgetting *f = userdata;

    f->in_store = false;
    if (!f->lc || r < 0) {
        forgetting_free(f);
        return;
    }
    f->is_full = n == PAGE;
    f->done = store_batch_new();
    f->waiting = n + 1; /* one for this function: the engine may answer at once */
    for (size_t i = 0; i < n; i++) {
        f->last = items[i];
        f->lc->engine->ops->delete (f->lc->engine, &items[i]);
    }
    settle(f);
}

static void next_page(struct forgetting *f, const struct leftover *after)
{
    f->in_store = true;
    store_list_leftovers(f->lc->store, after, PAGE, on_page, f);
}

void forget(struct lifecycle *lc)
{
    if (lc->forgetting) {
        lc->forgetting->again = true;
        return;
    }
    lc->forgetting = xnew(struct forgetting);
    lc->forgetting->lc = lc;
    next_page(lc->forgetting, NULL);
}

void forget_orphan(struct lifecycle *lc)
{
    struct forgetting *f = lc->forgetting;

    if (!f)
        return;
    lc->forgetting = NULL;
    f->lc = NULL;
    if (!f->in_store)
        forgetting_free(f);
}
