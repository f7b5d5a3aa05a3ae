/* engine-check.c - `berth engine check`: can Berth run tasks by Slurm from here?
 *
 * Slurm's own commands are asked, as the engine asks them; every finding comes with what mends it.
 */
#include "admin/admin.h"
#include "admin/doctor.h"
#include "admin/nodes.h"
#include "admin/options.h"

#include "base/alloc.h"
#include "base/json.h"
#include "os/process.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, OUTPUT_MAX = 4 << 20, TIMEOUT_MS = 20000 };

static const char usage[] =
    "Usage: berth engine check [-o table|json|yaml]\n\n"
    "Looks whether Berth can run jobs by Slurm from this machine: Slurm's commands, munge, the\n"
    "controller, every node, the machines that joined, and whether the API answers at home_url with\n"
    "a certificate of home_ca. Every finding comes with the command that mends it. As root, on the server's machine.\n\n"
    "Exit code: 0, or 1 when something is missing without which no job starts.\n";

void admin_engine_check_help(struct text *out) { text_add(out, usage); }

/* Up to the end of the first line that is not empty. */
static char *first_line(const struct text *text)
{
    const char *s = text_str(text);

    s += strspn(s, " \n");
    return xstrndup(s, strcspn(s, "\n"));
}

/* Exit code, or a negative errno; SAID is what it said, on whichever side. */
static int ask(const char *const *argv, struct text *out, char **said)
{
    _cleanup_text_ struct text problem = { 0 };
    struct error err = { 0 };

    int r = process_run(argv, OUTPUT_MAX, TIMEOUT_MS, out, &problem, &err);
    if (r < 0)
        *said = xstrdup(err.text);
    else
        *said = first_line(problem.len ? &problem : out);
    return r;
}

static bool is_in_path(const char *command)
{
    for (const char *dir = option_setting("PATH", "/usr/bin"); *dir;) {
        size_t n = strcspn(dir, ":");
        _cleanup_free_ char *path = xasprintf("%.*s/%s", (int) n, dir, command);
        if (access(path, X_OK) == 0)
            return true;
        dir += n + (dir[n] == ':');
    }
    return false;
}

/* Without it each command looks for it again for a minute. */
static bool check_conf(struct doctor *d)
{
    const char *path = option_setting("SLURM_CONF", "/etc/slurm/slurm.conf");

    if (access(path, R_OK) == 0)
        return true;
    doctor_add(d, LEVEL_FAIL, "conf", xasprintf("%s: %s", path, strerror(errno)),
               xstrdup("berth engine render slurm --out /etc/slurm, or the file of the site's "
                       "cluster"));
    return false;
}

static bool check_commands(struct doctor *d)
{
    static const char *const commands[] = { "sbatch", "squeue", "scontrol", "scancel", "sinfo" };
    _cleanup_text_ struct text missing = { 0 }, out = { 0 };
    _cleanup_free_ char *said = NULL;

    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (!is_in_path(commands[i]))
            text_addf(&missing, "%s%s", missing.len ? ", " : "", commands[i]);
    if (missing.len) {
        doctor_add(d, LEVEL_FAIL, "commands", xasprintf("%s: not installed", missing.data),
                   xstrdup("apt-get install -y slurm-client"));
        return false;
    }
    if (!check_conf(d))
        return false;
    (void) ask((const char *const[]){ "sinfo", "--version", NULL }, &out, &said);
    doctor_add(d, LEVEL_OK, "commands", take_ptr(said), NULL);
    return true;
}

static void check_munge(struct doctor *d)
{
    _cleanup_text_ struct text out = { 0 };
    _cleanup_free_ char *said = NULL;
    int r = ask((const char *const[]){ "munge", "-n", NULL }, &out, &said);

    if (r == 0)
        doctor_add(d, LEVEL_OK, "munge", xstrdup("it gives credentials"), NULL);
    else if (r == -ENOENT)
        doctor_add(d, LEVEL_FAIL, "munge", xstrdup("it is not installed"),
                   xstrdup("apt-get install -y munge"));
    else
        doctor_add(d, LEVEL_FAIL, "munge", xasprintf("it gives no credential: %s", said),
                   xstrdup("systemctl restart munge"));
}

