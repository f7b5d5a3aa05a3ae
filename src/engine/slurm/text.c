/* text.c - what Slurm's commands say about jobs, and their errors */
#include "engine/slurm/text.h"

#include "base/text.h"
#include "engine/slurm/fields.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- fields -------------------------------------------------------------------------------------- */

bool slice_is(struct slice s, const char *word)
{
    return s.len == strlen(word) && memcmp(s.at, word, s.len) == 0;
}

bool slice_number(struct slice s, uint64_t max, uint64_t *ret)
{
    uint64_t n = 0;

    if (s.len == 0 || s.len > 15)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] < '0' || s.at[i] > '9')
            return false;
        n = n * 10 + (uint64_t) (s.at[i] - '0');
    }
    *ret = n;
    return n <= max;
}

void slice_copy(struct slice s, char *ret, size_t size)
{
    size_t n = 0;

    for (size_t i = 0; i < s.len && n < size - 1; i++)
        ret[n++] = s.at[i] >= ' ' && s.at[i] <= '~' ? s.at[i] : '?';
    ret[n] = '\0';
}

struct slice slice_until(struct slice *rest, char end)
{
    const char *p = rest->len ? memchr(rest->at, end, rest->len) : NULL;
    struct slice field = { rest->at, p ? (size_t) (p - rest->at) : rest->len };
    size_t skip = field.len + (p != NULL);

    rest->at += skip;
    rest->len -= skip;
    return field;
}

bool slice_key(struct slice line, const char *key, struct slice *ret)
{
    size_t n = strlen(key);

    for (size_t i = 0; i + n < line.len; i++) {
        if ((i > 0 && line.at[i - 1] != ' ') || memcmp(line.at + i, key, n) != 0 ||
            line.at[i + n] != '=')
            continue;
        struct slice rest = { line.at + i + n + 1, line.len - i - n - 1 };
        *ret = slice_until(&rest, ' ');
        return true;
    }
    *ret = (struct slice){ "", 0 };
    return false;
}

/* ---- jobs ---------------------------------------------------------------------------------------- */

enum slurm_state slurm_state_parse(const char *word, size_t len)
{
    static const struct {
        const char *word;
        enum slurm_state state;
    } table[] = {
        { "PENDING", SLURM_PENDING },      { "REQUEUED", SLURM_PENDING },
        { "REQUEUE_HOLD", SLURM_PENDING }, { "REQUEUE_FED", SLURM_PENDING },
        { "SPECIAL_EXIT", SLURM_PENDING }, { "RESV_DEL_HOLD", SLURM_PENDING },
        { "CONFIGURING", SLURM_RUNNING },  { "RUNNING", SLURM_RUNNING },
        { "COMPLETING", SLURM_RUNNING },   { "SIGNALING", SLURM_RUNNING },
        { "STAGE_OUT", SLURM_RUNNING },    { "STOPPED", SLURM_RUNNING },
        { "SUSPENDED", SLURM_RUNNING },    { "RESIZING", SLURM_RUNNING },
        { "COMPLETED", SLURM_COMPLETED },  { "FAILED", SLURM_FAILED },
        { "BOOT_FAIL", SLURM_NODE_FAIL },  { "LAUNCH_FAILED", SLURM_FAILED },
        { "RECONFIG_FAIL", SLURM_FAILED }, { "REVOKED", SLURM_CANCELLED },
        { "CANCELLED", SLURM_CANCELLED },  { "TIMEOUT", SLURM_TIMEOUT },
        { "DEADLINE", SLURM_TIMEOUT },     { "NODE_FAIL", SLURM_NODE_FAIL },
        { "PREEMPTED", SLURM_PREEMPTED },  { "OUT_OF_MEMORY", SLURM_OUT_OF_MEMORY },
    };
    struct slice all = { word, len };
    struct slice first = slice_until(&all, ' ');

    first = slice_until(&first, '+');
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (slice_is(first, table[i].word))
            return table[i].state;
    return SLURM_UNKNOWN;
}

bool slurm_state_is_final(enum slurm_state state) { return state >= SLURM_COMPLETED; }

int slurm_parse_submitted(const char *text, size_t len, uint32_t *ret, struct error *err)
{
    struct slice rest = { text, len };
    char words[96];

    while (rest.len > 0) {
        struct slice line = slice_until(&rest, '\n');
        struct slice number = slice_until(&line, ';');
        uint64_t job;
        if (!slice_number(number, UINT32_MAX, &job) || job == 0)
            continue;
        *ret = (uint32_t) job;
        return 0;
    }
    slurm_words(text, len, words, sizeof words);
    return error_set(err, -EBADMSG, "sbatch did not name a job: '%s'", words);
}

bool slurm_parse_own(const char *line, size_t len, const char *prefix, struct slurm_own *ret)
{
    struct slice rest = { line, len };
    struct slice job = slice_until(&rest, '|'), state = slice_until(&rest, '|');
    struct slice reason = slice_until(&rest, '|');
    size_t n = strlen(prefix);
    char id[ID_TEXT_LEN + 1];
    uint64_t number;

    if (!slice_number(job, UINT32_MAX, &number) || number == 0)
        return false;
    if (rest.len != n + 1 + ID_TEXT_LEN || memcmp(rest.at, prefix, n) != 0 || rest.at[n] != '-')
        return false;
    memcpy(id, rest.at + n + 1, ID_TEXT_LEN);
    id[ID_TEXT_LEN] = '\0';
    *ret = (struct slurm_own){ .job = (uint32_t) number,
                               .state = slurm_state_parse(state.at, state.len) };
    slice_copy(reason, ret->reason, sizeof ret->reason);
    return id_parse(id, &ret->task) == 0;
}

