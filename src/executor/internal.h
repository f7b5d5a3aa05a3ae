/* internal.h - what the files of executor/ share
 *
 * launcher.c  takes requests            launch.c     what a start needs, and the clone
 * sweep.c     leftovers of attempts     cgroup.c     control groups, v1 and v2
 * sweep-network.c  and of their networks   delete.c  what was deleted for good
 * supervise.c one attempt, in order     rootfs.c     its mounts
 * bundle.c    config.json (pure)        environment.c  what the command sees (pure)
 * container.c crun                      pump.c       logs and charts
 * crun-program.c  crun itself
 * control.c   the socket                relay.c      named ports
 * datasets.c  data in and out           source.c     git
 * finish.c    exit, artifacts           devices.c   GPUs and what they need
 * loader-cache.c  the image's loader finds the driver's libraries
 * gang.c      one of several         gang-view.h   what it is told of the others (pure)
 * gang-leave.c  who collects for a machine
 *         secrets.c, seccomp.c, userns.c
 * session.c   see session.h             enter.c, privileges.c   into a running container
 */
#ifndef EXECUTOR_INTERNAL_H
#define EXECUTOR_INTERNAL_H

#include "base/vec.h"
#include "blob/blob.h"
#include "executor/executor.h"
#include "gpu/gpu.h"
#include "image/image.h"
#include "network/network.h"
#include "os/cgroup.h"
#include "os/loop.h"
#include "os/process.h"
#include "task/task.h"

#include <pwd.h>
#include <sys/stat.h>

#define UIDS_PER_PROJECT UINT32_C(65536)

/* ---- control groups --------------------------------------------------------------------------- */

/* Find the hierarchies. On a hybrid machine controllers that nobody uses in version 2 are mounted
 * as version 1, because crun refuses otherwise; *RET_MOUNTED (owned) names them, NULL: none. */
int cgroups_probe(struct cgroups *ret, char **ret_mounted, struct error *err);
/* Put the calling process into /berth/supervisors, out of the server's group. */
int cgroups_join_supervisors(const struct cgroups *cg, struct error *err);
/* Put the calling process into the attempt's. */
int cgroup_join(const struct cgroups *cg, const char *attempt, struct error *err);
/* Let the kernel count what attempts read from and write to the disk DEVICE. */
void cgroups_count_io(const struct cgroups *cg, dev_t device);
/* The content of a file of the attempt's group without the last newline; owned by the caller, NULL
 * when it is not there. V1 and V2 are the file's names, NULL: there is none. */
char *cgroup_read(const struct cgroups *cg, enum cgroup_controller controller, const char *attempt,
                  const char *v1, const char *v2);
/* SIGKILL every process in the attempt's groups. */
void cgroup_kill(const struct cgroups *cg, const char *attempt);
/* Remove them; -EBUSY while processes are left. */
int cgroup_remove(const struct cgroups *cg, const char *attempt);
/* How often the kernel killed for want of memory. */
uint64_t cgroup_oom_kills(const struct cgroups *cg, const char *attempt);
/* Those that a batch system has a step in. */
struct step_groups {
    VEC(int) procs;   /* open for writing */
    char *membership; /* as in /proc/PID/cgroup */
};
/* Where PID, of the account OWNER, is. Who looks must be in a PID namespace that has it. */
int step_groups_open(const struct cgroups *cg, pid_t pid, uid_t owner, struct step_groups *ret,
                     struct error *err);
/* Put the calling process into them, and remember them in CG. 1: they hold its cores or its memory. */
int step_groups_enter(const struct step_groups *groups, struct cgroups *cg, struct error *err);
void step_groups_done(struct step_groups *groups);
/* What the groups of a batch system's step allow; -1: nothing is said. */
int64_t cgroup_step_memory(const struct cgroups *cg);
/* A task begins in the groups of a step, which go on counting: remember where. */
void cgroup_step_begin(struct cgroups *cg);
/* {"cpu_seconds", "memory_peak_bytes"} into USAGE; no peak when it was one of a task before. Where no group counts,
 * those of the calling process's children that were waited for, and the peak is the largest one's. */
void cgroup_usage(const struct cgroups *cg, const char *attempt, json_t *usage);

/* ---- crun's program ---------------------------------------------------------------------------- */

