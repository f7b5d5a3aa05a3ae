/* supervise.c - `berth supervise`: one task in a step of a batch system (docs/design/0014)
 *
 * It is started by the batch system, not by people. The token comes by the environment, where it does not
 * stay, into memory that no child gets.
 */
#include "base/alloc.h"
#include "base/text.h"
#include "courier/courier.h"
#include "executor/executor.h"
#include "gpu/gpu.h"
#include "main/roles.h"
#include "os/fd.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define LAUNCHER "/run/berth/launcher.sock"
#define NVML     "libnvidia-ml.so.1"

enum { TOKEN_MAX = 4096, RESULTS_WAIT_S = 3600 };

/* What the batch system is told. */
enum { EXIT_NOT_STARTED = 1, EXIT_USAGE = 2, EXIT_NOT_HOME = 75, EXIT_FENCED = 76 };

static const char help[] =
    "usage: berth supervise --home URL --task ID [--results-wait SECONDS]\n"
    "\n"
    "Runs one task in a step of a batch system and brings home what it writes. Started by the\n"
    "server's batch scripts.\n"
    "\n"
    "  --home URL              the server\n"
    "  --task ID               the task; its token is BERTH_TASK_TOKEN\n"
    "  --results-wait SECONDS  how long results may wait for a server that is away (3600)\n"
    "\n"
    "Where Berth's launcher runs for this account (BERTH_LAUNCHER or " LAUNCHER
    "),\nit makes the container; else this account does as far as it may.\n"
    "BERTH_SPOOL names a directory on a disk of this machine; without it berth-UID below TMPDIR\n"
    "or /tmp is used. BERTH_LAYERS_MAX (\"50Gi\"): so much of the layers of images is kept there for\n"
    "tasks to come; a quarter of the disk when it is not said. BERTH_SPOOL_MAX: the same of other files.\n"
    "\n"
    "Ends with 0 when the task's end is known at home, however it ended; 1 when it was not begun;\n"
    "75 when results could not be brought home and stay in the spool; 76 when the server had given\n"
    "the task up.\n";

void supervise_help(struct text *out) { text_add(out, help); }

/* Out of the environment, also of what /proc shows of it; children get a page of zeros. */
static char *take_token(void)
{
    char *value = getenv("BERTH_TASK_TOKEN");
    char *page = mmap(NULL, TOKEN_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (!value || page == MAP_FAILED || madvise(page, TOKEN_MAX, MADV_WIPEONFORK) < 0 ||
        strlen(value) >= TOKEN_MAX)
        return NULL;
    memcpy(page, value, strlen(value) + 1);
    explicit_bzero(value, strlen(value));
    (void) unsetenv("BERTH_TASK_TOKEN");
    return page;
}

/* This account's own directory: nobody else may have put anything there. */
static int find_spool(char **ret, struct error *err)
{
    const char *named = getenv("BERTH_SPOOL"), *tmp = getenv("TMPDIR");
    _cleanup_free_ char *path =
        named && *named
            ? xstrdup(named)
            : xasprintf("%s/berth-%u", tmp && *tmp ? tmp : "/tmp", (unsigned) geteuid());
    struct stat st;

    if (*path != '/')
        return error_set(err, -EINVAL, "the spool '%s' is no absolute path", path);
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return error_set(err, -errno, "spool %s: %s", path, strerror(errno));
    if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid() ||
        (st.st_mode & 022))
        return error_set(err, -EPERM,
                         "spool %s must be a directory of this account that others cannot write",
                         path);
    *ret = take_ptr(path);
    return 0;
}

/* 0: the environment does not say it. */
static int read_max(const char *name, int64_t *ret, struct error *err)
{
    const char *value = getenv(name);
    long long bytes = 0;

    if (value && (str_to_bytes(value, &bytes) < 0 || bytes < 0))
        return error_set(err, -EINVAL, "%s: '%s' is no size such as 50Gi", name, value);
    *ret = bytes;
    return 0;
}

/* By the launcher at that socket, or in this account's own spool (NULL). */
static int open_layers(const char *launcher, const char *spool, struct step_layers **ret,
                       struct courier_layers *ret_place, struct error *err)
{
    struct step_kept kept;
    int r = read_max("BERTH_LAYERS_MAX", &kept.layers_max, err);

    if (r >= 0)
        r = read_max("BERTH_SPOOL_MAX", &kept.spool_max, err);
    if (r >= 0)
        r = step_layers_open(launcher, spool, &kept, ret, err);
    *ret_place = (struct courier_layers){ .has = step_layers_has,
                                          .begin = step_layers_begin,
                                          .end = step_layers_end,
                                          .shed = step_layers_shed,
                                          .sweep = step_layers_sweep,
                                          .userdata = *ret };
    return r;
}

static int read_options(int argc, char **argv, struct courier_options *ret, struct error *err)
{
    long long wait_s = RESULTS_WAIT_S;

    for (int i = 1; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (value && str_equal(argv[i], "--home"))
            ret->home = value;
        else if (value && str_equal(argv[i], "--task"))
            ret->task = value;
        else if (value && str_equal(argv[i], "--results-wait") &&
                 str_to_i64(value, 0, 30 * 86400, &wait_s) >= 0)
            continue;
        else
            return error_set(err, -EINVAL, "'%s' is not understood", argv[i]);
    }
    ret->results_wait_s = wait_s;
    return ret->home && ret->task ? 0 : error_set(err, -EINVAL, "--home and --task are needed");
}

