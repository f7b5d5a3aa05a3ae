/* settings.c - one table of settings; flags, environment, file and help come from it */
#include "main/settings.h"

#include "base/alloc.h"
#include "base/id.h"
#include "base/texts.h"
#include "base/vec.h"
#include "base/yaml.h"
#include "os/fd.h"
#include "os/log.h"
#include "placement/placement.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum setting_type {
    TYPE_STRING,
    TYPE_PATH,
    TYPE_BOOL,
    TYPE_INT,
    TYPE_BYTES,
    TYPE_SECONDS,
    TYPE_LIST
};

struct setting {
    const char *name; /* in the file; the flag has '-' for '_', the variable is BERTH_NAME */
    enum setting_type type;
    size_t offset;
    const char *value; /* default; NULL: unset */
    const char *doc;
};

#define SETTING(field, type, value, doc)                                                           \
    {                                                                                              \
#field, type, offsetof(struct settings, field), value, doc                                 \
    }

static const struct setting table[] = {
    SETTING(config, TYPE_PATH, "/etc/berth/berth.yaml", "file with settings; may be absent"),
    SETTING(state, TYPE_PATH, "/var/lib/berth", "directory of everything that is kept"),
    SETTING(runtime, TYPE_PATH, "/run/berth", "directory of sockets and task roots"),
    SETTING(socket, TYPE_PATH, NULL, "the API's unix socket; default: api.sock in runtime"),
    SETTING(store, TYPE_STRING, NULL, "store; default: sqlite:berth.db in state"),
    SETTING(user, TYPE_STRING, "berth", "whom the server becomes after its start"),
    SETTING(log_level, TYPE_STRING, "info", "debug, info, warn or error"),
    SETTING(listen, TYPE_LIST, "127.0.0.1:7077", "addresses of the API"),
    SETTING(hosts, TYPE_LIST, "", "Host names to answer besides localhost and listen"),
    SETTING(insecure, TYPE_BOOL, "false", "listen beyond loopback without TLS"),
    SETTING(network, TYPE_STRING, "egress", "network of jobs: egress or none"),
    SETTING(network_choice, TYPE_BOOL, "true", "a job may ask for another network policy"),
    SETTING(pool, TYPE_STRING, "10.113.0.0/16", "range for the containers' addresses"),
    SETTING(blocked, TYPE_LIST, "", "ranges that jobs may not reach"),
    SETTING(dns, TYPE_LIST, "", "resolvers of containers; default: the host's"),
    SETTING(
        storage, TYPE_PATH, NULL,
        "file system for /storage, mounted at this path on every machine; default: the machine's own disk"),
    SETTING(
        storage_push_limit, TYPE_BYTES, "64Gi",
        "without `storage`: the most bytes of a project's /storage that are sent to a node of a batch system"),
    SETTING(publish_address, TYPE_STRING, "127.0.0.1", "address of published ports"),
    SETTING(engine, TYPE_STRING, "local", "what runs jobs: local (this machine) or slurm"),
    SETTING(slurm_conf, TYPE_PATH, NULL, "slurm.conf; default: Slurm's own"),
    SETTING(slurm_bin, TYPE_PATH, NULL, "directory of Slurm's commands; default: PATH"),
    SETTING(slurm_partition, TYPE_STRING, NULL, "partition to use; default: Slurm's"),
    SETTING(slurm_account, TYPE_STRING, NULL, "account to charge; default: Slurm's"),
    SETTING(slurm_identity, TYPE_STRING, "service",
            "whose jobs Slurm's are: service (the server's user) or account (that of the project)"),
    SETTING(slurm_group, TYPE_STRING, "berth-tenants",
            "group of the accounts that jobs may be, with slurm_identity: account"),
    SETTING(slurm_prefix, TYPE_STRING, "berth",
            "begins the names of Slurm jobs; servers that share an account need different ones"),
    SETTING(slurm_poll, TYPE_SECONDS, "5s", "how often Slurm is asked what became of its jobs"),
    SETTING(slurm_reuse, TYPE_SECONDS, "60s",
            "how old a Slurm job may be to take the next task of the same project and shape; "
            "0s: each task has a Slurm job of its own"),
    SETTING(slurm_gang_wait, TYPE_SECONDS, "60s",
            "how long tasks of a gang that Slurm runs wait for one whose place others took, before "
            "all are given back"),
    SETTING(node_program, TYPE_PATH, NULL, "berth on the nodes; default: this executable's path"),
    SETTING(home_url, TYPE_STRING, NULL,
            "the API as the nodes reach it; default: the first of listen"),
    SETTING(
        home_ca, TYPE_PATH, NULL,
        "on the nodes, the authorities that sign home_url's certificate; default: the machine's"),
    SETTING(cdi, TYPE_LIST, "/etc/cdi,/run/cdi",
            "directories of CDI specifications; later ones win"),
    SETTING(driver_root, TYPE_PATH, "/", "root of the tree in which drivers of devices lie"),
    SETTING(nvml, TYPE_STRING, "libnvidia-ml.so.1", "NVIDIA's management library"),
    SETTING(image_opt, TYPE_BOOL, "false", "image `host` shows /opt"),
    SETTING(image_paths, TYPE_LIST, "", "directories from which layouts and archives may be taken"),
    SETTING(image_registries, TYPE_LIST, "", "the only registries to ask; empty: any"),
    SETTING(image_plain_http, TYPE_LIST, "", "registries that speak HTTP without TLS"),
    SETTING(image_proxy, TYPE_STRING, NULL,
            "proxy to registries; default: http_proxy, https_proxy"),
    SETTING(image_ca, TYPE_PATH, NULL, "file of authorities to trust for registries"),
    SETTING(image_max_size, TYPE_BYTES, "100Gi",
            "largest image, packed, and largest layer, unpacked"),
    SETTING(image_max_entries, TYPE_INT, "5000000", "most files in a layer"),
    SETTING(image_max_ratio, TYPE_INT, "250", "most that a layer may grow when it is unpacked"),
    SETTING(
        layers_max, TYPE_BYTES, "0",
        "berth launcher: layers of images that are kept for tasks to come; 0: a quarter of the disk"),
    SETTING(
        spool_max, TYPE_BYTES, "0",
        "berth launcher: files of tasks that are kept for tasks to come; 0: a quarter of the disk"),
    SETTING(image_stall, TYPE_SECONDS, "30s",
            "a pull that does not move for so long is broken off"),
    /* Clear of /etc/subuid's habit (from 100000) and of systemd-nspawn's 524288 to 1879048191. */
    SETTING(uid_first, TYPE_INT, "1879048192", "first uid of the projects' ranges"),
    SETTING(reserved_cores, TYPE_INT, "-1", "cores per NUMA node kept for the host; -1: by size"),
    SETTING(reserved_memory, TYPE_BYTES, "512Mi", "memory kept for the host"),
    SETTING(reserved_disk, TYPE_BYTES, "1Gi", "disk below which submits are refused"),
    SETTING(log_limit, TYPE_BYTES, "4Gi", "largest log of an attempt"),
    SETTING(grace, TYPE_SECONDS, "30s", "SIGTERM to SIGKILL where the job names none"),
    SETTING(max_time, TYPE_SECONDS, "0", "time limit where the job names none; 0: none"),
    SETTING(guaranteed_time, TYPE_SECONDS, "10m",
            "no job is preempted for another before it ran so long"),
    SETTING(node_timeout, TYPE_SECONDS, "35s",
            "a machine that joined and was not heard of for so long is lost"),
    SETTING(scheduler_policy, TYPE_STRING, "fair",
            "who goes first: fair, las, easy, conservative, skip or fifo (docs/simulate.md)"),
    SETTING(scheduler_patience, TYPE_SECONDS, "24h",
            "who has waited for so long has machines kept free; 0: nobody has"),
    SETTING(scheduler_half_life, TYPE_SECONDS, "7d",
            "what was used so long ago counts half, with scheduler_policy: fair"),
    SETTING(booking_notice, TYPE_SECONDS, "5m",
            "how long before a booking begins those are preempted who are in its way"),
    SETTING(collect_interval, TYPE_SECONDS, "1h",
            "how often files that nobody needs are removed; 0: never"),
    SETTING(collect_grace, TYPE_SECONDS, "24h", "how long files stay that nobody uses yet"),
    SETTING(sessions_per_key, TYPE_INT, "1000", "sessions that one key may have open in jobs"),
    SETTING(idempotency_keep, TYPE_SECONDS, "24h", "how long Idempotency-Keys are remembered"),
};