bool slurm_parse_held(const char *line, size_t len, struct slurm_held *ret)
{
    struct slice rest = { line, len };
    struct slice job = slice_until(&rest, '|'), nodes = slice_until(&rest, '|');
    struct slice n_nodes = slice_until(&rest, '|'), cpus = slice_until(&rest, '|');
    struct slice memory = slice_until(&rest, '|');
    uint64_t number, n, c;

    if (!slice_number(job, UINT32_MAX, &number) || nodes.len == 0 ||
        !slice_number(n_nodes, 1 << 20, &n) || n == 0 || !slice_number(cpus, UINT32_MAX, &c))
        return false;
    int64_t bytes = slurm_parse_memory(memory.at, memory.len);
    *ret = (struct slurm_held){
        .job = (uint32_t) number,
        .nodes = nodes.at,
        .nodes_len = nodes.len,
        .cpus = (unsigned) ((c + n - 1) / n),
        .gpus = slurm_parse_gpus(rest.at, rest.len, NULL),
        .memory_bytes = bytes > 0 ? bytes : 0,
    };
    return true;
}

/* "3:0": exit code and signal. */
static void parse_exit(struct slice s, struct slurm_job *ret)
{
    struct slice code = slice_until(&s, ':');
    uint64_t n;

    ret->exit_code = slice_number(code, 255, &n) ? (int) n : -1;
    ret->exit_signal = slice_number(s, 255, &n) ? (int) n : 0;
}

int slurm_parse_job(const char *text, size_t len, struct slurm_job *ret, struct error *err)
{
    struct slice all = { text, len };
    struct slice line = slice_until(&all, '\n'), value;
    uint64_t number;

    *ret = (struct slurm_job){ 0 };
    if (!slice_key(line, "JobId", &value) || !slice_number(value, UINT32_MAX, &number))
        return error_set(err, -EBADMSG, "scontrol did not show a job");
    ret->job = (uint32_t) number;
    if (slice_key(line, "JobState", &value))
        ret->state = slurm_state_parse(value.at, value.len);
    (void) slice_key(line, "Reason", &value);
    slice_copy(value, ret->reason, sizeof ret->reason);
    (void) slice_key(line, "BatchHost", &value);
    slice_copy(value, ret->node, sizeof ret->node);
    (void) slice_key(line, "ExitCode", &value);
    parse_exit(value, ret);
    ret->ran = slice_key(line, "RunTime", &value) && !slice_is(value, "00:00:00");
    if (slice_key(line, "Restarts", &value) && slice_number(value, UINT32_MAX, &number))
        ret->restarts = (unsigned) number;
    return 0;
}

/* ---- errors -------------------------------------------------------------------------------------- */

const char *slurm_hint(const char *text)
{
    static const char *const words[] = { "Zero Bytes were transmitted", "authentication",
                                         "Munge decode failed", "Expired credential",
                                         "Rewound credential" };

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcasestr(text, words[i]))
            return " (perhaps slurmctld refuses what munge says here: are the clocks and the keys "
                   "of both machines the same?)";
    return "";
}

bool slurm_is_away(const char *text)
{
    static const char *const words[] = {
        "Unable to contact slurm controller",
        "Unable to establish con",
        "Socket timed out",
        "Connection refused",
        "Connection reset",
        "Connection timed out",
        "Zero Bytes were transmitted",
        "Transport endpoint is not connected",
        "Protocol authentication error",
        "Invalid authentication credential",
        "Munge decode failed",
        "Munge encode failed",
        "munged",
        "Expired credential",
        "authentication",
        "Slurm backup controller in standby mode",
        "Resource temporarily unavailable",
        "temporarily unable to accept job",
        "Slurm temporarily",
        "Job submit limit",
        "No space left",
        "I/O error writing script",
        "Unable to create job",
    };

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcasestr(text, words[i]))
            return true;
    return false;
}

/* "sbatch: error: Batch job submission failed: X": the program is no news. */
static struct slice without_program(struct slice line)
{
    static const char *const parts[] = { "sbatch: ",         "squeue: ",        "scancel: ",
                                         "scontrol: ",       "error: ",         "fatal: ",
                                         "slurm_load_jobs ", "slurm_load_node " };

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        size_t n = strlen(parts[i]);
        if (line.len > n && memcmp(line.at, parts[i], n) == 0) {
            line.at += n;
            line.len -= n;
        }
    }
    return line;
}

void slurm_words(const char *text, size_t len, char *ret, size_t size)
{
    struct slice rest = { text, len };
    struct slice best = { "", 0 };

    while (rest.len > 0) {
        struct slice line = without_program(slice_until(&rest, '\n'));
        if (line.len > 0)
            best = line;
    }
    slice_copy(best, ret, size);
}
