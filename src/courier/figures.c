/* figures.c - what the task uses, a look a second, goes home every few seconds
 *
 * What home does not take is kept: where it would become too much, each two points become one.
 */
#include "courier/internal.h"

#include "base/alloc.h"
#include "metrics/metrics.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { POINTS_MAX = 240 };

#define LOOK_US INT64_C(1000000)

struct figures {
    struct loop *loop;
    const struct task_spec *spec;
    const struct courier_options *options;
    int dir;
    struct meter *meter; /* NULL: nothing has begun */
    struct watch *timer;
    VEC(struct metrics_point) points; /* that home does not have */
    int64_t sent_us, every_us;        /* EVERY_US: as home says */
    void (*due)(void *userdata);
    void *userdata;
};

/* Whoever listens there is the supervisor, seen from here. */
static pid_t supervisor_of(int dir)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct ucred cred = { 0 };
    socklen_t len = sizeof cred;
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    (void) snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/sock", dir);
    if (fd < 0 || connect(fd, (const struct sockaddr *) &address, sizeof address) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
        return 0;
    return cred.pid;
}

/* Those that this process may run on, if they are as many as were given: then no other task has them. */
static void find_cpus(const struct task_spec *spec, struct cpu_set *ret)
{
    cpu_set_t mask;

    *ret = (struct cpu_set){ 0 };
    if (sched_getaffinity(0, sizeof mask, &mask) < 0 ||
        (unsigned) CPU_COUNT(&mask) != cpu_set_count(&spec->allocation->cpus))
        return;
    _Static_assert(CPU_SETSIZE <= CPU_SET_MAX, "every CPU of a mask fits");
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &mask))
            cpu_set_add(ret, cpu);
}

static void begin(struct figures *f)
{
    struct cpu_set cpus;
    const struct meter_options options = { .task = f->options->task,
                                           .supervisor = supervisor_of(f->dir),
                                           .cpus = &cpus,
                                           .reporter = f->options->reporter,
                                           .gpus = f->options->gpus };

    find_cpus(f->spec, &cpus);
    if (options.supervisor > 0)
        f->meter = meter_new(&options);
}

static void thin(struct figures *f)
{
    size_t n = 0;

    for (size_t i = 0; i + 1 < f->points.len; i += 2, n++) {
        metrics_point_add(&f->points.items[i], &f->points.items[i + 1]);
        metrics_point_done(&f->points.items[i + 1]);
        f->points.items[n] = f->points.items[i];
    }
    f->points.len = n;
}

static void on_look(void *userdata)
{
    struct figures *f = userdata;
    struct metrics_point point;
    int64_t now_us = loop_now_us(f->loop);

    timer_set(f->timer, LOOK_US);
    if (!f->meter)
        begin(f);
    if (!f->meter || meter_read(f->meter, &point) == 0)
        return;
    vec_push(&f->points, point);
    if (f->points.len >= POINTS_MAX)
        thin(f);
    if (now_us - f->sent_us < f->every_us)
        return;
    f->sent_us = now_us;
    f->due(f->userdata);
}

struct figures *figures_new(struct loop *loop, const struct courier_options *options,
                            const struct task_spec *spec, int dir)
{
    struct figures *f = xnew(struct figures);

    *f = (struct figures){ .loop = loop, .options = options, .spec = spec, .dir = dir };
    return f;
}

void figures_start(struct figures *f, void (*due)(void *userdata), void *userdata)
{
    f->due = due;
    f->userdata = userdata;
    if (!f->timer)
        f->timer = loop_timer(f->loop, 0, on_look, f);
}

void figures_set_wait(struct figures *f, int64_t wait_s) { f->every_us = wait_s * 1000000; }

void figures_stop(struct figures *f)
{
    watch_free(f->timer);
    f->timer = NULL;
}

void figures_take(struct figures *f, struct text *out)
{
    vec_foreach(&f->points, point) {
        json_t *json = metrics_point_to_json(point, NULL);
        text_add_json(out, json);
        text_add_char(out, '\n');
        json_decref(json);
        metrics_point_done(point);
    }
    f->points.len = 0;
}
