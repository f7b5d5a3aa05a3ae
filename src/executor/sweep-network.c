/* sweep-network.c - routers of projects and gangs that have no attempt left */
#include "executor/internal.h"

#include "base/alloc.h"
#include "os/clock.h"
#include "os/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define SPEC_LIMIT     (8 << 20)
#define ENDING_US      INT64_C(3000000)
#define ENDING_STEP_US 10000

struct used {
    VEC(unsigned) ranges;
    VEC(struct id) gangs;
};

static void used_done(struct used *used)
{
    vec_done(&used->ranges);
    vec_done(&used->gangs);
}

json_t *attempt_spec(struct executor *x, const char *attempt)
{
    _cleanup_free_ char *path = xasprintf("%s/spec.json", attempt);
    _cleanup_text_ struct text text = { 0 };
    json_t *json = NULL;
    _cleanup_close_ int fd = open_beneath_nosymlink(x->attempts_fd, path, O_RDONLY, 0);
    if (fd < 0)
        return NULL;

    _cleanup_free_ char *self = xasprintf("/proc/self/fd/%d", fd);
    if (file_read(AT_FDCWD, self, SPEC_LIMIT, &text, NULL) < 0 ||
        json_parse(text_str(&text), text.len, &json, NULL) < 0)
        return NULL;
    return json;
}

/* -ENOENT: nobody can say which router this attempt uses. */
static int add_routers(struct executor *x, const char *attempt, struct used *ret)
{
    _cleanup_json_ json_t *spec = attempt_spec(x, attempt);
    int64_t range = json_get_int(spec, "range", -1);
    struct id gang;

    if (range < 0 || range > UINT32_MAX)
        return -ENOENT;
    vec_push(&ret->ranges, (unsigned) range);
    if (id_parse(json_get_str(json_object_get(spec, "gang"), "attempt", ""), &gang) == 0)
        vec_push(&ret->gangs, gang);
    return 0;
}

static inline void closedirp(DIR **dir)
{
    if (*dir)
        (void) closedir(*dir);
}

/* STATE/running has a directory for every attempt whose supervisor may still be there. */
static int add_running(struct executor *x, struct used *ret, struct error *err)
{
    int fd = openat(x->running_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_(closedirp) DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (!dir)
        return error_set(err, -errno, "running: %m");
    for (const struct dirent *e; (e = readdir(dir));) {
        struct id id;
        if (id_parse(e->d_name, &id) < 0 || !attempt_is_locked(x, e->d_name))
            continue;
        int r = add_routers(x, e->d_name, ret);
        if (r < 0)
            return error_set(err, r, "attempt %s runs, but its spec cannot be read", e->d_name);
    }
    return 0;
}

/* Some supervisor has told its end and holds its lock still, for the moment that it needs to go. */
static bool some_are_ending(struct executor *x)
{
    int fd = openat(x->running_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_(closedirp) DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    for (const struct dirent *e; dir && (e = readdir(dir));) {
        _cleanup_free_ char *ended = xasprintf("%s/exit.json", e->d_name);
        struct id id;
        if (id_parse(e->d_name, &id) >= 0 && faccessat(x->attempts_fd, ended, F_OK, 0) == 0 &&
            attempt_is_locked(x, e->d_name))
            return true;
    }
    return false;
}

void sweep_networks_at_end(struct executor *x)
{
    for (int64_t until_us = clock_boot_us() + ENDING_US; some_are_ending(x);) {
        if (clock_boot_us() > until_us)
            break;
        (void) usleep(ENDING_STEP_US);
    }
    (void) sweep_networks(x, NULL, 0, NULL);
}

int sweep_networks(struct executor *x, const struct id *live, size_t n, struct error *err)
{
    _cleanup_(used_done) struct used used = { 0 };
    char name[ID_TEXT_LEN + 1];

    /* One that is about to start has no directory in running yet; without a spec it never ran. */
    for (size_t i = 0; i < n; i++)
        (void) add_routers(x, id_format(&live[i], name), &used);
    const int r = add_running(x, &used, err);
    const struct network_live keep = { .projects = used.ranges.items,
                                       .n_projects = used.ranges.len,
                                       .gangs = used.gangs.items,
                                       .n_gangs = used.gangs.len };
    return r < 0 ? r : network_sweep(x->network, &keep, err);
}
