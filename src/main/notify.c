/* notify.c - one datagram; the protocol is stable and too small for a library */
#include "main/notify.h"

#include "base/alloc.h"
#include "base/text.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

char *notify_take(void)
{
    const char *name = getenv("NOTIFY_SOCKET");
    char *copy = name && name[0] ? xstrdup(name) : NULL;

    (void) unsetenv("NOTIFY_SOCKET");
    return copy;
}

int notify_manager(const char *socket_name, const char *state)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    if (!socket_name)
        return 0;
    size_t len = strlen(socket_name);
    if ((socket_name[0] != '/' && socket_name[0] != '@') || len >= sizeof address.sun_path)
        return -EINVAL;
    memcpy(address.sun_path, socket_name, len);
    if (socket_name[0] == '@') /* a name in the kernel's own space */
        address.sun_path[0] = '\0';

    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    socklen_t size = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + len);
    int r = sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *) &address, size) < 0
                ? -errno
                : 1;
    close(fd);
    return r;
}
