/* shares.c - the file of shares */
#include "main/shares.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/text.h"
#include "base/time.h"
#include "os/fd.h"
#include "os/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES_MAX = 16 << 20 };

#define EVERY_US (60 * US_PER_S)

struct shares {
    struct pool *pool;
    struct lifecycle *lifecycle;
    struct watch *timer;
    char *path;
    struct had_list
        writing; /* the pool's, while it IS_WRITING; AT_US 0: nothing was looked at yet */
    bool is_writing;
    struct error err; /* of the writing */
};

static void replace(struct shares *s)
{
    _cleanup_json_ json_t *json = had_list_to_json(&s->writing);
    _cleanup_free_ char *text = json_text(json);

    s->err = (struct error){ 0 };
    (void) file_replace(AT_FDCWD, s->path, 0600, text, strlen(text), false, &s->err);
}

static void look(struct shares *s)
{
    vec_done(&s->writing.list);
    lifecycle_shares(s->lifecycle, &s->writing);
}

static void write_out(void *item) { replace(item); }

static void written(void *item)
{
    struct shares *s = item;

    s->is_writing = false;
    if (s->err.text[0])
        log_warn("what orgs have had is not kept", "why", s->err.text);
}

static void on_time(void *userdata)
{
    struct shares *s = userdata;

    timer_set(s->timer, EVERY_US);
    if (s->is_writing)
        return;
    look(s);
    s->is_writing = true;
    pool_submit(s->pool, write_out, written, s);
}

static void recall(struct shares *s)
{
    _cleanup_(text_done) struct text text = { 0 };
    _cleanup_json_ json_t *json = NULL;
    struct error err = { 0 };

    int r = file_read(AT_FDCWD, s->path, BYTES_MAX, &text, &err);
    if (r == -ENOENT)
        return;
    if (r >= 0)
        r = json_parse(text.data, text.len, &json, &err);
    if (r >= 0)
        r = lifecycle_recall_shares(s->lifecycle, json, &err);
    if (r < 0)
        log_warn("what orgs have had is not known any more", "file", s->path, "why", err.text);
}

struct shares *shares_open(struct loop *loop, struct pool *pool, struct lifecycle *lifecycle,
                           const char *directory)
{
    struct shares *s = xnew(struct shares);

    s->pool = pool;
    s->lifecycle = lifecycle;
    s->path = xasprintf("%s/shares.json", directory);
    recall(s);
    s->timer = loop_timer(loop, EVERY_US, on_time, s);
    return s;
}

void shares_leave(struct shares *s)
{
    if (!s)
        return;
    watch_free(s->timer);
    s->timer = NULL;
    /* What the pool writes now is hardly older. */
    if (!s->is_writing)
        look(s);
}

void shares_close(struct shares *s)
{
    if (!s)
        return;
    if (s->writing.at_us)
        replace(s);
    vec_done(&s->writing.list);
    free(s->path);
    free(s);
}
