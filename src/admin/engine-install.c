/* engine-install.c - `berth engine install slurm`: machines that joined become a Slurm cluster
 *
 * This machine is set up directly, by whoever is root here; the others by orders (order.h) that the server hands
 * on. Run again it repairs, and takes in what joined since. One machine that fails does not keep the others.
 */
#include "admin/install.h"

#include "admin/nodes.h"
#include "admin/options.h"

#include "base/alloc.h"
#include "base/yaml.h"
#include "os/fd.h"
#include "os/hash.h"
#include "os/process.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, OUTPUT_MAX = 4 << 20, ASK_MS = 20000, READY_TRIES = 60, KNOWN_TRIES = 15 };

static const char usage[] =
    "Usage: berth engine install slurm [--cluster NAME] [--controller NODE] [--dry-run]\n"
    "                                  [-o table|json|yaml]\n\n"
    "Makes a Slurm cluster of this machine and of those that joined with `berth node join`: installs\n"
    "munge and Slurm from Debian's packages, gives all machines one munge key and the same files in\n"
    "/etc/slurm (see `berth engine render slurm`), starts the daemons, and makes the server run its\n"
    "jobs there. As root, on the server's machine. Run again it repairs what is not so, and takes in\n"
    "machines that joined since; where all is well it changes nothing. A machine that fails does not\n"
    "keep the others.\n\n"
    "  --cluster NAME     what the cluster is called (as before; berth)\n"
    "  --controller NODE  where slurmctld runs (as before; this machine)\n"
    "  --dry-run          show what would be changed on each machine, and change nothing\n\n"
    "Exit code: 0; 1 when something failed; 2 usage.\n";

void admin_engine_install_help(struct text *out) { text_add(out, usage); }

/* ---- what is shown ------------------------------------------------------------------------------------------ */

bool install_is_quiet(const struct install *in) { return !str_equal(in->form, "table"); }

void install_show(const struct install *in, struct machine *machine)
{
    for (; machine->said < json_array_size(machine->steps); machine->said++) {
        const json_t *step = json_array_get(machine->steps, machine->said);
        if (install_is_quiet(in) || !json_get_bool(step, "changed", false))
            continue;
        (void) printf("%-16s %-10s %s%s\n", machine->name, json_get_str(step, "step", ""),
                      in->only_looks ? "would change: " : "",
                      json_get_str(step, "detail", in->only_looks ? "it" : "changed"));
        (void) fflush(stdout);
    }
}

void machine_fail(struct machine *machine, const char *detail)
{
    machine->state = "failed";
    xstr_set(&machine->detail, detail);
}

static bool is_unchanged(const struct machine *machine)
{
    size_t i;
    json_t *step;

    json_array_foreach(machine->steps, i, step)
        if (json_get_bool(step, "changed", false))
            return false;
    return true;
}

static void show_end(const struct install *in, const struct machine *machine)
{
    if (str_equal(machine->state, "done"))
        (void) printf("%-16s %-10s %s\n", machine->name, "done",
                      is_unchanged(machine) ? "nothing to change" : "");
    else
        (void) printf("%-16s %-10s %s%s%s\n", machine->name, "failed",
                      machine->step ? machine->step : "", machine->step ? ": " : "",
                      machine->detail ? machine->detail : "");
}

static json_t *result(const struct install *in, bool is_ok, const char *server)
{
    json_t *json = json_object(), *machines = json_array();

    json_put_str(json, "cluster", in->name);
    json_put_str(json, "controller", in->controller);
    json_put(json, "ok", json_boolean(is_ok));
    json_put_str(json, "server", server);
    vec_foreach(&in->machines, machine) {
        json_t *one = json_object();
        json_put_str(one, "name", machine->name);
        json_put_str(one, "state", machine->state);
        json_put_str(one, "step", machine->step);
        json_put_str(one, "detail", machine->detail);
        json_put(one, "steps", machine->steps ? json_incref(machine->steps) : json_array());
        (void) json_array_append_new(machines, one);
    }
    json_put(json, "machines", machines);
    return json;
}

/* ---- the plan ------------------------------------------------------------------------------------------------ */

static void install_done(struct install *in)
{
    cluster_done(&in->order.cluster);
    free(in->order.account);
    json_decref(in->order.sums);
    json_decref(in->items);
    vec_foreach(&in->machines, machine) {
        free(machine->step);
        free(machine->detail);
        free(machine->order);
        json_decref(machine->steps);
    }
    vec_done(&in->machines);
}

