/* gang.c - a task of several: all is made, then it waits until its peers are as far */
#include "executor/gang-view.h"
#include "executor/internal.h"

#include "agent/agent.h"
#include "base/alloc.h"
#include "os/fd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>

#define PEERS_MAX_BYTES (4 << 20)

static int write_ready(struct supervisor *s, struct error *err)
{
    char *address = s->launch->net.address;
    char loopback[] = "127.0.0.1";
    struct task_ready ready = {
        .epoch = s->spec->epoch,
        .address = *address ? address : loopback,
    };
    _cleanup_json_ json_t *json = task_ready_to_json(&ready);
    _cleanup_free_ char *text = json_text(json);

    return file_replace(s->dir, "ready", 0644, text, strlen(text), false, err);
}

/* Where the supervisor is in the network of the task itself. */
static char *interface_of(const char *address)
{
    char text[INET6_ADDRSTRLEN];
    struct ifaddrs *all = NULL;
    char *found = NULL;

    if (getifaddrs(&all) < 0)
        return xstrdup("lo");
    for (const struct ifaddrs *it = all; it && !found; it = it->ifa_next) {
        const struct sockaddr *a = it->ifa_addr;
        const void *bytes = NULL;
        if (a && a->sa_family == AF_INET)
            bytes = &((const struct sockaddr_in *) (const void *) a)->sin_addr;
        else if (a && a->sa_family == AF_INET6)
            bytes = &((const struct sockaddr_in6 *) (const void *) a)->sin6_addr;
        if (bytes && inet_ntop(a->sa_family, bytes, text, sizeof text) && str_equal(text, address))
            found = xstrdup(it->ifa_name);
    }
    freeifaddrs(all);
    return found ? found : xstrdup("lo");
}

/* To what the container knows of names; the directory is of the task's own layer, above any image. */
static int add_hosts(const struct supervisor *s, const char *lines, struct error *err)
{
    _cleanup_free_ char *rootfs = xasprintf("%s/rootfs", s->x->bundle);
    _cleanup_close_ int root = open(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int fd =
        root < 0 ? -1 : open_beneath_nosymlink(root, "etc/hosts", O_WRONLY | O_APPEND, 0);
    int r = fd < 0 ? fd : write_full(fd, lines, strlen(lines));

    return r < 0 ? error_set(err, r, "/etc/hosts: %s", strerror(-r)) : 0;
}

/* Below BUNDLE/gang, which is in memory. */
static int put_file(int dir, const char *name, uid_t owner, mode_t mode, const char *content,
                    struct error *err)
{
    _cleanup_close_ int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    int r =
        fd < 0 || fchown(fd, owner, owner) < 0 ? -errno : write_full(fd, content, strlen(content));

    return r < 0 ? error_set(err, r, "%s/%s: %s", AGENT_DIR, name, strerror(-r)) : 0;
}

static int put_files(struct supervisor *s, const struct gang_view *view, struct error *err)
{
    uid_t base = s->spec->uid_base;
    _cleanup_free_ char *path = xasprintf("%s/gang", s->x->bundle);
    _cleanup_free_ char *hosts = gang_hosts(view);
    _cleanup_free_ char *hostfile = gang_hostfile(view);
    _cleanup_free_ char *peers = json_text(s->peers);
    _cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    int r = dir < 0 ? error_set(err, -errno, "%s: %s", path, strerror(errno)) : 0;
    if (r >= 0)
        r = add_hosts(s, hosts, err);
    if (r >= 0)
        r = put_file(dir, GANG_HOSTFILE_NAME, base, 0644, hostfile, err);
    if (r >= 0)
        r = put_file(dir, GANG_PEERS_NAME, base, 0644, peers, err);
    if (r < 0 || !s->spec->workload_spec->mpi)
        return r;
    _cleanup_free_ char *settings =
        xasprintf("%u %s\n", s->spec->gang->master_port, s->gang_secret ? s->gang_secret : "");
    r = put_file(dir, AGENT_SETTINGS_NAME, base + s->user.uid, 0600, settings, err);
    explicit_bzero(settings, strlen(settings));
    return r;
}

/* What the list of peers means for the container. */
static int take_in(struct supervisor *s, struct error *err)
{
    static const char *const agent[] = { AGENT_PROGRAM, "serve", NULL };
    const char *own = s->launch->net.interface;
    struct gang_view view;
    _cleanup_free_ char *interface =
        *own ? xstrdup(own)
             : interface_of(
                   json_get_str(json_array_get(s->peers, s->spec->gang->rank), "address", ""));

    int r = gang_view_init(&view, s->spec, s->peers, interface, err);
    if (r < 0)
        return r;
    r = put_files(s, &view, err);
    if (r >= 0)
        s->gang_env = gang_variables(&view);
    if (r >= 0 && s->spec->workload_spec->mpi && s->spec->gang->rank > 0)
        s->command = agent;
    gang_view_done(&view);
    return r;
}

static int read_peers(struct supervisor *s, struct error *err)
{
    _cleanup_text_ struct text text = { 0 };

    int r = file_read(s->dir, "peers", PEERS_MAX_BYTES, &text, err);
    if (r >= 0)
        r = json_parse(text_str(&text), text.len, &s->peers, err);
    if (r < 0)
        return error_context(err, r, "peers");
    return take_in(s, err);
}

int gang_await_go(struct supervisor *s, struct error *err)
{
    int r = write_ready(s, err);
    if (r < 0)
        return r;
    control_send(s->control, "ready");
    control_run_until_go(s->control);
    if (s->cause != END_NONE)
        return error_set(err, -ECANCELED, "it was stopped before it began");
    return read_peers(s, err);
}
