/* text-node.c - what Slurm's commands say about machines */
#include "engine/slurm/fields.h"
#include "engine/slurm/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MIB        (INT64_C(1) << 20)
#define CPUS_MAX   4096u
#define GPUS_MAX   256u
#define MEMORY_MAX (INT64_C(1) << 32) /* MiB */

int64_t slurm_parse_memory(const char *text, size_t len)
{
    static const char units[] = "MGTP";
    struct slice s = { text, len };
    int64_t unit = MIB;
    uint64_t n;

    /* "c" and "n": for each CPU, for each node. */
    if (s.len > 1 && (s.at[s.len - 1] == 'c' || s.at[s.len - 1] == 'n'))
        s.len--;
    const char *p = s.len > 1 ? memchr(units, s.at[s.len - 1], sizeof units - 1) : NULL;
    if (p) {
        unit <<= 10 * (p - units);
        s.len--;
    }
    if (s.len > 2 && p && memchr(s.at, '.', s.len))
        s = slice_until(&s, '.');
    return slice_number(s, (uint64_t) (MEMORY_MAX * MIB / unit), &n) ? (int64_t) n * unit : -1;
}

/* What comes after "gpu", without what is in parentheses; false: these are no GPUs. */
static bool cut_gpu(struct slice *s)
{
    *s = slice_until(s, '(');
    if (s->len > 5 && (memcmp(s->at, "gres:", 5) == 0 || memcmp(s->at, "gres/", 5) == 0)) {
        s->at += 5;
        s->len -= 5;
    }
    if (s->len < 3 || memcmp(s->at, "gpu", 3) != 0)
        return false;
    s->at += 3;
    s->len -= 3;
    return s->len == 0 || s->at[0] == ':' || s->at[0] == '=';
}

/* "gpu", "gpu:4", "gpu:a100:4(S:0-1)", "gres/gpu=2", "gres/gpu:a100=2" */
static unsigned parse_gpu(struct slice s, char *model)
{
    size_t last = 0;
    uint64_t n;

    if (!cut_gpu(&s))
        return 0;
    for (size_t i = 0; i < s.len; i++)
        if (s.at[i] == ':' || s.at[i] == '=')
            last = i;
    bool counted = s.len > 0 &&
                   slice_number((struct slice){ s.at + last + 1, s.len - last - 1 }, GPUS_MAX, &n);
    size_t end = counted ? last : s.len;
    if (model && !model[0] && end > 1)
        slice_copy((struct slice){ s.at + 1, end - 1 }, model, 64);
    return counted ? (unsigned) n : 1;
}

unsigned slurm_parse_gpus(const char *text, size_t len, char model[64])
{
    struct slice rest = { text, len };
    unsigned n = 0;

    /* A list inside of parentheses has commas, too: "(S:0,1)"; its pieces are no GPUs. */
    while (rest.len > 0 && n < GPUS_MAX)
        n += parse_gpu(slice_until(&rest, ','), model);
    return n < GPUS_MAX ? n : GPUS_MAX;
}

/* ---- state --------------------------------------------------------------------------------------- */

/* "IDLE+DRAIN", "MIXED*", "DOWN": NULL when work can begin there, else why not. */
static const char *state_fault(struct slice state)
{
    static const struct {
        const char *word, *fault;
    } table[] = {
        { "DOWN", "down" },
        { "DRAIN", "drained" },
        { "DRAINED", "drained" },
        { "DRAINING", "drained" },
        { "ERROR", "in error" },
        { "FAIL", "failing" },
        { "FAILING", "failing" },
        { "FUTURE", "not there yet" },
        { "INVAL", "registered with less than slurm.conf says" },
        { "INVALID_REG", "registered with less than slurm.conf says" },
        { "MAINT", "in maintenance" },
        { "NOT_RESPONDING", "not responding" },
        { "NO_RESPOND", "not responding" },
        { "PERFCTRS", "taken for performance counters" },
        { "POWERING_DOWN", "powering down" },
        { "POWER_DOWN", "powering down" },
        { "REBOOT", "about to reboot" },
        { "REBOOT_ISSUED", "rebooting" },
        { "REBOOT_REQUESTED", "about to reboot" },
        { "RESERVED", "reserved" },
        { "UNKNOWN", "in a state that Slurm does not know yet" },
    };
    static const char *const bases[] = {
        "IDLE", "MIXED", "ALLOCATED", "COMPLETING", "ALLOC", "MIX"
    };
    bool not_responding = state.len > 0 && state.at[state.len - 1] == '*';
    bool known = false;

    for (struct slice rest = state; rest.len > 0;) {
        struct slice word = slice_until(&rest, '+');
        while (word.len > 0 && strchr("*~#!%$@^-", word.at[word.len - 1]))
            word.len--;
        for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
            if (slice_is(word, table[i].word))
                return table[i].fault;
        for (size_t i = 0; i < sizeof bases / sizeof bases[0]; i++)
            known = known || slice_is(word, bases[i]);
    }
    if (not_responding)
        return "not responding";
    return known ? NULL : "in a state that Berth does not know";
}

/* The reason that somebody gave is the end of the line. */
static void put_fault(struct slice line, const char *fault, struct slurm_node *ret)
{
    static const char key[] = " Reason=";
    const char *p = memmem(line.at, line.len, key, sizeof key - 1);
    char reason[112] = "";

    if (p) {
        p += sizeof key - 1;
        slice_copy((struct slice){ p, (size_t) (line.at + line.len - p) }, reason, sizeof reason);
    }
    (void) snprintf(ret->fault, sizeof ret->fault, "%s in Slurm%s%s", fault, reason[0] ? ": " : "",
                    reason);
}

