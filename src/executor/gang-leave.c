/* gang-leave.c - the tasks of a machine share /artifacts: the last of them to end collects it
 *
 * What each has done is a file in its own directory, and a lock lets one look at a time: of two that end
 * at once the second sees that the first has left.
 */
#include "executor/internal.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

/* The directory of a peer, -1: it is not on this machine. */
static int open_peer(const struct supervisor *s, const json_t *peer)
{
    const char *task = json_get_str(peer, "task", "");
    struct id id;

    if (id_parse(task, &id) < 0)
        return -ENOENT;
    return open_beneath_nosymlink(s->x->attempts_fd, task, O_RDONLY | O_DIRECTORY, 0);
}

/* It has left, or died before it could. */
static bool has_left(int dir)
{
    if (faccessat(dir, "left", F_OK, 0) == 0 || faccessat(dir, "exit.json", F_OK, 0) == 0)
        return true;
    _cleanup_close_ int lock = openat(dir, "lock", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    return lock < 0 || flock(lock, LOCK_SH | LOCK_NB) == 0;
}

static bool others_have_left(const struct supervisor *s)
{
    const json_t *peer;
    size_t i;

    json_array_foreach(s->peers, i, peer) {
        if (str_equal(json_get_str(peer, "task", ""), s->name))
            continue;
        _cleanup_close_ int dir = open_peer(s, peer);
        if (dir >= 0 && !has_left(dir))
            return false;
    }
    return true;
}

/* A file that the tasks of this machine agree on: in the directory of the first of them. */
static int take_turn(const struct supervisor *s)
{
    const json_t *peer;
    size_t i;

    json_array_foreach(s->peers, i, peer) {
        _cleanup_close_ int dir = open_peer(s, peer);
        if (dir < 0)
            continue;
        int fd = openat(dir, "gang.lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd >= 0)
            (void) flock(fd, LOCK_EX);
        return fd;
    }
    return -1;
}

bool gang_leave(struct supervisor *s)
{
    if (!s->spec || !s->spec->gang)
        return true;
    if (!s->peers) /* nothing has run */
        return false;
    _cleanup_close_ int turn = take_turn(s);
    _cleanup_close_ int left = openat(s->dir, "left", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    return turn >= 0 && left >= 0 && others_have_left(s);
}
