/* internal.h - what every command gets: where it talks to, how it prints, what was typed */
#ifndef CLI_INTERNAL_H
#define CLI_INTERNAL_H

#include "cli/config.h"
#include "cli/term.h"
#include "declare/declare.h"
#include "http/http.h"

#include "base/map.h"
#include "base/vec.h"

#include <stdint.h>

/* jansson's iteration takes what is not const and changes nothing. */
#define json_mutable(json) ((json_t *) (uintptr_t) (json))

enum cli_exit {
    CLI_OK = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 2,
    CLI_NOT_FOUND = 3,
    CLI_DENIED = 4,
    CLI_CONFLICT = 5,
    CLI_BROKEN = 125, /* `berth run`: Berth itself failed */
};

enum cli_output { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_YAML, OUTPUT_NAME };

struct cli {
    struct term out, err;
    struct config config;
    char *context;             /* --context, or NULL */
    char *url, *key, *project; /* resolved; key may be NULL */
    enum cli_output output;
    bool output_given;
    bool wait, dry_run, help;
    struct http_client *client; /* connected at first use */
};

/* ---- the command line ------------------------------------------------------------------------ */

struct cli_flag {
    const char *name;    /* "follow" */
    const char *letter;  /* "f", or NULL */
    const char *operand; /* "N"; NULL: a switch; "[=N]": only after '=', or none */
    const char *doc;
};
bool cli_flag_is_optional(const struct cli_flag *flag);

struct args;

struct command {
    const char *noun;     /* "job"; NULL: a shortcut or a command of its own */
    const char *verb;     /* "list", "run" */
    const char *operands; /* "JOB [GLOB]", or NULL */
    const char *summary;
    const char *examples;         /* lines without indentation; NULL: none */
    const struct cli_flag *flags; /* own ones, ended by one without a name; NULL: none */
    /* What to do instead of a flag that is none (LEN bytes of NAME); NULL: nobody knows. May be NULL. */
    const char *(*refuses)(const char *name, size_t len, bool is_letter);
    const char
        *endpoint; /* the declaration whose query and body fields are flags too; NULL: none */
    unsigned operands_min, operands_max; /* UINT_MAX: any number */
    /* The operand of this number, from 1, begins a command: no flag of ours comes after it. 0: none. */
    unsigned takes_command;
    bool offline; /* needs no server */
    bool goes_in; /* JOB is one that runs */
    /* Returns an exit code, or a negative errno with ERR set. */
    int (*run)(struct cli *cli, const struct args *args, struct error *err);
};

struct args {
    const struct command *command;
    const struct declare_endpoint *endpoint; /* NULL when the command has none */
    VEC(char *) operands;
    struct map *flags;    /* own flags: name to the last value ("" for a switch) */
    json_t *query, *body; /* what declared flags said, not checked yet; objects */
};

/* The last value of an own flag, NULL when it was not given. */
const char *args_get(const struct args *args, const char *flag);
bool args_has(const struct args *args, const char *flag);
const char *args_operand(const struct args *args, size_t i); /* NULL when there are fewer */
/* Parse what follows noun and verb, global flags included. */
int args_parse(struct cli *cli, const struct command *command, int argc, char **argv,
               struct args *ret, struct error *err);
void args_done(struct args *args);
extern const struct cli_flag cli_global_flags[];

/* Commands: bespoke ones from a table, the others made from the declared endpoints "noun.verb". */
extern const struct command *const cli_commands[];
extern const size_t cli_n_commands;
/* NULL when there is none. Made ones are kept until the program ends. */
const struct command *command_find(const char *noun, const char *verb);
/* Calls F for every command, shortcuts first, then by noun in order. */
void command_each(void (*f)(void *userdata, const struct command *command), void *userdata);
bool command_is_noun(const char *word);
/* The nearest of the words, when one is near enough; NULL otherwise. */
const char *nearest_word(const char *typed, const char *const *words, size_t n);

void help_all(const struct cli *cli, struct text *out);
void help_noun(const struct cli *cli, const char *noun, struct text *out);
void help_command(const struct cli *cli, const struct command *command, struct text *out);

/* ---- talking to the server --------------------------------------------------------------------- */