static unsigned number_of(struct slice line, const char *key, unsigned max, unsigned otherwise)
{
    struct slice value;
    uint64_t n;

    return slice_key(line, key, &value) && slice_number(value, max, &n) ? (unsigned) n : otherwise;
}

static int64_t mib_of(struct slice line, const char *key)
{
    struct slice value;
    uint64_t n;

    return slice_key(line, key, &value) && slice_number(value, (uint64_t) MEMORY_MAX, &n)
               ? (int64_t) n * MIB
               : 0;
}

static void read_kernel(struct slice line, struct slurm_node *ret)
{
    struct slice value;

    /* "OS=Linux 6.1.0-18-amd64 #1 SMP …" */
    if (!slice_key(line, "OS", &value))
        return;
    struct slice rest = { value.at, (size_t) (line.at + line.len - value.at) };
    (void) slice_until(&rest, ' ');
    slice_copy(slice_until(&rest, ' '), ret->kernel, sizeof ret->kernel);
}

int slurm_parse_node(const char *text, size_t len, struct slurm_node *ret, struct error *err)
{
    struct slice line = { text, len }, value;

    *ret = (struct slurm_node){ 0 };
    if (!slice_key(line, "NodeName", &value) || value.at != text + sizeof "NodeName=" - 1 ||
        value.len == 0)
        return error_set(err, -EINVAL, "scontrol did not show a node");
    slice_copy(value, ret->name, sizeof ret->name);
    ret->cpus = number_of(line, "CPUEfctv", CPUS_MAX, number_of(line, "CPUTot", CPUS_MAX, 0));
    ret->sockets = number_of(line, "Sockets", CPUS_MAX, 1);
    ret->threads = number_of(line, "ThreadsPerCore", 64, 1);
    ret->memory_bytes = mib_of(line, "RealMemory") - mib_of(line, "MemSpecLimit");
    ret->disk_bytes = mib_of(line, "TmpDisk");
    if (ret->cpus == 0 || ret->threads == 0 || ret->memory_bytes < 0)
        return error_set(err, -EINVAL, "node %s has %u CPUs of %u threads a core", ret->name,
                         ret->cpus, ret->threads);
    if (slice_key(line, "Gres", &value))
        ret->gpus = slurm_parse_gpus(value.at, value.len, ret->gpu_model);
    read_kernel(line, ret);
    (void) slice_key(line, "State", &value);
    const char *fault = state_fault(value);
    ret->usable = !fault;
    if (fault)
        put_fault(line, fault, ret);
    return 0;
}

/* ---- lists --------------------------------------------------------------------------------------- */

struct expansion {
    void (*each)(void *userdata, const char *name);
    void *userdata;
    unsigned n, max;
};

static int give_name(struct expansion *x, struct slice before, const char *middle,
                     struct slice after)
{
    char name[128];

    if (x->n >= x->max)
        return -E2BIG;
    int n = snprintf(name, sizeof name, "%.*s%s%.*s", (int) before.len, before.at, middle,
                     (int) after.len, after.at);
    if (n <= 0 || (size_t) n >= sizeof name)
        return -EINVAL;
    x->each(x->userdata, name);
    x->n++;
    return 0;
}

/* "1-3" or "07" between BEFORE and AFTER: numbers keep their leading zeros. */
static int give_range(struct expansion *x, struct slice before, struct slice range,
                      struct slice after)
{
    struct slice first = slice_until(&range, '-');
    struct slice last = range.len ? range : first;
    uint64_t from, to;
    int r = 0;

    if (!slice_number(first, UINT32_MAX, &from) || !slice_number(last, UINT32_MAX, &to) ||
        to < from)
        return -EINVAL;
    for (uint64_t i = from; i <= to && r >= 0; i++) {
        char number[32];
        (void) snprintf(number, sizeof number, "%0*llu", (int) first.len, (unsigned long long) i);
        r = give_name(x, before, number, after);
    }
    return r;
}

/* One item of the list: "login", or "node[1-3,7]-ib". Two pairs of brackets are not in use with nodes. */
static int give_item(struct expansion *x, struct slice item)
{
    if (item.len > 100)
        item.len = memchr(item.at, '[', 100) ? item.len : 101;
    const char *open = memchr(item.at, '[', item.len);
    if (!open)
        return item.len > 100 ? -EINVAL : give_name(x, item, "", (struct slice){ "", 0 });
    struct slice before = { item.at, (size_t) (open - item.at) };
    struct slice after = { open + 1, item.len - before.len - 1 };
    const char *close = memchr(after.at, ']', after.len);
    if (!close)
        return -EINVAL;
    struct slice ranges = slice_until(&after, ']');
    int r = memchr(after.at, '[', after.len) || after.len > 100 ? -EINVAL : 0;
    while (ranges.len > 0 && r >= 0)
        r = give_range(x, before, slice_until(&ranges, ','), after);
    return r;
}

int slurm_each_node(const char *list, size_t len, unsigned max,
                    void (*each)(void *userdata, const char *name), void *userdata)
{
    struct expansion x = { each, userdata, 0, max };
    int r = 0;

    for (size_t at = 0; at < len && r >= 0;) {
        size_t end = at;
        bool inside = false;
        for (; end < len && (inside || list[end] != ','); end++)
            inside = list[end] == '[' || (inside && list[end] != ']');
        r = end > at ? give_item(&x, (struct slice){ list + at, end - at }) : -EINVAL;
        at = end + 1;
    }
    return r < 0 ? r : (int) x.n;
}
