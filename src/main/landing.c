/* landing.c - see landing.h */
#include "main/landing.h"

#include "base/alloc.h"
#include "os/fd.h"
#include "storage/storage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { MANIFEST_MAX = 256 << 20, NAME_LEN = 64 };

struct run {
    struct lander lander;
    struct landing landing; /* with tasks of its own */
    size_t next;
    struct watch *watch;
    int socket, said; /* the keeper's answer, and what it wants to be said; -1: none */
    struct sha256 changes;
    int r;
    struct error err, failed; /* FAILED: the first */
};

static void step(struct run *run);

static void run_free(struct run *run)
{
    watch_free(run->watch);
    safe_close(run->socket);
    safe_close(run->said);
    free(run->landing.tasks);
    free(run);
}

/* What one task brought is no reason to leave out another's. */
static void note(struct run *run)
{
    if (run->r < 0 && !run->failed.code) {
        run->failed = run->err;
        run->failed.code = run->r;
    }
}

/* ---- its log ------------------------------------------------------------------------------------------- */

static void say_work(void *item)
{
    struct run *run = item;
    char id[ID_TEXT_LEN + 1], bytes[4096];
    _cleanup_free_ char *path = xasprintf("%s/attempts/%s/log", run->lander.state,
                                          id_format(&run->landing.tasks[run->next - 1].task, id));
    _cleanup_close_ int fd =
        open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640);
    ssize_t n;

    while (fd >= 0 && (n = read(run->said, bytes, sizeof bytes)) > 0)
        if (write_full(fd, bytes, (size_t) n) < 0)
            break;
}

static void said(void *item)
{
    struct run *run = item;

    run->said = safe_close(run->said);
    step(run);
}

/* ---- the keeper ---------------------------------------------------------------------------------------- */

static void on_answer(void *userdata, uint32_t events)
{
    struct run *run = userdata;

    (void) events;
    watch_free(run->watch);
    run->watch = NULL;
    run->r = keeper_answer(run->socket, &run->said, NULL, &run->err);
    run->socket = safe_close(run->socket);
    note(run);
    if (run->said >= 0)
        pool_submit(run->lander.pool, say_work, said, run);
    else
        step(run);
}

/* "01a1fc6d", of a gang "01a1fc6d-3". */
static void name_of(const struct landing *landing, unsigned rank, char ret[static NAME_LEN])
{
    char id[ID_TEXT_LEN + 1];

    id_format(&landing->workload, id);
    if (landing->is_gang)
        (void) snprintf(ret, NAME_LEN, "%.8s-%u", id, rank);
    else
        (void) snprintf(ret, NAME_LEN, "%.8s", id);
}

static void ask(struct run *run)
{
    const struct keeper_project project = { run->landing.project, run->landing.uid_base };
    char name[NAME_LEN];

    name_of(&run->landing, run->landing.tasks[run->next - 1].rank, name);
    run->socket = keeper_ask_land(run->lander.keeper, &project, name, &run->changes, &run->err);
    if (run->socket < 0) {
        run->r = run->socket;
        note(run);
        step(run);
        return;
    }
    run->watch = loop_watch(run->lander.loop, run->socket, EPOLLIN, on_answer, run);
}

/* ---- the list of changes -------------------------------------------------------------------------------- */

static void find_work(void *item)
{
    struct run *run = item;
    const struct sha256 *sum = &run->landing.tasks[run->next - 1].manifest;
    _cleanup_(manifest_freep) struct manifest *manifest = NULL;
    _cleanup_text_ struct text text = { 0 };

    run->err = (struct error){ 0 };
    run->r = blob_read(run->lander.blobs, sum, MANIFEST_MAX, &text, &run->err);
    if (run->r >= 0)
        run->r = manifest_parse(text_str(&text), text.len, &manifest, &run->err);
    const struct manifest_entry *e = manifest ? manifest_find(manifest, "changes") : NULL;
    if (run->r >= 0 && !e)
        run->r = error_set(&run->err, -EBADMSG, "they have no list");
    if (e)
        run->changes = e->sum;
}

static void found(void *item)
{
    struct run *run = item;

    note(run);
    if (run->r < 0)
        step(run);
    else
        ask(run);
}

static void step(struct run *run)
{
    if (run->next < run->landing.n) {
        run->next++;
        pool_submit(run->lander.pool, find_work, found, run);
        return;
    }
    const struct landing landing = run->landing;
    struct lifecycle *lifecycle = run->lander.lifecycle;
    const struct error failed = run->failed;
    run_free(run);
    lifecycle_landed(lifecycle, &landing.workload, landing.epoch, failed.code ? failed.text : NULL);
}

void landing_run(const struct lander *lander, const struct landing *landing)
{
    struct run *run = xnew(struct run);

    run->lander = *lander;
    run->landing = *landing;
    run->landing.tasks = xmemdup(landing->tasks, landing->n * sizeof *landing->tasks);
    run->socket = run->said = -1;
    step(run);
}
