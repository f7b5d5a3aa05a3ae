/* launch.c - what a start needs from the launcher, and the clone of its supervisor */
#include "executor/internal.h"

#include "base/alloc.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static void forget_ranges(struct executor *x)
{
    vec_foreach(&x->ranges, range) {
        free(range->skeleton);
        safe_close(range->owner_userns);
        safe_close(range->layers_userns);
    }
    vec_done(&x->ranges);
}

/* The machine's own programs may be upgraded while the server runs. */
static int refresh_image(struct executor *x, struct error *err)
{
    if (x->image && image_host_is_current(x->image))
        return 0;
    struct image *image = NULL;
    int r = image_host_open(&x->image_options, &image, err);
    if (r < 0)
        return error_context(err, r, "image host");
    image_free(x->image);
    x->image = image;
    forget_ranges(x);
    return 0;
}

static int make_skeleton(struct executor *x, unsigned range, uid_t base, char **ret,
                         struct error *err)
{
    char digest[SHA256_HEX_LEN + 1];
    sha256_format(&x->image->digest, digest);
    _cleanup_free_ char *folder = xasprintf("%s/skeletons", x->runtime);
    _cleanup_free_ char *path = xasprintf("%s/%.24s-%u", folder, digest, range);

    int r = mkdir_all(AT_FDCWD, folder, 0711, err);
    if (r >= 0)
        r = image_skeleton_make(x->image, path, base, base, err);
    if (r < 0)
        return r;
    *ret = take_ptr(path);
    return 0;
}

static int find_range(struct executor *x, const struct launcher_request *request,
                      const struct range_cache **ret, struct error *err)
{
    struct range_cache cache = { .range = request->range, .owner_userns = -1, .layers_userns = -1 };
    const struct userns_map owner = { x->owner, x->group, request->uid_base, 1 },
                            layers = { LAYERS_UID, LAYERS_UID, request->uid_base,
                                       UIDS_PER_PROJECT };

    vec_foreach(&x->ranges, known) {
        if (known->range == request->range) {
            *ret = known;
            return 0;
        }
    }
    int r = make_skeleton(x, request->range, request->uid_base, &cache.skeleton, err);
    if (r >= 0 && x->mode->own_ids)
        r = userns_make(&owner, &cache.owner_userns, err);
    if (r >= 0 && x->mode->own_ids)
        r = userns_make(&layers, &cache.layers_userns, err);
    if (r < 0) {
        safe_close(cache.owner_userns);
        free(cache.skeleton);
        return r;
    }
    vec_push(&x->ranges, cache);
    *ret = &x->ranges.items[x->ranges.len - 1];
    return 0;
}

int launch_prepare(struct executor *x, const struct launcher_request *request,
                   const struct range_cache **ret, struct error *err)
{
    crun_refresh(&x->crun);
    int r = refresh_image(x, err);
    return r < 0 ? r : find_range(x, request, ret, err);
}

/* What spec.json says of the task's network. The supervisor reads it again; here only this counts. */
static void read_network(struct executor *x, struct launch *launch, enum network_policy *ret_policy,
                         struct network_group *ret_group, bool *ret_is_spread)
{
    char name[ID_TEXT_LEN + 1];
    _cleanup_json_ json_t *spec = attempt_spec(x, id_format(&launch->request.attempt, name));
    const json_t *gang = json_object_get(spec, "gang");
    _cleanup_(task_gang_freep) struct task_gang *read = NULL;

    *ret_policy = NETWORK_NONE;
    *ret_group = (struct network_group){ .gang = id_none };
    *ret_is_spread = false;
    (void) network_policy_parse(json_get_str(spec, "network", "none"), ret_policy);
    if (!gang || task_gang_from_json(gang, &read, &launch->net_error) < 0)
        return;
    *ret_group = (struct network_group){ .gang = read->attempt, .number = read->node_rank };
    /* In a step its nodes are different machines. One that has no way out has its own network like here. */
    *ret_is_spread = (launch->request.flags & LAUNCHER_STEP) &&
                     (read->n_nodes > 1 || *ret_policy != NETWORK_NONE);
}

/* A gang's network is of one project, as its first task was. */
static int check_gang(const struct executor *x, const struct launch *launch,
                      const struct network_group *group, struct error *err)
{
    vec_foreach(&x->lent, lent)
        if (id_equal(&lent->gang, &group->gang) && lent->range != launch->request.range)
            return error_set(err, -EPERM, "the task's gang is another project's");
    return 0;
}

