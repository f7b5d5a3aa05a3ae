/* command.h - Slurm's commands as processes: a few at a time, each with a time limit, none waited for */
#ifndef ENGINE_SLURM_COMMAND_H
#define ENGINE_SLURM_COMMAND_H

#include "base/error.h"
#include "base/text.h"
#include "os/loop.h"
#include "task/task.h"

struct commands;
struct engine;

struct command_result {
    int code;               /* exit code; 128 + signal; negative errno: it could not be run */
    const struct text *out; /* what it printed, at most OUTPUT_MAX bytes */
    char words[160];        /* what it complained of, fit to be shown; "" */
    int64_t began_us;       /* when it was started, of the loop's clock */
};

/* RESULT is valid during the call. */
typedef void (*command_f)(void *userdata, const struct command_result *result);

struct commands_options {
    struct loop *loop;
    const char *conf;     /* SLURM_CONF; NULL: Slurm's own default */
    const char *bin;      /* directory of the commands; NULL: looked up in PATH */
    struct engine *local; /* whose launcher gives orders as other accounts */
    unsigned at_once;
    int64_t limit_us; /* a command that takes longer is killed: -ETIMEDOUT */
};

struct commands *commands_new(const struct commands_options *options);
/* Kills what runs; nothing is called any more. */
void commands_free(struct commands *commands);

struct command {
    const char *const *argv;             /* argv[0] is the command's name */
    const char *input;                   /* NULL: none */
    const struct slurm_job_order *order; /* in place of both: the launcher gives it; NULL: none */
    command_f done;
    void *userdata;
    void (*free_userdata)(void *userdata); /* also when it is never run; may be NULL */
};
/* All is copied. In order, as soon as one of AT_ONCE is free. */
void commands_run(struct commands *commands, const struct command *command);
/* Run one now and wait for it: for the start of a server alone. */
int command_run_now(const struct commands_options *options, const char *const *argv,
                    struct text *out, struct error *err);

#endif