/* "Slurmctld(primary) at HOST is UP", one line a controller. */
static bool check_controller(struct doctor *d)
{
    _cleanup_text_ struct text out = { 0 };
    _cleanup_free_ char *said = NULL;

    (void) ask((const char *const[]){ "scontrol", "ping", NULL }, &out, &said);
    if (strstr(text_str(&out), " is UP")) {
        doctor_add(d, LEVEL_OK, "controller", first_line(&out), NULL);
        return true;
    }
    doctor_add(d, LEVEL_FAIL, "controller", *said ? take_ptr(said) : xstrdup("it does not answer"),
               xstrdup("systemctl restart slurmctld, on its machine"));
    return false;
}

static void judge_node(struct doctor *d, char *line)
{
    char *save = NULL;
    const char *name = strtok_r(line, "|", &save), *state = strtok_r(NULL, "|", &save);
    const char *reason = strtok_r(NULL, "\n", &save);

    if (!name || !state)
        return;
    bool is_silent = state[strlen(state) - 1] == '*' || str_starts(state, "unk");
    bool is_down = str_starts(state, "down") || str_starts(state, "fail");
    bool is_drained = str_starts(state, "drain") || str_starts(state, "drng");
    if (!is_silent && !is_down && !is_drained)
        return;
    char *seen = reason && !str_equal(reason, "none")
                     ? xasprintf("%s is %s: %s", name, state, reason)
                     : xasprintf("%s is %s", name, state);
    doctor_add(d, LEVEL_WARN, "node", seen,
               is_silent ? xasprintf("systemctl restart slurmd, on %s", name)
                         : xasprintf("scontrol update NodeName=%s State=RESUME", name));
}

static void check_nodes(struct doctor *d)
{
    _cleanup_text_ struct text out = { 0 };
    _cleanup_free_ char *said = NULL;
    size_t before = d->findings.len, n = 0;
    int r = ask((const char *const[]){ "sinfo", "-h", "-N", "-o", "%N|%t|%E", NULL }, &out, &said);

    if (r != 0) {
        doctor_add(d, LEVEL_FAIL, "nodes", take_ptr(said), xstrdup("systemctl restart slurmctld"));
        return;
    }
    char *save = NULL;
    for (char *line = out.data ? strtok_r(out.data, "\n", &save) : NULL; line;
         line = strtok_r(NULL, "\n", &save), n++)
        judge_node(d, line);
    if (n == 0)
        doctor_add(d, LEVEL_FAIL, "nodes", xstrdup("Slurm has none"),
                   xstrdup("berth engine render slurm --out /etc/slurm && scontrol reconfigure"));
    else if (d->findings.len == before)
        doctor_add(d, LEVEL_OK, "nodes", xasprintf("%zu, all of them usable", n), NULL);
}

/* Machines that joined, and which the engine says nothing of. */
static void check_joined(struct doctor *d)
{
    _cleanup_json_ json_t *items = NULL;
    _cleanup_text_ struct text names = { 0 };
    struct error err = { 0 };
    size_t n = 0;

    if (nodes_ask(&items, &err) < 0) {
        doctor_add(d, LEVEL_WARN, "joined", xstrdup(err.text), xstrdup("systemctl start berth"));
        return;
    }
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *item = json_array_get(items, i);
        const char *fault = json_get_str(item, "fault", "");
        n += json_object_get(item, "joined") != NULL;
        if (json_object_get(item, "joined") && str_starts(fault, "no engine"))
            text_addf(&names, "%s%s", names.len ? ", " : "", json_get_str(item, "name", ""));
    }
    if (names.len)
        doctor_add(d, LEVEL_WARN, "joined", xasprintf("the engine does not know %s", names.data),
                   xstrdup("berth engine render slurm --out /etc/slurm, the same files on each "
                           "machine, engine: slurm in /etc/berth/berth.yaml, then scontrol "
                           "reconfigure and systemctl restart berth"));
    else
        doctor_add(d, LEVEL_OK, "joined", xasprintf("%zu, all known to the engine", n), NULL);
}

int admin_engine_check(int argc, char **argv, const struct engine_settings *settings)
{
    _cleanup_(doctor_done) struct doctor d = { 0 };
    const char *form = "table";

    if (argc == 2 && (str_equal(argv[1], "--help") || str_equal(argv[1], "-h")))
        return fputs(usage, stdout) < 0;
    for (int i = 1; i < argc; i++) {
        form = option_value("-o", argc, argv, &i);
        if (!form || !option_is_form(form)) {
            (void) fputs(usage, stderr);
            return EXIT_USAGE;
        }
    }
    bool has_slurm = check_commands(&d);
    check_munge(&d);
    if (has_slurm && check_controller(&d))
        check_nodes(&d);
    check_joined(&d);
    if (settings)
        check_home(&d, settings);
    return doctor_report(&d, form);
}