/* URL, key and project from flags, environment and context. */
int cli_resolve(struct cli *cli, struct error *err);
void cli_done(struct cli *cli);

struct remote_call {
    const char *method;
    const char *target; /* escaped, with query */
    const json_t *body; /* JSON body; NULL: none */
    const char *idempotency_key, *if_match, *last_event_id, *accept, *content_type; /* NULL: none */
    ssize_t (*read_body)(void *userdata, void *bytes, size_t n); /* raw body of read_len bytes */
    int64_t read_len;
    int (*on_body)(void *userdata, const char *bytes, size_t n); /* streamed answer */
    void *userdata;
    unsigned timeout_ms; /* 0: the usual; UINT_MAX: none */
    bool asks;           /* it changes nothing, although it is no GET */
};

/* Status 2xx: 0, with the JSON answer (NULL when there is none or it was streamed). A problem document
 * becomes a negative errno (-ENOENT 404, -EACCES 401 and 403, -EINVAL 400 and 422, -EEXIST 409 and 412,
 * -EBUSY 429 and 503, -ENOSPC for what cannot fit, -EREMOTEIO otherwise) and its words. No server:
 * -ECONNREFUSED. */
int remote_call(struct cli *cli, const struct remote_call *call, json_t **ret, struct error *err);
int remote_get(struct cli *cli, const char *target, json_t **ret, struct error *err);
/* With a new Idempotency-Key. */
int remote_post(struct cli *cli, const char *target, const json_t *body, json_t **ret,
                struct error *err);
/* "/v1/projects/PROJECT" and "/SEGMENT" for each argument, escaped, up to NULL. Owned by the caller. */
__attribute__((sentinel)) char *project_path(const struct cli *cli, ...);
/* Open a WebSocket at TARGET; as remote_call() otherwise. CLI is resolved and only read: any thread may. */
int remote_upgrade(struct cli *cli, const char *target, const char *subprotocol,
                   struct websocket_link *ret, struct error *err);
/* The target of an endpoint: {project} from the context, other parameters from OPERANDS in order, then
 * the query. -EINVAL when operands are missing. */
int endpoint_target(const struct cli *cli, const struct declare_endpoint *e,
                    const struct args *args, char **ret, struct error *err);
/* Exit code of an error. */
int exit_code_of(int code);

/* ---- printing ---------------------------------------------------------------------------------- */

/* An answer as -o says: a list ({"items"}) as a table of NOUN, one thing as lines "field  value". */
void print_answer(const struct cli *cli, const char *noun, const json_t *answer);
void print_json(const struct cli *cli, const json_t *value); /* as JSON or YAML, by cli->output */
/* TEXT on stdout, in one write. */
void print_text(const struct text *t);
/* "berth: TEXT" on stderr: why a command fails. */
void print_error(const struct cli *cli, const char *text);
/* "note: …" on stderr. */
__attribute__((format(printf, 2, 3))) void print_note(const struct cli *cli, const char *fmt, ...);
/* One value for a table cell, by its field's name and kind: sizes, durations, ages. */
char *format_value(const struct declare_field *field, const char *name, const json_t *value);
/* "3m ago" for a time in RFC 3339, counted from NOW_US. */
char *format_age(const char *time, int64_t now_us);
extern const char *const job_states[];
bool state_is_final(const char *state);

/* Has Ctrl-C been pressed (since the handler was set)? */
void interrupt_catch(void);
void interrupt_release(void);
unsigned interrupt_count(void);
/* End waits every so many seconds, so that on_body callbacks run; until interrupt_release(). */
void interrupt_beat(unsigned seconds);

/* ---- rank.c ---- */
#define RANK_MAX 4095
#define RANK_FLAG                                                                                  \
    {                                                                                              \
        "rank", NULL, "N", "task N of a job that has many; the first, 0, when left out"            \
    }
/* --rank of ARGS, -1: it was left out. */
int rank_of(const struct args *args, int *ret, struct error *err);
/* It as part of TARGET's query. */
int rank_add(const struct args *args, char **target, struct error *err);
/* The same where `--rank all` means each of them. */
int ranks_add(const struct args *args, char **target, struct error *err);

#endif
