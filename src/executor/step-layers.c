/* step-layers.c - layers of images for a task in a step: by the node's launcher, or by a keeper of its own */
#include "executor/executor.h"

#include "base/alloc.h"
#include "os/fd.h"
#include "os/packet.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

struct step_layers {
    char *launcher; /* its socket; NULL: there is none for this account */
    int keeper; /* of its own; or the connection to the launcher that a request is under way on; -1 */
    pid_t pid;
    struct step_kept kept;
};

int step_layers_open(const char *launcher, const char *spool, const struct step_kept *kept,
                     struct step_layers **ret, struct error *err)
{
    _cleanup_(step_layers_freep) struct step_layers *l = xnew(struct step_layers);

    *l = (struct step_layers){ .launcher = xstrdup(launcher), .keeper = -1, .kept = *kept };
    int r = launcher ? 0 : layers_start(spool, true, &l->keeper, &l->pid, err);
    if (r >= 0 && !launcher)
        r = set_nonblock(l->keeper, false);
    if (r < 0)
        return r;
    *ret = take_ptr(l);
    return 0;
}

void step_layers_free(struct step_layers *l)
{
    if (!l)
        return;
    safe_close(l->keeper);
    if (l->pid > 0)
        while (waitpid(l->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    free(l->launcher);
    free(l);
}

static int ask(struct step_layers *l, const struct layers_request *request, const int *fds,
               struct error *err)
{
    int r = 0;

    if (l->launcher)
        r = l->keeper = step_connect(l->launcher, NULL, err);
    if (r < 0)
        return r;
    if (fds)
        r = packet_send(l->keeper, request, sizeof *request, fds, LAYERS_FDS);
    else if (send(l->keeper, request, sizeof *request, MSG_NOSIGNAL) < 0)
        r = -errno;
    return r < 0 ? error_set(err, r, "asking who keeps layers: %s", strerror(-r)) : 0;
}

static int hear(struct step_layers *l, struct error *err)
{
    struct layers_answer answer = { 0 };
    ssize_t n;

    do
        n = recv(l->keeper, &answer, sizeof answer, 0);
    while (n < 0 && errno == EINTR);
    if (l->launcher)
        l->keeper = safe_close(l->keeper);
    if (n != sizeof answer)
        return error_set(err, -EIO, "who keeps layers does not answer");
    answer.text[sizeof answer.text - 1] = '\0';
    return answer.code < 0 ? error_set(err, answer.code, "%s", answer.text) : 0;
}

int step_layers_has(void *layers, const struct sha256 *layer, struct error *err)
{
    const struct layers_request request = { .op = LAYERS_LOOK, .layer = *layer };
    int r = ask(layers, &request, NULL, err);

    if (r >= 0)
        r = hear(layers, err);
    return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

int step_layers_begin(void *layers, const struct layers_request *request,
                      const int fds[static LAYERS_FDS], struct error *err)
{
    return ask(layers, request, fds, err);
}

int step_layers_end(void *layers, struct error *err) { return hear(layers, err); }

int step_layers_shed(void *layers, bool hard, struct error *err)
{
    struct step_layers *l = layers;
    /* The launcher has a limit of its own. */
    const struct layers_request request = { .op = LAYERS_SHED,
                                            .bytes_max = hard ? 0
                                                         : l->kept.layers_max > 0
                                                             ? l->kept.layers_max
                                                             : -1 };
    int r = ask(l, &request, NULL, err);

    return r < 0 ? r : hear(l, err);
}

int step_layers_sweep(void *layers, struct error *err)
{
    struct step_layers *l = layers;
    const struct layers_request request = { .op = LAYERS_SWEEP,
                                            .bytes_max =
                                                l->kept.spool_max > 0 ? l->kept.spool_max : -1 };
    int r = ask(l, &request, NULL, err);

    return r < 0 ? r : hear(l, err);
}