/* Less than what a Slurm job gets above its task's own limit. */
enum { SLURM_REUSE_MAX_S = 240 };

enum { N_SETTINGS = sizeof table / sizeof table[0] };

static char **list_split(const char *value)
{
    VEC(char *) items = { 0 };

    while (*value) {
        size_t n = strcspn(value, ",");
        if (n)
            vec_push(&items, xstrndup(value, n));
        value += n + (value[n] == ',');
    }
    vec_push(&items, NULL);
    return items.items;
}

static int refuse(const struct setting *s, const char *value, const char *wanted, struct error *err)
{
    return error_set(err, -EINVAL, "setting %s: '%s' is not %s", s->name, value, wanted);
}

static int set_bool(const struct setting *s, const char *value, bool *field, struct error *err)
{
    if (str_equal(value, "true") || str_equal(value, "yes") || str_equal(value, "1"))
        *field = true;
    else if (str_equal(value, "false") || str_equal(value, "no") || str_equal(value, "0"))
        *field = false;
    else
        return refuse(s, value, "true or false", err);
    return 0;
}

static int set_number(const struct setting *s, const char *value, int64_t *field, struct error *err)
{
    long long number = 0;
    int r = s->type == TYPE_BYTES     ? str_to_bytes(value, &number)
            : s->type == TYPE_SECONDS ? str_to_seconds(value, &number)
                                      : str_to_i64(value, -1, INT64_MAX, &number);
    if (r < 0)
        return refuse(s, value,
                      s->type == TYPE_BYTES     ? "a size such as 512Mi or 4Gi"
                      : s->type == TYPE_SECONDS ? "a duration such as 90s, 15m or 2h"
                                                : "a number",
                      err);
    *field = number;
    return 0;
}

