/* command.c - a command's output goes to memory files, which are read when its pidfd says that it has ended */
#include "engine/slurm/command.h"

#include "base/alloc.h"
#include "base/time.h"
#include "engine/local.h"
#include "engine/slurm/text.h"
#include "os/fd.h"
#include "os/process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { OUTPUT_MAX = 64 << 20, WORDS_MAX = 64 << 10 };

struct running {
    struct commands *commands;
    struct running *prev, *next;
    char **argv;
    char *input;
    struct slurm_job_order *order; /* NULL: it is this process's own to run */
    command_f done;
    void *userdata;
    void (*free_userdata)(void *userdata);
    struct process process;
    struct watch *watch, *timer;
    int out, err;
    struct error failure; /* to start */
    int64_t began_us;
    bool late;
};

struct list {
    struct running *first, *last;
    unsigned len;
};

struct commands {
    struct commands_options options;
    char **env;
    char *bin;
    struct list waiting, running;
};

static void list_add(struct list *list, struct running *r)
{
    r->prev = list->last;
    r->next = NULL;
    *(list->last ? &list->last->next : &list->first) = r;
    list->last = r;
    list->len++;
}

static void list_remove(struct list *list, struct running *r)
{
    *(r->prev ? &r->prev->next : &list->first) = r->next;
    *(r->next ? &r->next->prev : &list->last) = r->prev;
    list->len--;
}

static void running_free(struct running *r)
{
    watch_free(r->watch);
    watch_free(r->timer);
    process_kill(&r->process);
    safe_close(r->out);
    safe_close(r->err);
    if (r->free_userdata)
        r->free_userdata(r->userdata);
    if (r->order) {
        local_forget_orders(r->commands->options.local, r);
        explicit_bzero(r->order, sizeof *r->order);
    }
    free(r->order);
    slurm_words_free(r->argv);
    if (r->input)
        explicit_bzero(r->input, strlen(r->input));
    free(r->input);
    free(r);
}

static void read_back(int fd, size_t limit, struct text *ret)
{
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0 || lseek(fd, 0, SEEK_SET) < 0)
        return;
    size_t size = (size_t) st.st_size < limit ? (size_t) st.st_size : limit;
    if (read_full(fd, text_reserve(ret, size + 1), size) >= 0)
        ret->len += size;
    ret->data[ret->len] = '\0';
}

static int start(struct running *r, struct error *err)
{
    struct commands *c = r->commands;
    _cleanup_free_ char *path = c->bin ? xasprintf("%s/%s", c->bin, r->argv[0]) : NULL;
    _cleanup_free_ char *name = r->argv[0];
    _cleanup_close_ int input = r->input ? memfd_create("input", MFD_CLOEXEC) : -1;

    r->argv[0] = path ? take_ptr(path) : xstrdup(name);
    r->out = memfd_create("out", MFD_CLOEXEC);
    r->err = memfd_create("err", MFD_CLOEXEC);
    if (r->out < 0 || r->err < 0 || (r->input && input < 0))
        return error_set(err, -errno, "%s: %s", name, strerror(errno));
    if (r->input &&
        (write_full(input, r->input, strlen(r->input)) < 0 || lseek(input, 0, SEEK_SET) < 0))
        return error_set(err, -errno, "%s: %s", name, strerror(errno));
    const struct process_options options = {
        .argv = (const char *const *) r->argv,
        .envp = (const char *const *) c->env,
        .cwd = "/",
        .stdin_fd = input,
        .stdout_fd = r->out,
        .stderr_fd = r->err,
        .die_with_parent = true,
    };
    return process_start(&options, &r->process, err);
}

static void begin_more(struct commands *c);

static void on_ordered(void *userdata, int code, const char *text);

/* What both of its streams say comes in one file: only the launcher's child has it open. */
static int start_there(struct running *r, struct error *err)
{
    r->out = memfd_create("out", MFD_CLOEXEC);
    if (r->out < 0)
        return error_set(err, -errno, "an order to Slurm: %s", strerror(errno));
    return local_order(r->commands->options.local, r->order, r->out, on_ordered, r, err);
}

