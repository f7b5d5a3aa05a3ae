/* follow.c - streams that wait for events, and for files to grow */
#include "api/internal.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>

void follower_add(struct api *api, struct follower *follower)
{
    follower->next = api->followers;
    follower->link = &api->followers;
    if (follower->next)
        follower->next->link = &follower->next;
    api->followers = follower;
}

void follower_remove(struct follower *follower)
{
    if (!follower->link)
        return;
    *follower->link = follower->next;
    if (follower->next)
        follower->next->link = follower->link;
    follower->link = NULL;
}

void followers_event(struct api *api, const struct event *event)
{
    for (struct follower *f = api->followers, *next; f; f = next) {
        next = f->next;
        if (id_equal(&f->project, &event->project) &&
            (id_is_none(&f->job) || id_equal(&f->job, &event->subject)))
            f->wake(f);
    }
}

/* ---- files ----
 *
 * One inotify descriptor for all, because a user may have 128 only. The kernel gives the same number
 * to all watches of one file: it is removed with the last of them.
 */

struct file_watch {
    struct file_watch *next; /* of the same file */
    struct file_watches *all;
    int number;
    void (*grew)(void *userdata);
    void *userdata;
};

struct file_watches {
    int fd;
    struct watch *watch;
    struct map *files; /* the kernel's number to the first watch of that file */
};

static void notify(struct file_watches *all, int number)
{
    for (struct file_watch *w = map_get(all->files, &number, sizeof number), *next; w; w = next) {
        next = w->next;
        w->grew(w->userdata);
    }
}

static void readable(void *userdata, uint32_t events)
{
    struct file_watches *all = userdata;
    _Alignas(struct inotify_event) char buf[4096];
    ssize_t n = read(all->fd, buf, sizeof buf);

    for (ssize_t at = 0; at < n;) {
        struct inotify_event event;
        memcpy(&event, buf + at, sizeof event);
        notify(all, event.wd);
        at += (ssize_t) (sizeof event + event.len);
    }
}

int file_watches_new(struct loop *loop, struct file_watches **ret, struct error *err)
{
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fd < 0)
        return error_set(err, -errno, "inotify: %s (fs.inotify.max_user_instances)",
                         strerror(errno));

    struct file_watches *all = xnew(struct file_watches);
    *all = (struct file_watches){ .fd = fd,
                                  .watch = loop_watch(loop, fd, EPOLLIN, readable, all),
                                  .files = map_new() };
    *ret = all;
    return 0;
}

void file_watches_free(struct file_watches *all)
{
    if (!all)
        return;
    watch_free(all->watch);
    close(all->fd);
    map_free(all->files);
    free(all);
}

struct file_watch *file_watch_add(struct file_watches *all, const char *path,
                                  void (*grew)(void *userdata), void *userdata)
{
    int number = inotify_add_watch(all->fd, path, IN_MODIFY);
    if (number < 0)
        return NULL;

    struct file_watch *w = xnew(struct file_watch);
    *w = (struct file_watch){ .all = all, .number = number, .grew = grew, .userdata = userdata };
    w->next = map_set(all->files, &number, sizeof number, w);
    return w;
}

void file_watch_free(struct file_watch *w)
{
    if (!w)
        return;
    struct map *files = w->all->files;
    struct file_watch *first = map_get(files, &w->number, sizeof w->number), *before = first;

    if (first != w) {
        while (before->next != w)
            before = before->next;
        before->next = w->next;
    } else if (w->next) {
        (void) map_set(files, &w->number, sizeof w->number, w->next);
    } else {
        (void) map_remove(files, &w->number, sizeof w->number);
        (void) inotify_rm_watch(w->all->fd, w->number);
    }
    free(w);
}
