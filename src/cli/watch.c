/* watch.c - a directory that is packed again when it changes
 *
 * Every pack passes all directories and sets a watch on each before it reads it (on one that is watched
 * already that changes nothing), so no change falls between. What changed is found by comparing: an
 * event only says when to look.
 */
#include "cli/watch.h"

#include "base/alloc.h"
#include "os/clock.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define QUIET_US   60000   /* editors write in several steps */
#define PATIENT_US 1000000 /* but not for ever */
#define AGAIN_US   300000

#define CHANGES                                                                                    \
    (IN_CLOSE_WRITE | IN_MODIFY | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |            \
     IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK)

struct watched {
    char *directory;
    struct loop *loop;
    int fd;
    struct watch *events, *timer;
    struct pack_cache *cache;
    int64_t changed_us;
    void (*changed)(void *userdata);
    void *userdata;
};

static void on_quiet(void *userdata)
{
    struct watched *w = userdata;

    w->changed(w->userdata);
}

static void on_events(void *userdata, uint32_t events)
{
    struct watched *w = userdata;
    char bytes[8192] __attribute__((aligned(__alignof__(struct inotify_event))));

    (void) events;
    while (read(w->fd, bytes, sizeof bytes) > 0)
        ;
    int64_t now = clock_boot_us();
    if (!w->changed_us)
        w->changed_us = now;
    int64_t left = w->changed_us + PATIENT_US - now;
    timer_set(w->timer, left < 0 ? 0 : left < QUIET_US ? left : QUIET_US);
}

int watched_open(struct loop *loop, const char *directory, void (*changed)(void *userdata),
                 void *userdata, struct watched **ret, struct error *err)
{
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

    if (fd < 0)
        return error_set(err, -errno, "watching %.200s: %s", directory,
                         errno == EMFILE ? "too many programs watch files (sysctl "
                                           "fs.inotify.max_user_instances)"
                                         : strerror(errno));
    struct watched *w = xnew(struct watched);
    *w = (struct watched){ .directory = xstrdup(directory),
                           .loop = loop,
                           .fd = fd,
                           .cache = pack_cache_new(),
                           .changed = changed,
                           .userdata = userdata };
    w->events = loop_watch(loop, fd, EPOLLIN, on_events, w);
    w->timer = loop_timer(loop, 0, on_quiet, w);
    timer_clear(w->timer);
    *ret = w;
    return 0;
}

void watched_free(struct watched *w)
{
    if (!w)
        return;
    watch_free(w->events);
    watch_free(w->timer);
    safe_close(w->fd);
    pack_cache_free(w->cache);
    free(w->directory);
    free(w);
}

static int watch_directory(void *userdata, const char *path, int dirfd, struct error *err)
{
    const struct watched *w = userdata;
    char link[40];

    (void) snprintf(link, sizeof link, "/proc/self/fd/%d", dirfd);
    if (inotify_add_watch(w->fd, link, CHANGES) >= 0)
        return 0;
    return error_set(err, -errno, "watching %.200s/%.200s: %s", w->directory, path,
                     errno == ENOSPC ? "there are more directories than the machine watches: leave "
                                       "some out (.berthignore), or raise sysctl "
                                       "fs.inotify.max_user_watches"
                                     : strerror(errno));
}

int watched_pack(struct watched *w, struct pack *ret, struct error *err)
{
    const struct pack_again again = { .cache = w->cache,
                                      .directory = watch_directory,
                                      .userdata = w };

    w->changed_us = 0;
    timer_clear(w->timer);
    return pack_directory_again(w->directory, &again, ret, err);
}

int64_t watched_changed_us(const struct watched *w) { return w->changed_us; }

void watched_look_again(struct watched *w) { timer_set(w->timer, AGAIN_US); }

/* ---- what has changed ---------------------------------------------------------------------------- */

struct changes {
    struct text *out;
    unsigned n, max;
};

static void add_change(struct changes *c, const char *sign, const char *path)
{
    if (c->n++ >= c->max)
        return;
    text_addf(c->out, "%s%s", c->out->len ? ", " : "", sign);
    text_add_clean(c->out, path);
}

static bool is_same(const struct manifest_entry *a, const struct manifest_entry *b)
{
    return sha256_equal(&a->sum, &b->sum) && a->executable == b->executable &&
           str_equal(a->link, b->link);
}

/* Both are sorted. */
void manifest_add_changes(struct text *out, const struct manifest *before,
                          const struct manifest *now, unsigned max)
{
    struct changes c = { .out = out, .max = max };
    size_t i = 0, k = 0;

    while (i < before->n && k < now->n) {
        const struct manifest_entry *a = &before->entries[i], *b = &now->entries[k];
        int order = strcmp(a->path, b->path);
        if (order < 0)
            add_change(&c, "- ", a->path);
        else if (order > 0)
            add_change(&c, "+ ", b->path);
        else if (!is_same(a, b))
            add_change(&c, "", b->path);
        i += order <= 0;
        k += order >= 0;
    }
    while (i < before->n)
        add_change(&c, "- ", before->entries[i++].path);
    while (k < now->n)
        add_change(&c, "+ ", now->entries[k++].path);
    if (c.n > c.max)
        text_addf(out, " and %u more", c.n - c.max);
}