static int set_value(struct settings *settings, size_t i, const char *value, const char *origin,
                     struct error *err)
{
    const struct setting *s = &table[i];
    void *field = (char *) settings + s->offset;
    int r = 0;

    switch (s->type) {
    case TYPE_PATH:
        if (value[0] != '/') {
            _cleanup_free_ char *cwd = getcwd(NULL, 0);
            char *path =
                xasprintf("%s/%s", cwd ? cwd : "", str_starts(value, "./") ? value + 2 : value);
            free(*(char **) field);
            *(char **) field = path;
            break;
        }
        __attribute__((fallthrough));
    case TYPE_STRING:
        xstr_set(field, value);
        break;
    case TYPE_BOOL:
        r = set_bool(s, value, field, err);
        break;
    case TYPE_INT:
    case TYPE_BYTES:
    case TYPE_SECONDS:
        r = set_number(s, value, field, err);
        break;
    case TYPE_LIST:
        texts_free(*(char ***) field);
        *(char ***) field = list_split(value);
        break;
    }
    settings->origin[i] = origin;
    return r;
}

static int find_setting(const char *name, size_t len)
{
    for (int i = 0; i < N_SETTINGS; i++) {
        const char *p = table[i].name;
        size_t k = 0;
        while (k < len && p[k] && (p[k] == name[k] || (p[k] == '_' && name[k] == '-')))
            k++;
        if (k == len && !p[k])
            return i;
    }
    return -ENOENT;
}