/* Slurm's: of the job, which counts as the machine does also where devices are confined; of the step. */
static const char *find_gpus(void)
{
    const char *job = getenv("SLURM_JOB_GPUS"), *step = getenv("SLURM_STEP_GPUS");

    return job && *job ? job : step;
}

/* Before there are threads, and before there is anything that its child should not have. */
static void start_reporter(const char *gpus, struct gpu_reporter *ret)
{
    const char *library = getenv("BERTH_NVML");

    *ret = (struct gpu_reporter){ .fd = -1 };
    if (gpus && *gpus)
        (void) gpu_reporter_start(library && *library ? library : NVML, ret, NULL);
}

static int fail(int code, const struct error *err)
{
    (void) fprintf(stderr, "berth supervise: %s\n", err->text);
    return code;
}

static int judge(int r, const struct error *err)
{
    if (r >= 0)
        return 0;
    if (r == -ESTALE)
        return fail(EXIT_FENCED, err);
    return fail(r == -ETIMEDOUT ? EXIT_NOT_HOME : EXIT_NOT_STARTED, err);
}

/* What keeps the task from its beginning is its end, which home is told. BEGUN is what became of STEP. */
static int run(const struct courier_options *options, struct step *step, int begun,
               struct courier_next *next, struct error *err)
{
    _cleanup_(courier_freep) struct courier *courier = NULL;
    const struct task_spec *spec = NULL;
    struct error why = *err;
    int r = courier_new(options, &courier, err);

    if (r < 0)
        return r;
    r = courier_fetch(courier, step->secrets, &spec, begun < 0 ? err : &why);
    if (r >= 0)
        r = begun < 0 ? begun : step_begin(step, spec, &why);
    if (r >= 0) {
        r = courier_run(courier, step->pidfd, step->peer, err);
        if (r == 0)
            courier_take_next(courier, next);
        return r;
    }
    *err = why;
    return r == -ESTALE || r == -EAGAIN ? r : courier_refuse(courier, &why, err);
}

/* Nothing of the task before is left: no process, no descriptor, no memory. Returns on failure. */
static int go_on(const struct courier_options *options, const struct courier_next *next,
                 struct error *err)
{
    char wait_s[24];
    const char *argv[] = { "berth",    "supervise",      "--home", options->home, "--task",
                           next->task, "--results-wait", wait_s,   NULL };
    sigset_t none;

    (void) snprintf(wait_s, sizeof wait_s, "%lld", (long long) options->results_wait_s);
    (void) setenv("BERTH_TASK_TOKEN", next->token, true);
    (void) sigemptyset(&none);
    (void) sigprocmask(SIG_SETMASK, &none, NULL);
    (void) execv("/proc/self/exe", (char *const *) (uintptr_t) argv);
    return error_set(err, -errno, "beginning the next task: %s", strerror(errno));
}

int role_supervise(int argc, char **argv)
{
    static const char *const cdi[] = { "/etc/cdi", "/run/cdi", NULL };
    char *spool = NULL, *state = NULL; /* the analyzer of gcc 12 does not follow cleanups here */
    const char *goes_on = getenv("BERTH_TASK_NEXT");
    struct gpu_reporter reporter = { .fd = -1 };
    struct courier_options options = { .token = take_token(),
                                       .gpus = find_gpus(),
                                       .reporter = &reporter,
                                       .goes_on = str_equal(goes_on, "1") };
    struct courier_next next = { 0 };
    char address[COURIER_ADDRESS_MAX];
    struct step step = { .pidfd = -1, .peer = -1, .secrets = -1 };
    struct step_layers *layers = NULL;
    struct error err = { 0 };

    int r = read_options(argc, argv, &options, &err);
    if (r >= 0 && !options.token)
        r = error_set(&err, -EINVAL, "BERTH_TASK_TOKEN holds no token");
    if (r < 0)
        return fail(EXIT_USAGE, &err);
    (void) signal(SIGPIPE, SIG_IGN);
    (void) prctl(PR_SET_NAME, "berth", 0, 0, 0);
    start_reporter(options.gpus, &reporter);
    r = find_spool(&spool, &err);
    options.spool = spool;
    courier_address(options.home, address);
    const struct step_settings settings = {
        .spool = spool, .driver_root = "/", .cdi = cdi, .address = address
    };
    if (r < 0)
        return fail(EXIT_NOT_STARTED, &err);
    const char *launcher = getenv("BERTH_LAUNCHER");
    const char *socket = launcher ? launcher : LAUNCHER;
    int begun = step_ask(socket, address, &step, &state, NULL);
    if (begun >= 0) {
        options.spool = state;
        options.is_machine = true;
    } else {
        begun = step_start(&settings, &step, &err);
    }
    if (begun >= 0)
        begun = open_layers(state ? socket : NULL, spool, &layers, &options.layers, &err);
    /* Its memory holds the token. */
    (void) prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    r = run(&options, &step, begun, &next, &err);
    step_done(&step);
    step_layers_free(layers);
    free(spool);
    free(state);
    if (reporter.fd >= 0)
        gpu_reporter_stop(&reporter);
    if (next.task)
        r = go_on(&options, &next, &err);
    courier_next_done(&next);
    return judge(r, &err);
}