struct crun_program {
    char *path;            /* NULL: not found */
    int fd;                /* a sealed copy; -1: there is none, PATH is searched at each start */
    struct stat made_from; /* what PATH was then */
    /* It does what the annotation for a compiled filter asks. In memory shared with the supervisors: one
     * that sees that it does not tells all others. NULL: it does not. */
    bool *takes_filter;
};

/* Find crun, or see that it is still the same. */
void crun_refresh(struct crun_program *p);

/* ---- the launcher ------------------------------------------------------------------------------ */

struct range_cache {
    unsigned range;
    char *skeleton;    /* of the present image, owned by the range */
    int owner_userns;  /* maps the state's owner to the range's first uid */
    int layers_userns; /* maps the uids of unpacked layers to the range */
};

struct userns_map {
    uid_t uid;
    gid_t gid;
    uint32_t outside, count;
};

/* A namespace to look at once its supervisor has ended. */
struct lent {
    pid_t supervisor;
    enum network_policy policy;
    unsigned range;
    int netns;
    struct network_facts facts;
    struct id gang; /* id_none: the task is alone */
};

/* A command of Slurm's that runs as another account. */
struct ordered {
    pid_t pid;
    uint64_t serial; /* of the request, which is answered at its end */
};

/* What a supervisor can do where it runs (docs/design/0014). */
struct mode {
    const char *name;
    /* Control groups of the attempt's own; else it stays in those that it was started in. */
    bool own_groups;
    /* The project's range of uids, by which mounts are mapped; else one uid is everybody. */
    bool own_ids;
    /* Device nodes can be made; else those of the machine are shown. */
    bool own_devices;
};

/* As root, on a machine that is Berth's. */
extern const struct mode mode_machine;
/* As root for a step, whose control groups stay in charge. */
extern const struct mode mode_node;
/* As any account, in a step of a batch system. */
extern const struct mode mode_step;

/* The launcher's, and by clone every supervisor's. */
struct executor {
    const struct mode *mode;
    char *state, *runtime,
        *bundle; /* BUNDLE: a mount point that each supervisor covers for itself */
    int state_fd, attempts_fd, running_fd; /* STATE, STATE/attempts, STATE/running */
    int trash_fd; /* STATE/trash: what is deleted, until its blocks are freed */
    uint64_t trashed;
    pid_t remover;     /* frees them; 0: none runs */
    bool remove_again; /* something came while it ran */
    uid_t owner;       /* of STATE: what the server reads belongs to it */
    gid_t group;
    uint32_t uid_first;
    const char *const *cdi;  /* directories of CDI specifications */
    const char *driver_root; /* "/" */
    const char *storage;     /* declared for /storage; NULL: STATE/projects */
    struct image_host_options image_options;
    struct image *image;
    struct network *network;
    struct cgroups cgroups;
    char *seccomp;           /* the filter, compiled and in base64 */
    struct slurm_site slurm; /* what its commands are told of this server */
    const char *slurm_group; /* whose members jobs may be; NULL: nobody's */
    VEC(struct ordered) ordered;
    struct crun_program crun;
    VEC(struct lent) lent; /* the networks of running attempts */
    VEC(struct range_cache) ranges;
    int socket;
};

/* One start: what the launcher gives to a supervisor. */
struct launch {
    struct launcher_request request;
    int peer; /* to the engine */
    int token;
    int secrets; /* their values, where somebody else has asked for them; else -1 */
    int netns;   /* -1: the supervisor's own */
    struct network_facts net;
    struct error net_error; /* the namespace could not be made */
    struct step_groups groups;
    /* Of the machine's network, where the supervisor has left it: relays_listen(). */
    VEC(int) published;
    const struct range_cache *range;
};

/* What does not depend on the attempt alone: crun, the image `host`, what the project's range needs. */
int launch_prepare(struct executor *x, const struct launcher_request *request,
                   const struct range_cache **ret, struct error *err);
int launch_start(struct executor *x, const struct launcher_request *request, int peer, int token,
                 struct error *err);
/* The process PID, perhaps a supervisor, has ended. */
void launch_ended(struct executor *x, pid_t pid);
_Noreturn void supervise(struct executor *x, struct launch *launch);

/* A user namespace in which UID and GID and the COUNT - 1 after them are OUTSIDE and so on, and nothing
 * else is anybody; as a descriptor. */