static void sum_files(struct order *order)
{
    const struct render_cluster cluster = cluster_view(&order->cluster);
    char hex[SHA256_HEX_LEN + 1];

    order->sums = json_object();
    for (const char *const *file = render_files; *file; file++) {
        _cleanup_text_ struct text text = { 0 };
        if (!render_file(&cluster, *file, &text))
            continue;
        struct sha256 sum = sha256_of(text_str(&text), text.len);
        json_put_str(order->sums, *file, sha256_format(&sum, hex));
    }
}

static int plan(struct install *in, struct error *err)
{
    const struct passwd *account = getpwnam(in->settings->user);
    struct cluster *cluster = &in->order.cluster;

    if (!account || account->pw_uid == 0)
        return error_set(err, -ENOENT, "the server's account '%s' is none here",
                         in->settings->user);
    in->order.account = xstrdup(in->settings->user);
    in->order.uid = account->pw_uid;
    in->order.gid = account->pw_gid;
    in->order.only_looks = in->only_looks;
    cluster->name = xstrdup(in->name);
    cluster->controller = xstrdup(in->controller);
    int r = nodes_gather(cluster, &in->items, err);
    if (r < 0)
        return r;
    if (!cluster_find(cluster, in->controller))
        return error_set(err, -ENOENT, "--controller: there is no machine '%s' (berth node list)",
                         in->controller);
    sum_files(&in->order);
    vec_foreach(&cluster->nodes, node) {
        const struct machine machine = { .name = (*node)->name, .state = "waiting" };
        vec_push(&in->machines, machine);
    }
    return 0;
}

/* ---- afterwards ---------------------------------------------------------------------------------------------- */

static bool is_usable(const char *listing, const char *name)
{
    size_t n = strlen(name);

    for (const char *line = listing; *line; line += strcspn(line, "\n"), line += *line == '\n')
        if (strncmp(line, name, n) == 0 && line[n] == '|') {
            const char *state = line + n + 1;
            size_t len = strcspn(state, "\n");
            return len > 0 && state[len - 1] != '*' &&
                   (str_starts(state, "idle") || str_starts(state, "mix") ||
                    str_starts(state, "alloc") || str_starts(state, "comp"));
        }
    return false;
}

/* Slurm has seen all that were set up; what it says otherwise is in the check. */
static bool wait_for_slurm(const struct install *in)
{
    static const char *const argv[] = { "sinfo", "-h", "-N", "-o", "%N|%t", NULL };

    for (int i = 0; i < READY_TRIES; i++) {
        _cleanup_text_ struct text out = { 0 };
        bool are_all = process_run(argv, OUTPUT_MAX, ASK_MS, &out, NULL, NULL) == 0;
        vec_foreach(&in->machines, machine)
            if (str_equal(machine->state, "done"))
                are_all = are_all && is_usable(text_str(&out), machine->name);
        if (are_all)
            return true;
        (void) sleep(1);
    }
    return false;
}

static bool is_known(const struct install *in, const json_t *items)
{
    size_t i;
    json_t *item;

    json_array_foreach(items, i, item)
        vec_foreach(&in->machines, machine)
            if (str_equal(machine->state, "done") &&
                str_equal(machine->name, json_get_str(item, "name", "")) &&
                json_object_get(item, "joined") && json_object_get(item, "fault"))
                return false;
    return true;
}

/* The server has them as machines that take work. */
static bool wait_for_server(const struct install *in)
{
    for (int i = 0; i < KNOWN_TRIES; i++) {
        _cleanup_json_ json_t *items = NULL;
        if (nodes_ask(&items, NULL) >= 0 && is_known(in, items))
            return true;
        (void) sleep(1);
    }
    return false;
}

/* What is left to do, in words; NULL: nothing. */
static char *finish(const struct install *in, bool *is_ok)
{
    struct error err = { 0 };

    if (!wait_for_slurm(in)) {
        *is_ok = false;
        return xstrdup("Slurm does not have all of them yet: berth engine check says why");
    }
    int r = install_switch(in, &err);
    if (r < 0) {
        *is_ok = false;
        return xasprintf("the server goes on without Slurm: %s", err.text);
    }
    if (r > 0)
        return xasprintf(
            "engine: slurm stands in %s; start the server anew, and its jobs run there",
            in->settings->file);
    if (wait_for_server(in))
        return NULL;
    *is_ok = false;
    return xstrdup("the server does not use all of them yet: start it anew (systemctl restart "
                   "berth), and see `berth engine check`");
}

