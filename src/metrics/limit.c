/* limit.c - which resource limits a task: rules over the means of its last half minute
 *
 * The first rule that holds is the verdict. With GPUs the question is why they are not busy:
 *
 *     fault     the driver reported an error of one by number (XID)
 *     gpu       they are, 80 % of the time and more
 *     cpu       they are not, and 90 % of the cores are busy (95 % with what others took, a quarter
 *               its own)
 *     loader    they are not, and of several cores about one is busy: a loader with one thread
 *     io        they are not, and cores wait for a disk a quarter of a core and more
 *     turns     they are not, while cores work: both take turns
 *     waiting   they are not, and neither is anything else
 *
 * and without:
 *
 *     memory    anonymous memory fills 90 % of the limit, or 20 pages a second and more come back
 *               from a disk with memory at its limit
 *     quota     a quota held it back a tenth of the time and more
 *     cpu       90 % of the cores are busy (as above)
 *     io        cores wait for a disk a quarter of a core and more, and more than they work
 *     thread    of several cores about one is busy
 *     waiting   less than a twentieth of a core is busy and nothing waits for a disk
 *     balanced  none of them
 */
#include "metrics/internal.h"

#include "base/text.h"
#include "base/time.h"

#include <stdio.h>
#include <string.h>

#define WINDOW_US   (30 * US_PER_S)
#define SECONDS_MIN 2.5 /* of points, before anything is said */

#define GPU_BUSY        0.8
#define CORES_BUSY      0.9
#define OWN_CORES_BUSY  0.95 /* with what others took, */
#define OWN_CORES_LEAST 0.25 /* if so much was its own */
#define ONE_CORE_LEAST  0.8
#define ONE_CORE_MOST   1.2
#define DISK_WAITING    0.25
#define HARDLY_BUSY     0.05
#define TURNS_CORES     0.3
#define MEMORY_FULL     0.9
#define FAULTS_MANY     20.0
#define THROTTLED       0.1

static double gpu_mean(const struct metrics_point *p, double (*value)(const struct metrics_gpu *))
{
    double sum = 0;
    unsigned n = 0;

    for (unsigned i = 0; i < p->n_gpus; i++) {
        double one = value(&p->gpus[i]);
        if (one < 0)
            continue;
        sum += one;
        n++;
    }
    return n ? sum / n : -1;
}

static double busy_of(const struct metrics_gpu *gpu) { return gpu->busy; }

static double power_of(const struct metrics_gpu *gpu)
{
    return gpu->power_w >= 0 && gpu->power_limit_w > 0 ? gpu->power_w / gpu->power_limit_w : -1;
}

static const char *plural(unsigned n) { return n == 1 ? "" : "s"; }

static int percent(double share) { return (int) (share * 100 + 0.5); }

struct verdict {
    const struct metrics_point *p;
    const struct metrics_share *share;
    struct metrics_limit *ret;
    char gpus[48]; /* "GPU idle 63 %", "4 GPUs idle 63 %" */
};

__attribute__((format(printf, 3, 4))) static bool say(const struct verdict *v, const char *rule,
                                                      const char *fmt, ...)
{
    va_list ap;

    v->ret->rule = rule;
    va_start(ap, fmt);
    (void) vsnprintf(v->ret->text, sizeof v->ret->text, fmt, ap);
    va_end(ap);
    return true;
}

static bool has_cores_busy(const struct verdict *v)
{
    const struct metrics_point *p = v->p;
    double all = v->share->cores;

    /* What others took it could have used. */
    return p->cores >= CORES_BUSY * all || (p->cores >= OWN_CORES_LEAST * all &&
                                            p->cores + p->cores_others >= OWN_CORES_BUSY * all);
}

/* ", 0.3 taken by others" */
static const char *others(const struct verdict *v, char text[static 48])
{
    text[0] = '\0';
    if (v->p->cores_others >= 0.1)
        (void) snprintf(text, 48, ", %.1f taken by others", v->p->cores_others);
    return text;
}

static bool is_one_thread(const struct verdict *v)
{
    return v->share->cores >= 2 && v->p->cores >= ONE_CORE_LEAST && v->p->cores <= ONE_CORE_MOST;
}

static bool waits_for_disk(const struct verdict *v) { return v->p->cores_waiting >= DISK_WAITING; }

static void rates(const struct verdict *v, char text[static 96])
{
    char in[32], out[32];

    (void) snprintf(text, 96, "reads %s/s, writes %s/s",
                    bytes_to_str((long long) v->p->read_rate, in),
                    bytes_to_str((long long) v->p->write_rate, out));
}

static bool judge_busy_gpus(const struct verdict *v, double busy)
{
    double power = gpu_mean(v->p, power_of);

    return say(v, "gpu", "%s busy %d %%: the GPU%s the limit%s", v->p->n_gpus == 1 ? "GPU" : "GPUs",
               percent(busy), v->p->n_gpus == 1 ? " is" : "s are",
               power >= 0.97 ? ", at the limit of its power" : "");
}

/* Of NVIDIA's catalogue of XIDs, what people meet. */
static const char *xid_words(unsigned xid)
{
    static const struct {
        unsigned xid;
        const char *words;
    } known[] = {
        { 13, "a kernel of the program did something that is not allowed" },
        { 31, "a kernel of the program used memory that is not its own" },
        { 43, "the program's work on it was stopped" },
        { 48, "its memory lost data" },
        { 63, "a row of its memory was replaced" },
        { 64, "a row of its memory could not be replaced" },
        { 74, "its NVLink fails" },
        { 79, "it has fallen off the bus" },
        { 94, "its memory lost data of this program" },
        { 95, "its memory lost data" },
        { 119, "its own processor does not answer" },
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].xid == xid)
            return known[i].words;
    return "see NVIDIA's catalogue of XIDs";
}