int userns_make(const struct userns_map *map, int *ret_fd, struct error *err);
/* By both of these. */
int userns_make_two(const struct userns_map maps[static 2], int *ret_fd, struct error *err);

/* LAUNCHER_SLURM: answered by account_ended(). Negative errno: answered by the caller. */
int account_order(struct executor *x, uint64_t serial, int order_fd, int out, struct error *err);
/* The process PID has ended; false: it was none of these. */
bool account_ended(struct executor *x, pid_t pid, int status);

/* Remove what ATTEMPT left in cgroups and STATE/running; its supervisor is gone. */
int sweep_attempt(struct executor *x, const struct id *attempt, struct error *err);
/* The same for all that are not in LIVE; those with a living supervisor get SIGKILL first. */
int sweep_all(struct executor *x, const struct id *live, size_t n, struct error *err);
/* SIGKILL the attempt's supervisor, whoever started it; 0 also when there is none. */
int sweep_kill(struct executor *x, const struct id *attempt, struct error *err);
/* Remove the networks of projects that have no attempt in LIVE and none with a supervisor. */
int sweep_networks(struct executor *x, const struct id *live, size_t n, struct error *err);
/* The same for the launcher's end, with no attempt to come: also waits for those that are about to end. */
void sweep_networks_at_end(struct executor *x);
/* LAUNCHER_DELETE: -EBUSY while the attempt has a supervisor. */
int delete_leftover(struct executor *x, const struct launcher_request *request, struct error *err);
/* Free what lies in the trash, in a child of its own; trash_removed() when that child has ended. */
void trash_remove(struct executor *x);
void trash_removed(struct executor *x);
/* End it; what is left is freed after the next start. */
void trash_stop(struct executor *x);
/* The attempt's spec.json, NULL when it cannot be read; owned by the caller. */
json_t *attempt_spec(struct executor *x, const char *attempt);
bool attempt_is_locked(struct executor *x, const char *attempt);

/* The seccomp filter in base64 for run.oci.seccomp_bpf_data; owned by the caller. */
char *seccomp_compile(void);
/* The same rules in the form of config.json. */
json_t *seccomp_profile(void);

/* ---- a supervisor ------------------------------------------------------------------------------ */

struct pump;
struct control;
struct relays;
struct sessions;

struct supervisor {
    struct executor *x;
    struct launch *launch;
    char name[ID_TEXT_LEN + 1]; /* of the attempt */
    struct task_spec *spec;
    int dir;  /* the attempt's directory */
    int lock; /* held for life */
    struct loop *loop;
    struct blob_store *blobs;
    struct pump *pump;
    struct control *control;
    struct relays *relays;
    struct sessions *sessions;
    int own_netns;
    json_t *peers;     /* of a gang, once it goes: as task/task.h says */
    char *gang_secret; /* of a gang, from then on: only its tasks know it */
    char **gang_env;   /* and what its peers are in the environment */
    char *hostname;
    const char *const *command; /* in place of the job's; NULL: that */
    json_t *secrets;            /* their values, until they are in ENV */
    int artifacts;              /* directory of the job's results; -1 before it is made */
    char **env;
    struct cdi_edits edits;   /* what the job's devices need */
    const char *loader_cache; /* what became of it; NULL: not asked for */
    json_t *storage_speed;    /* measured; NULL: not asked for */
    json_t *devices;          /* what the container has of them, by the kernel */
    json_t *process; /* of config.json as it was written: what sessions start is made the same */
    char *crun_root; /* crun's own state */
    const struct image *image; /* `host`, or the one below */
    struct image *own_image;
    struct image_user user; /* whom the command runs as */
    struct watch *term_timer, *kill_timer, *max_timer, *disk_timer, *drain_timer;
    struct process container; /* its first process */
    bool ended;
    bool in_step;         /* what runs is a step before the command */
    int status;           /* of waitpid */
    enum end_cause cause; /* asked for: stop, limits; END_NONE */
    int emulated_signal;  /* ended by us in place of a signal's default action */
    char *reason, *hint;
    int64_t started_us, started_boot_us;
    char *git_commit;
    bool reported_start;
};

/* Who UID inside is outside. */
uid_t supervisor_uid(const struct supervisor *s, uid_t uid);
gid_t supervisor_gid(const struct supervisor *s, gid_t gid);

