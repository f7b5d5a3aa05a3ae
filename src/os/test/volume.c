#include "os/volume.h"

#include "base/alloc.h"
#include "os/fd.h"
#include "tests/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static char *dir;

static char *below(const char *name)
{
    char *path = xasprintf("%s/%s", dir, name);

    ok(mkdir_all(AT_FDCWD, path, 0755, NULL) == 0);
    return path;
}

TEST(a_mount_is_known_again)
{
    char mark[VOLUME_MARK_LEN + 1], again[VOLUME_MARK_LEN + 1];
    struct error err = { 0 };

    ok(mkdir_temporary("/tmp", "berth-volume", &dir, NULL) == 0);
    _cleanup_free_ char *mount = below("mount"), *empty = below("empty"), *other = below("other"),
                        *state = below("state"), *state2 = below("state2");

    ok(volume_declare(mount, state, getuid(), mark, &err) == 0);
    ok(strlen(mark) == VOLUME_MARK_LEN);
    ok(volume_declare(mount, state, getuid(), again, &err) == 0);
    is_str(again, mark);
    ok(volume_declare(mount, state2, getuid(), again, &err) == 0); /* another server's */
    is_str(again, mark);

    /* Not mounted; another one is. */
    ok(volume_declare(empty, state, getuid(), again, &err) == -ESTALE);
    ok(strstr(err.text, "is it mounted?") != NULL);
    _cleanup_free_ char *fresh = below("fresh");
    ok(volume_declare(other, fresh, getuid(), again, &err) == 0);
    ok(volume_declare(other, state, getuid(), again, &err) == -ESTALE);
    ok(strstr(err.text, "not the one that it was") != NULL);

    _cleanup_close_ int at = open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int nowhere = open(empty, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ok(volume_check(at, mount, mark, &err) == 0);
    ok(volume_check(at, mount, "00", &err) == -ESTALE);
    ok(volume_check(nowhere, empty, mark, &err) == -ESTALE);
    ok(remove_tree(AT_FDCWD, dir, NULL) == 0);
    free(dir);
}

TEST(speed_is_measured_and_nothing_stays)
{
    struct volume_speed speed = { 0 };

    ok(mkdir_temporary("/tmp", "berth-volume", &dir, NULL) == 0);
    _cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ok(volume_measure(fd, 2 << 20, &speed, NULL) == 0);
    ok(speed.read_bps > 0 && speed.write_bps > 0);
    ok(rmdir(dir) == 0);
    free(dir);
}

TAP_MAIN