static bool judge_faults(const struct verdict *v)
{
    for (unsigned i = 0; i < v->p->n_gpus; i++)
        if (v->p->gpus[i].xid)
            return say(v, "fault", "GPU %u reported an error, XID %u: %s", i, v->p->gpus[i].xid,
                       xid_words(v->p->gpus[i].xid));
    return false;
}

static bool judge_gpus(struct verdict *v)
{
    double busy = gpu_mean(v->p, busy_of);
    unsigned cores = v->share->cores;
    char text[96];

    if (judge_faults(v))
        return true;
    if (busy < 0)
        return false;
    if (busy >= GPU_BUSY)
        return judge_busy_gpus(v, busy);
    (void) snprintf(v->gpus, sizeof v->gpus, "%s idle %d %%", v->p->n_gpus == 1 ? "GPU" : "GPUs",
                    percent(1 - busy));
    if (has_cores_busy(v))
        return say(v, "cpu", "%s: the CPU is the limit, %.1f of %u core%s %s busy%s", v->gpus,
                   v->p->cores, cores, plural(cores), cores == 1 ? "is" : "are", others(v, text));
    if (is_one_thread(v))
        return say(v, "loader", "%s waiting for data: the loader uses 1 of %u cores", v->gpus,
                   cores);
    if (waits_for_disk(v)) {
        rates(v, text);
        return say(v, "io", "%s waiting for the disk: %.1f of %u core%s wait%s for it; it %s",
                   v->gpus, v->p->cores_waiting, cores, plural(cores), cores == 1 ? "s" : "", text);
    }
    if (v->p->cores >= TURNS_CORES)
        return say(v, "turns",
                   "%s while %.1f of %u core%s work: they take turns; prepare the next step during "
                   "this one",
                   v->gpus, v->p->cores, cores, plural(cores));
    return say(v, "waiting",
               "%s, and only %.2f of %u core%s %s busy: it waits for something outside (network, "
               "a lock, another task)",
               v->gpus, v->p->cores, cores, plural(cores), cores == 1 ? "is" : "are");
}

static bool judge_memory(const struct verdict *v)
{
    const struct metrics_point *p = v->p;
    double limit = (double) v->share->memory_bytes;
    char used[32], of[32];

    if (limit <= 0)
        return false;
    (void) bytes_to_str(p->anonymous_bytes, used);
    (void) bytes_to_str(v->share->memory_bytes, of);
    if ((double) p->anonymous_bytes >= MEMORY_FULL * limit)
        return say(v, "memory", "memory is the limit: %s of %s (%d %%) hold data of its own%s",
                   used, of, percent((double) p->anonymous_bytes / limit),
                   p->limit_rate > 0 ? ", and it asks for more" : "");
    if (p->fault_rate >= FAULTS_MANY && p->limit_rate > 0)
        return say(v, "memory",
                   "memory is the limit: what it works on does not fit in %s, %.0f pages a second "
                   "come back from the disk",
                   of, p->fault_rate);
    return false;
}

static bool judge_disk(const struct verdict *v)
{
    unsigned cores = v->share->cores;
    char text[96];

    if (!waits_for_disk(v) || v->p->cores_waiting <= v->p->cores)
        return false;
    rates(v, text);
    return say(v, "io", "the disk is the limit: %.1f of %u core%s wait%s for it; it %s",
               v->p->cores_waiting, cores, plural(cores), cores == 1 ? "s" : "", text);
}

static bool judge_cores(const struct verdict *v)
{
    const struct metrics_point *p = v->p;
    unsigned cores = v->share->cores;
    char text[48];

    if (p->throttled >= THROTTLED)
        return say(v, "quota", "its share of the CPU is the limit: held back %d %% of the time",
                   percent(p->throttled));
    if (has_cores_busy(v))
        return say(v, "cpu", "the CPU is the limit: %.1f of %u core%s %s busy%s", p->cores, cores,
                   plural(cores), cores == 1 ? "is" : "are", others(v, text));
    if (judge_disk(v))
        return true;
    if (is_one_thread(v))
        return say(v, "thread", "one thread is the limit: it uses 1 of %u cores", cores);
    if (p->cores < HARDLY_BUSY && !waits_for_disk(v))
        return say(v, "waiting",
                   "nothing here limits it: %.2f of %u core%s %s busy; it sleeps or waits for "
                   "something outside",
                   p->cores, cores, plural(cores), cores == 1 ? "is" : "are");
    return say(v, "balanced",
               "no resource alone limits it: %.1f of %u core%s busy, %.1f wait for "
               "the disk",
               p->cores, cores, plural(cores), p->cores_waiting);
}

void metrics_judge(const struct metrics_point *points, size_t n, const struct metrics_share *share,
                   struct metrics_limit *ret)
{
    struct metrics_point window = { 0 };
    struct verdict v = { .p = &window, .share = share, .ret = ret };

    for (size_t i = 0; i < n; i++)
        if (points[n - 1].time_us - points[i].time_us < WINDOW_US)
            metrics_point_add(&window, &points[i]);
    if (window.seconds < SECONDS_MIN)
        (void) say(&v, "unknown", "it has not run long enough to say");
    else if (!(window.n_gpus && judge_gpus(&v)) && !judge_memory(&v))
        (void) judge_cores(&v);
    metrics_point_done(&window);
}