/* The text of a value in the file: scalars as they are, lists joined by commas. */
static int file_value(const char *key, const json_t *value, struct text *ret, struct error *err)
{
    if (json_is_array(value)) {
        size_t i;
        json_t *item;
        json_array_foreach(value, i, item) {
            if (!json_is_string(item))
                return error_set(err, -EINVAL, "setting %s[%zu] is not a string", key, i);
            text_addf(ret, "%s%s", i ? "," : "", json_string_value(item));
        }
        return 0;
    }
    if (json_is_string(value))
        text_add(ret, json_string_value(value));
    else if (json_is_integer(value))
        text_addf(ret, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_boolean(value))
        text_add(ret, json_is_true(value) ? "true" : "false");
    else
        return error_set(err, -EINVAL, "setting %s is neither text, number, boolean nor list", key);
    return 0;
}

static int read_key(struct settings *s, const char *key, json_t *value, struct error *err)
{
    if (str_equal(key, "flavors")) {
        if (!json_is_array(value))
            return error_set(err, -EINVAL, "setting flavors is not a list");
        json_decref(s->flavors);
        s->flavors = json_incref(value);
        return 0;
    }
    int i = find_setting(key, strlen(key));
    if (i <= 0)
        return error_set(err, -EINVAL, "unknown setting '%s'; `berth server --help` lists them",
                         key);

    _cleanup_text_ struct text text = { 0 };
    int r = file_value(key, value, &text, err);
    return r < 0 ? r : set_value(s, (size_t) i, text_str(&text), "file", err);
}

static int read_file(struct settings *s, struct error *err)
{
    _cleanup_text_ struct text text = { 0 };
    struct error why = { 0 };
    int r = file_read(AT_FDCWD, s->config, 1 << 20, &text, &why);
    if (r == -ENOENT && str_equal(s->origin[0], "default"))
        return 0;
    if (r < 0)
        return error_set(err, r, "reading settings: %s", why.text);

    _cleanup_json_ json_t *tree = NULL;
    r = yaml_parse(text_str(&text), text.len, &tree, err);
    if (r < 0)
        return error_context(err, r, "%s", s->config);
    if (json_is_null(tree))
        return 0;
    if (!json_is_object(tree))
        return error_set(err, -EINVAL, "%s is not a list of `name: value` lines", s->config);

    const char *key;
    json_t *value;
    json_object_foreach(tree, key, value) {
        r = read_key(s, key, value, err);
        if (r < 0)
            return error_context(err, r, "%s", s->config);
    }
    return 0;
}

static int read_environment(struct settings *s, const char *(*read_env)(const char *),
                            struct error *err)
{
    for (size_t i = 0; i < N_SETTINGS; i++) {
        char name[64] = "BERTH_";
        for (size_t k = 0; table[i].name[k] && k < sizeof name - 8; k++) {
            char c = table[i].name[k];
            name[6 + k] = c >= 'a' && c <= 'z' ? (char) (c - 'a' + 'A') : c;
        }
        const char *value = read_env(name);
        int r = value ? set_value(s, i, value, "environment", err) : 0;
        if (r < 0)
            return error_context(err, r, "%s", name);
    }
    return 0;
}

/* One flag at ARGV[*AT]; moves *AT past it. */
static int read_flag(struct settings *s, int argc, char **argv, int *at, struct error *err)
{
    const char *flag = argv[*at];
    if (!str_starts(flag, "--"))
        return error_set(err, -EINVAL, "unexpected argument '%s'", flag);

    size_t len = strcspn(flag + 2, "=");
    int i = find_setting(flag + 2, len);
    if (i < 0)
        return error_set(err, -EINVAL, "unknown flag '%s'; `berth server --help` lists them", flag);

    const char *value = flag[2 + len] == '=' ? flag + 3 + len : NULL;
    if (!value && table[i].type == TYPE_BOOL)
        value = "true";
    else if (!value && *at + 1 < argc)
        value = argv[++*at];
    if (!value)
        return error_set(err, -EINVAL, "flag %s needs a value: %s", flag, table[i].doc);
    ++*at;
    return set_value(s, (size_t) i, value, "flag", err);
}