static int report(struct install *in)
{
    _cleanup_free_ char *left = NULL;
    bool is_ok = true;

    vec_foreach(&in->machines, machine) {
        is_ok = is_ok && str_equal(machine->state, "done");
        if (!install_is_quiet(in))
            show_end(in, machine);
    }
    (void) fflush(stdout);
    if (!in->only_looks)
        left = finish(in, &is_ok);
    if (install_is_quiet(in)) {
        _cleanup_json_ json_t *json = result(in, is_ok, left);
        _cleanup_free_ char *text =
            str_equal(in->form, "json") ? json_pretty(json) : yaml_text(json);
        (void) printf("%s\n", text);
    } else if (left) {
        (void) printf("%s\n", left);
    } else if (!in->only_looks && is_ok) {
        (void) printf("jobs run on %zu machines now\n", in->machines.len);
    }
    return fflush(stdout) == 0 && is_ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int install(struct install *in)
{
    struct error err = { 0 };

    int r = geteuid() == 0 ? plan(in, &err)
                           : error_set(&err, -EPERM, "only root may set this machine up");
    if (r < 0) {
        (void) fprintf(stderr, "berth engine install: %s\n", err.text);
        return EXIT_FAILURE;
    }
    vec_foreach(&in->machines, machine)
        if (str_equal(machine->name, in->own))
            install_here(in, machine);
    install_others(in);
    return report(in);
}

static bool parse(int argc, char **argv, struct install *in)
{
    bool is_slurm = false;

    for (int i = 1; i < argc; i++) {
        const char *value;
        if ((value = option_value("--cluster", argc, argv, &i)))
            in->name = value;
        else if ((value = option_value("--controller", argc, argv, &i)))
            in->controller = value;
        else if ((value = option_value("-o", argc, argv, &i)))
            in->form = value;
        else if (str_equal(argv[i], "--dry-run"))
            in->only_looks = true;
        else if (str_equal(argv[i], "slurm") && !is_slurm)
            is_slurm = true;
        else
            return false;
    }
    return is_slurm && option_is_form(in->form);
}

/* The value of KEY in the slurm.conf that was written before, up to an address; BUF stays as it is without one. */
static void take_value(const struct text *conf, const char *key, char *buf, size_t size)
{
    _cleanup_free_ char *begin = xasprintf("\n%s=", key);
    const char *at = strstr(text_str(conf), begin);

    if (!at || !strstr(text_str(conf), render_mark))
        return;
    at += strlen(begin);
    (void) snprintf(buf, size, "%.*s", (int) strcspn(at, "(\n"), at);
}

int admin_engine_install(int argc, char **argv, const struct engine_settings *settings)
{
    char host[256] = "localhost", controller[256], name[256] = "berth";
    _cleanup_text_ struct text conf = { 0 };
    struct error err = { 0 };

    (void) gethostname(host, sizeof host - 1);
    host[strcspn(host, ".")] = '\0';
    (void) snprintf(controller, sizeof controller, "%s", host);
    (void) file_read(AT_FDCWD, "/etc/slurm/slurm.conf", OUTPUT_MAX, &conf, NULL);
    take_value(&conf, "ClusterName", name, sizeof name);
    take_value(&conf, "SlurmctldHost", controller, sizeof controller);
    _cleanup_(install_done) struct install in = {
        .settings = settings, .form = "table", .name = name, .controller = controller, .own = host
    };
    if (argc == 2 && (str_equal(argv[1], "--help") || str_equal(argv[1], "-h")))
        return fputs(usage, stdout) < 0;
    if (!parse(argc, argv, &in)) {
        (void) fputs(usage, stderr);
        return EXIT_USAGE;
    }
    int r = name_check("--cluster", in.name, &err);
    if (r >= 0)
        r = name_check("--controller", in.controller, &err);
    if (r >= 0)
        return install(&in);
    (void) fprintf(stderr, "berth engine install: %s\n", err.text);
    return EXIT_USAGE;
}