/* layers-mount.c: the image of the task's layers, their directories mounted for the project and open, top
 * first, in FDS (as many as RET has layers; owned by the caller). Held until the supervisor ends. */
int layers_mount(struct supervisor *s, int fds[static OCI_LAYERS_MAX], struct error *err);
/* Whom the image's config means, by the files below ROOTFS. */
int image_user_of(struct supervisor *s, const char *rootfs, struct error *err);

struct owner {
    uid_t uid;
    gid_t gid;
    mode_t mode;
};
/* A layer to write to: NAME and NAME.work below STATE/running/ATTEMPT. */
int rootfs_layer(struct supervisor *s, const char *name, const struct owner *owner,
                 struct error *err);
/* Mount it at TARGET above the directories LOWER, top first. */
int rootfs_overlay(struct supervisor *s, const int *lower, size_t n, const char *layer,
                   const char *target, struct error *err);
/* results.c: where /artifacts lies below STATE; owned by the caller. */
char *results_path(const struct supervisor *s);
/* It begins with what the specification names, unless another task of this machine has begun it. */
int results_bring(struct supervisor *s, const struct owner *owner, struct error *err);
/* Once all of them are blobs, nothing else is needed of a task away from home. COLLECTED is what exit.json says. */
void results_drop(struct supervisor *s, const json_t *collected);
/* Mount everything below BUNDLE/rootfs. */
int rootfs_make(struct supervisor *s, struct error *err);
/* The directory that holds *RET_BELOW and PROJECT/storage; -ESTALE when it is not the one that was declared. */
int storage_open_root(struct supervisor *s, int *ret_fd, const char **ret_below, struct error *err);
/* PROJECT/storage of a declared file system becomes this account's alone, where it is nobody's yet. -EPERM when it is
 * another's, or holds files. As root. */
int storage_give(const struct executor *x, const struct id *project, const struct passwd *account,
                 struct error *err);
/* As the account that this process has become: may it enter the file system? */
int storage_reach(const struct executor *x, const struct passwd *account, struct error *err);
/* How fast it is, for the evidence. */
void storage_measure(struct supervisor *s, int dirfd);
/* /storage as it came by digest, and a layer of the task's own above it (storage-push.c); what it holds in the end. */
int storage_mount_pushed(struct supervisor *s, const char *target, struct error *err);
void storage_collect(struct supervisor *s, struct task_exit *ex);
void rootfs_remove(struct supervisor *s);
/* The datasets that the job reads, read-only below ROOTFS (datasets.c). */
int datasets_mount(struct supervisor *s, const char *rootfs, struct error *err);
/* Add to ARTIFACTS what of MANIFEST the job declared as output datasets. */
int datasets_collect(struct supervisor *s, const struct manifest *manifest, json_t *artifacts,
                     struct error *err);
/* Attach a copy of what FD shows at TARGET (a path, or "" for the descriptor AT itself), with these
 * attributes and, unless -1, this mapping. */
int rootfs_attach(int fd, uint64_t attributes, int userns, int at, const char *target,
                  struct error *err);

/* Does the job have devices of its own? */
bool devices_are_wanted(const struct task_spec *spec);
/* Find out what they need and make their nodes; after rootfs_make(). */
int devices_make(struct supervisor *s, struct error *err);
/* Add it to config.json. Pure. */
void devices_put(const struct cdi_edits *edits, json_t *config);
/* {"devices", "device_rules", "loader_cache"}: the nodes inside, and what the device cgroup allows; owned
 * by the caller. */
json_t *devices_read(struct supervisor *s);

/* Of a gang: say that all is made, and wait for the list of peers. -ECANCELED: it was stopped first. */
int gang_await_go(struct supervisor *s, struct error *err);
/* The task's command has ended. Is it the last on this machine, which collects for all? True also for one
 * that is alone. */
bool gang_leave(struct supervisor *s);

/* What the environment is made of besides the spec; each may be NULL. */
struct environment_facts {
    const struct image_config *image;
    const struct cdi_edits *edits;
    const char *home;      /* NULL: root's */
    const json_t *secrets; /* {"NAME": value} */
    char **gang;           /* of gang-view.h; NULL: the task is alone */
};
/* "NAME=value", NULL-terminated. */
char **environment_make(const struct task_spec *spec, const struct environment_facts *facts);
void environment_free(char **env);
/* SECRETS as somebody else has fetched them, from the beginning of FD. */
int secrets_read(int fd, json_t **ret, struct error *err);
int secrets_fetch(const struct task_spec *spec, int token, json_t **ret, struct error *err);