static int read_flags(struct settings *s, int argc, char **argv, bool *ret_print, bool *ret_help,
                      struct error *err)
{
    for (int at = 0; at < argc;) {
        if (str_equal(argv[at], "--print-config") || str_equal(argv[at], "--help") ||
            str_equal(argv[at], "-h")) {
            *(str_equal(argv[at], "--print-config") ? ret_print : ret_help) = true;
            at++;
            continue;
        }
        int r = read_flag(s, argc, argv, &at, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static void derive(struct settings *s)
{
    if (!s->socket)
        s->socket = xasprintf("%s/api.sock", s->runtime);
    if (!s->store)
        s->store = xasprintf("sqlite:%s/berth.db", s->state);
}

/* What the flags ask for instead of running. */
struct wanted {
    bool print;
    bool help;
};

static int set_defaults(struct settings *s, struct error *err)
{
    for (size_t i = 0; i < N_SETTINGS; i++) {
        s->origin[i] = "default";
        int r = table[i].value ? set_value(s, i, table[i].value, "default", err) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

/* Later sources win, but the file's path itself may come from them: so flags and environment are
 * read twice around the file. S holds the defaults. */
static int load_all(struct settings *s, int argc, char **argv,
                    const char *(*read_env)(const char *), struct wanted *ret, struct error *err)
{
    int r = 0;
    for (int pass = 0; pass < 2 && r >= 0; pass++) {
        if (pass == 1)
            r = read_file(s, err);
        if (r >= 0)
            r = read_environment(s, read_env, err);
        if (r >= 0)
            r = read_flags(s, argc, argv, &ret->print, &ret->help, err);
    }
    return r;
}

int settings_load(int argc, char **argv, const char *(*read_env)(const char *name),
                  struct settings *ret, struct error *err)
{
    struct wanted asked = { 0 };

    *ret = (struct settings){ .origin = xnew_n(const char *, N_SETTINGS) };
    int r = set_defaults(ret, err);
    if (r >= 0)
        r = load_all(ret, argc, argv, read_env, &asked, err);
    if (r < 0 && !asked.help) {
        settings_done(ret);
        return r;
    }
    derive(ret);
    if (!asked.print && !asked.help)
        return 0;

    _cleanup_text_ struct text out = { 0 };
    if (asked.help)
        settings_help(&out);
    else
        settings_print(ret, &out);
    (void) fputs(text_str(&out), stdout);
    settings_done(ret);
    return -ECANCELED;
}

/* A listener beyond loopback would carry keys in clear. */
static bool is_loopback(const char *address)
{
    return str_starts(address, "127.") || str_starts(address, "localhost:") ||
           str_starts(address, "[::1]:");
}

static int check_scheduler(const struct settings *s, struct error *err)
{
    if (!policy_find(s->scheduler_policy))
        return error_set(
            err, -EINVAL,
            "setting scheduler_policy: '%s' is not fair, las, easy, conservative, skip or fifo",
            s->scheduler_policy);
    if (s->scheduler_half_life < 1)
        return error_set(err, -EINVAL, "setting scheduler_half_life: it must be 1s or more");
    return 0;
}

/* The prefix becomes part of names of jobs, which are found by it. */
static int check_engine(const struct settings *s, struct error *err)
{
    if (!str_equal(s->engine, "local") && !str_equal(s->engine, "slurm"))
        return error_set(err, -EINVAL, "setting engine: '%s' is not local or slurm", s->engine);
    if (!str_equal(s->slurm_identity, "service") && !str_equal(s->slurm_identity, "account"))
        return error_set(err, -EINVAL, "setting slurm_identity: '%s' is not service or account",
                         s->slurm_identity);
    if (!name_is_valid(s->slurm_prefix))
        return error_set(err, -EINVAL,
                         "setting slurm_prefix: '%s' is not 1 to 63 of a-z, 0-9, '-', '.', '_'",
                         s->slurm_prefix);
    if (s->slurm_poll < 1)
        return error_set(err, -EINVAL, "setting slurm_poll: it must be 1s or more");
    if (s->slurm_reuse < 0 || s->slurm_reuse > SLURM_REUSE_MAX_S)
        return error_set(err, -EINVAL, "setting slurm_reuse: it must be 0s to %ds",
                         SLURM_REUSE_MAX_S);
    if (s->slurm_gang_wait < 1)
        return error_set(err, -EINVAL, "setting slurm_gang_wait: it must be 1s or more");
    if (s->home_url && !str_starts(s->home_url, "http://") && !str_starts(s->home_url, "https://"))
        return error_set(err, -EINVAL, "setting home_url: '%s' is not http://… or https://…",
                         s->home_url);
    return 0;
}

int settings_check(const struct settings *s, struct error *err)
{
    enum log_level level;

    if (log_level_parse(s->log_level, &level) < 0)
        return error_set(err, -EINVAL, "setting log_level: '%s' is not debug, info, warn or error",
                         s->log_level);
    if (!str_equal(s->network, "egress") && !str_equal(s->network, "none"))
        return error_set(err, -EINVAL, "setting network: '%s' is not egress or none", s->network);
    int r = check_engine(s, err);

    if (r >= 0)
        r = check_scheduler(s, err);
    if (r < 0)
        return r;
    for (char *const *p = s->listen; *p; p++)
        if (!s->insecure && !is_loopback(*p))
            return error_set(err, -EPERM,
                             "listening on %s without TLS would send keys in clear; put a TLS "
                             "proxy in front of a loopback address, or say --insecure",
                             *p);
    return 0;
}

void settings_done(struct settings *s)
{
    for (size_t i = 0; i < N_SETTINGS; i++) {
        void *field = (char *) s + table[i].offset;
        if (table[i].type == TYPE_STRING || table[i].type == TYPE_PATH)
            xstr_set(field, NULL);
        else if (table[i].type == TYPE_LIST) {
            texts_free(*(char ***) field);
            *(char ***) field = NULL;
        }
    }
    json_decref(s->flavors);
    s->flavors = NULL;
    free(s->origin);
    s->origin = NULL;
}

static void print_value(const struct setting *s, const void *field, struct text *out)
{
    switch (s->type) {
    case TYPE_STRING:
    case TYPE_PATH: {
        const char *value = *(char *const *) field;
        if (value)
            text_add_json_string(out, value, strlen(value));
        else
            text_add(out, "null");
        break;
    }
    case TYPE_BOOL:
        text_add(out, *(const bool *) field ? "true" : "false");
        break;
    case TYPE_INT:
    case TYPE_BYTES:
    case TYPE_SECONDS:
        text_addf(out, "%lld", (long long) *(const int64_t *) field);
        break;
    case TYPE_LIST:
        text_add(out, "[");
        for (char *const *p = *(char **const *) field; p && *p; p++) {
            text_add(out, p == *(char **const *) field ? "" : ", ");
            text_add_json_string(out, *p, strlen(*p));
        }
        text_add(out, "]");
        break;
    }
}

void settings_print(const struct settings *s, struct text *out)
{
    for (size_t i = 0; i < N_SETTINGS; i++) {
        text_addf(out, "%s: ", table[i].name);
        print_value(&table[i], (const char *) s + table[i].offset, out);
        text_addf(out, "  # %s\n", s->origin[i]);
    }
    if (s->flavors) {
        text_add(out, "flavors: ");
        text_add_json(out, s->flavors);
        text_add(out, "  # file\n");
    }
}

void settings_help(struct text *out)
{
    text_add(
        out,
        "Usage: berth server [--FLAG VALUE]...\n\n"
        "Runs the control plane: API, scheduler, store and the engine. Needs root to\n"
        "start; becomes an unprivileged user at once. Flags win over BERTH_* variables, those\n"
        "over the settings file, that over defaults.\n\n"
        "  --help            this text\n"
        "  --print-config    the settings and where each came from\n");
    for (size_t i = 0; i < N_SETTINGS; i++) {
        char flag[64];
        size_t k = 0;
        for (; table[i].name[k] && k < sizeof flag - 1; k++)
            flag[k] = table[i].name[k] == '_' ? '-' : table[i].name[k];
        flag[k] = '\0';
        text_addf(out, "  --%-18s %s%s%s%s\n", flag, table[i].doc, table[i].value ? " [" : "",
                  table[i].value ? table[i].value : "", table[i].value ? "]" : "");
    }
}