/* R is gone afterwards. */
static void report(struct running *r, int code, const char *words)
{
    struct commands *c = r->commands;
    _cleanup_text_ struct text out = { 0 }, complaint = { 0 };
    struct command_result result = { .code = code, .out = &out, .began_us = r->began_us };

    read_back(r->out, OUTPUT_MAX, &out);
    read_back(r->order ? r->out : r->err, WORDS_MAX, &complaint);
    if (words)
        (void) snprintf(result.words, sizeof result.words, "%s", words);
    else
        slurm_words(text_str(&complaint), complaint.len, result.words, sizeof result.words);
    list_remove(&c->running, r);
    r->done(r->userdata, &result);
    running_free(r);
    begin_more(c);
}

static void on_end(void *userdata, uint32_t events)
{
    struct running *r = userdata;

    watch_free(r->watch);
    r->watch = NULL;
    int code = process_wait(&r->process);

    if (r->late)
        report(r, -ETIMEDOUT, "Slurm did not answer in time");
    else
        report(r, code, NULL);
}

static void on_ordered(void *userdata, int code, const char *text)
{
    report(userdata, code, code < 0 ? text : NULL);
}

static void on_late(void *userdata)
{
    struct running *r = userdata;

    r->late = true;
    (void) pidfd_signal(r->process.pidfd, SIGKILL);
}

static void on_failed(void *userdata)
{
    struct running *r = userdata;

    report(r, r->order ? r->failure.code : -ENOENT, r->failure.text);
}

static void begin(struct running *r)
{
    struct commands *c = r->commands;

    list_add(&c->running, r);
    r->began_us = loop_now_us(c->options.loop);
    int code = r->order ? start_there(r, &r->failure) : start(r, &r->failure);
    if (code < 0) { /* reported from the loop, as everything */
        r->timer = loop_timer(c->options.loop, 0, on_failed, r);
        return;
    }
    if (r->order) /* its time is limited there */
        return;
    r->watch = loop_watch(c->options.loop, r->process.pidfd, EPOLLIN, on_end, r);
    r->timer = loop_timer(c->options.loop, c->options.limit_us, on_late, r);
}

static void begin_more(struct commands *c)
{
    while (c->waiting.first && c->running.len < c->options.at_once) {
        struct running *r = c->waiting.first;
        list_remove(&c->waiting, r);
        begin(r);
    }
}

struct commands *commands_new(const struct commands_options *options)
{
    struct commands *c = xnew(struct commands);

    c->options = *options;
    c->bin = xstrdup(options->bin);
    c->env = slurm_environment(options->conf, options->bin);
    c->options.conf = c->options.bin = NULL;
    return c;
}

void commands_free(struct commands *c)
{
    if (!c)
        return;
    for (struct running *r = c->waiting.first, *next; r; r = next) {
        next = r->next;
        running_free(r);
    }
    for (struct running *r = c->running.first, *next; r; r = next) {
        next = r->next;
        running_free(r);
    }
    slurm_words_free(c->env);
    free(c->bin);
    free(c);
}

void commands_run(struct commands *c, const struct command *command)
{
    struct running *r = xnew(struct running);
    size_t n = 0;

    while (command->argv && command->argv[n])
        n++;
    r->commands = c;
    r->argv = xnew_n(char *, n + 1);
    for (size_t i = 0; i < n; i++)
        r->argv[i] = xstrdup(command->argv[i]);
    r->input = xstrdup(command->input);
    r->order = command->order ? xmemdup(command->order, sizeof *command->order) : NULL;
    r->done = command->done;
    r->userdata = command->userdata;
    r->free_userdata = command->free_userdata;
    r->process.pidfd = r->out = r->err = -1;
    list_add(&c->waiting, r);
    begin_more(c);
}

/* ---- at the start of a server --------------------------------------------------------------------- */

struct waited {
    struct text *out;
    struct error *err;
    bool done;
    int code;
};

static void on_waited(void *userdata, const struct command_result *result)
{
    struct waited *w = userdata;

    w->done = true;
    w->code = result->code;
    text_add_bytes(w->out, text_str(result->out), result->out->len);
    if (result->code != 0)
        w->code = error_set(w->err, result->code < 0 ? result->code : -EIO, "%s", result->words);
}

int command_run_now(const struct commands_options *options, const char *const *argv,
                    struct text *out, struct error *err)
{
    _cleanup_(loop_freep) struct loop *loop = loop_new();
    struct commands_options own = *options;
    struct waited waited = { .out = out, .err = err };
    const struct command command = { .argv = argv, .done = on_waited, .userdata = &waited };

    own.loop = loop;
    struct commands *c = commands_new(&own);
    commands_run(c, &command);
    while (!waited.done)
        loop_once(loop, -1);
    commands_free(c);
    return waited.code;
}