/* What config.json needs to know besides the spec. */
struct bundle_facts {
    const char *rootfs, *hostname;
    const char *cgroup; /* NULL: that of the supervisor, as it is */
    const char *netns;  /* NULL: the supervisor's */
    bool own_ids;       /* a range of uids is mapped, not one */
    char *const *env;
    char *const *command; /* instead of the spec's, NULL: that */
    const struct image_user *user;
    const char *seccomp; /* compiled; NULL: the plain profile is used */
    uint64_t nofile_hard;
    const struct cdi_edits *edits; /* of the job's devices; NULL: none */
    uint64_t memlock_hard;         /* for jobs with devices */
    bool limits_pages
        [HUGE_PAGE_MAX]; /* huge pages of the size that nobody asked for can be denied */
    bool unified;
};
json_t *bundle_config(const struct task_spec *spec, const struct image *image,
                      const struct bundle_facts *facts);

/* The container up to the start of its command. */
int container_start(struct supervisor *s, struct error *err);
/* What Berth itself runs in such a container, before the start. */
struct container_step {
    const char *const *command;
    const struct cdi_edits *edits; /* of its own; NULL: none */
    bool is_root;                  /* not the user of the command */
    bool is_silent;                /* what it writes is not part of the log */
};
/* Run STEP to its end; returns its exit code. */
int container_run(struct supervisor *s, const struct container_step *step, struct error *err);
/* Run the image's ldconfig, so that programs find the libraries which the job's devices bring. */
int loader_cache_make(struct supervisor *s, struct error *err);
/* git clone in the same container, before the command. */
int container_clone_source(struct supervisor *s, struct error *err);
/* What the kernel says about the container's first process and its groups. */
json_t *container_evidence(struct supervisor *s);
/* Deliver SIGNO; where its default action would end a first process (which the kernel does not do
 * to one of a PID namespace), end it in its place. */
void container_signal(struct supervisor *s, int signo);

/* Logs: readers of the container's two pipes. DONE is called when both have ended. */
int pump_new(struct supervisor *s, struct pump **ret, struct error *err);
/* The ends for the container; closed by pump_start(). */
void pump_ends(const struct pump *p, int ret[static 2]);
void pump_start(struct pump *p);
bool pump_is_done(const struct pump *p);
/* Read what is left without waiting, finish the index. */
void pump_finish(struct pump *p);
void pump_usage(const struct pump *p, json_t *usage);
int64_t pump_log_bytes(const struct pump *p);
void pump_free(struct pump *p);
DEFINE_CLEANUP(struct pump *, pump_free);

int control_new(struct supervisor *s, int peer, struct control **ret, struct error *err);
/* What the attempt uses of its disk: told to who listens, and to whoever comes. */
void control_set_disk(struct control *c, int64_t bytes);
/* Wait for the engine's word; false: it is gone without. */
bool control_await_go(struct control *c);
/* The same for a task of a gang, whoever gives the word; returns also when a stop was asked for. */
void control_run_until_go(struct control *c);
void control_send(struct control *c, const char *event);
void control_free(struct control *c);
DEFINE_CLEANUP(struct control *, control_free);

/* Bind what SPEC publishes, now, for a supervisor that is about to leave the machine's network. */
int relays_listen(const struct task_spec *spec, struct launch *launch, struct error *err);
int relays_new(struct supervisor *s, struct relays **ret, struct error *err);
/* {NAME: {"host", "port"}} of what is published. */
json_t *relays_json(const struct relays *r);
void relays_free(struct relays *r);
DEFINE_CLEANUP(struct relays *, relays_free);

/* Ask the container to end; the first cause stays. */
void supervisor_stop(struct supervisor *s, enum end_cause cause, int64_t grace_s);
/* The step is gone: so is all of this, and nobody is told. */
_Noreturn void supervisor_leave(struct supervisor *s);
/* Look at the disk at intervals. */
void supervisor_watch_disk(struct supervisor *s);
/* The container is gone: collect, clean, write exit.json and report. */
void supervisor_finish(struct supervisor *s, const struct error *failed);

#endif
