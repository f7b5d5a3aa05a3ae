/* The service manager's side: a datagram socket that the environment names. */
#include "main/notify.h"
#include "tests/tap.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* What notify_manager() returns while somebody listens at PATH, and what arrives there. */
static int send_and_receive(const char *path, const char *state, char got[static 64])
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    size_t len = strlen(path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    memset(got, 0, 64);
    memcpy(address.sun_path, path, len);
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    socklen_t size = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + len);
    int r = bind(fd, (struct sockaddr *) &address, size) < 0 ? -errno : 0;
    if (r == 0) {
        r = notify_manager(path, state);
        (void) recv(fd, got, 63, 0);
    }
    close(fd);
    return r;
}

TEST(nobody_waits_for_a_word)
{
    (void) unsetenv("NOTIFY_SOCKET");
    ok(notify_take() == NULL);
    ok(notify_manager(NULL, "READY=1") == 0);
}

TEST(the_word_arrives_at_a_path_and_at_an_abstract_name)
{
    char path[64], name[64], got[64];

    (void) snprintf(path, sizeof path, "/tmp/berth-notify-%d", (int) getpid());
    ok(send_and_receive(path, "READY=1", got) == 1);
    is_str(got, "READY=1");
    (void) unlink(path);
    ok(notify_manager(path, "READY=1") < 0);

    (void) snprintf(name, sizeof name, "@berth-notify-%d", (int) getpid());
    ok(send_and_receive(name, "STOPPING=1", got) == 1);
    is_str(got, "STOPPING=1");
}

TEST(children_do_not_inherit_the_socket)
{
    (void) setenv("NOTIFY_SOCKET", "/run/systemd/notify", 1);
    _cleanup_free_ char *name = notify_take();
    is_str(name ? name : "", "/run/systemd/notify");
    ok(getenv("NOTIFY_SOCKET") == NULL);
}

TEST(what_is_no_address_is_refused) { ok(notify_manager("relative", "READY=1") == -EINVAL); }

TAP_MAIN