/* The groups of a gang are on machines whose containers' networks do not know each other. */
static int share_network(struct launch *launch, enum network_policy policy, struct error *err)
{
    if (policy == NETWORK_NONE)
        return error_set(
            err, -EOPNOTSUPP,
            "the nodes of one job reach each other by the machines' network alone: ask "
            "for 'network: egress', or for one node");
    memcpy(launch->net.address, launch->request.address, sizeof launch->net.address);
    return 0;
}

static void make_network(struct executor *x, struct launch *launch, struct lent *lent)
{
    struct error *err = &launch->net_error;
    struct network_group group;
    bool is_spread;

    read_network(x, launch, &lent->policy, &group, &is_spread);
    lent->gang = group.gang;
    int r = err->code;
    if (r >= 0 && is_spread) {
        r = share_network(launch, lent->policy, err);
    } else if (r >= 0 && id_is_none(&group.gang)) {
        r = network_attempt_create(x->network, lent->policy, launch->request.range, &launch->netns,
                                   &launch->net, err);
    } else if (r >= 0) {
        r = check_gang(x, launch, &group, err);
        if (r >= 0)
            r = network_group_create(x->network, lent->policy, &group, &launch->netns, &launch->net,
                                     err);
    }
    if (r < 0 && !err->code)
        err->code = -EIO;
    lent->netns = launch->netns;
    lent->facts = launch->net;
}

static pid_t clone_supervisor(void)
{
    struct clone_args args = { .flags = CLONE_NEWPID | CLONE_NEWNS, .exit_signal = SIGCHLD };
    long pid = syscall(SYS_clone3, &args, sizeof args);

    return pid < 0 ? -errno : (pid_t) pid;
}

/* Where the batch system confines nothing, the attempt has groups of its own as anywhere. */
static void join_step(struct executor *x, struct launch *launch)
{
    if (step_groups_enter(&launch->groups, &x->cgroups, &launch->net_error) > 0)
        x->mode = &mode_node;
}

/* Copies of descriptors would keep other attempts' namespaces. */
static _Noreturn void leave_launcher(struct executor *x, struct launch *launch)
{
    sigset_t none;

    safe_close(x->socket);
    vec_foreach(&x->lent, lent)
        safe_close(lent->netns);
    network_drop_spares(x->network);
    sigemptyset(&none);
    (void) sigprocmask(SIG_SETMASK, &none, NULL);
    if (launch->groups.membership)
        join_step(x, launch);
    supervise(x, launch);
}

static void take_back(struct executor *x, const struct lent *ended)
{
    if (id_is_none(&ended->gang)) {
        network_attempt_end(x->network, ended->policy, ended->range, ended->netns, &ended->facts);
        return;
    }
    safe_close(ended->netns);
    vec_foreach(&x->lent, lent)
        if (id_equal(&lent->gang, &ended->gang))
            return;
    network_gang_end(x->network, &ended->gang);
}

void launch_ended(struct executor *x, pid_t pid)
{
    for (size_t i = 0; i < x->lent.len; i++) {
        const struct lent lent = x->lent.items[i];
        if (lent.supervisor != pid)
            continue;
        vec_remove(&x->lent, i);
        take_back(x, &lent);
        return;
    }
}

static int start_supervisor(struct executor *x, struct launch *launch, struct error *err)
{
    struct lent lent = { .range = launch->request.range };
    int r = launch_prepare(x, &launch->request, &launch->range, err);

    if (r < 0)
        return r;
    make_network(x, launch, &lent);

    pid_t pid = clone_supervisor();
    if (pid == 0)
        leave_launcher(x, launch);
    if (pid < 0) {
        safe_close(launch->netns);
        return error_set(err, pid, "starting a supervisor: %s", strerror(-pid));
    }
    lent.supervisor = pid;
    if (launch->netns >= 0)
        vec_push(&x->lent, lent);
    return 0;
}

int launch_start(struct executor *x, const struct launcher_request *request, int peer, int token,
                 struct error *err)
{
    bool step = request->flags & LAUNCHER_STEP;
    struct launch launch = { .request = *request,
                             .peer = peer,
                             .token = step ? -1 : token,
                             .secrets = step ? token : -1,
                             .netns = -1 };
    int r = 0;

    if (step)
        r = step_groups_open(&x->cgroups, (pid_t) request->pid, x->owner, &launch.groups, err);
    if (r >= 0)
        r = start_supervisor(x, &launch, err);
    step_groups_done(&launch.groups);
    return r;
}
