/* doctor.c - `berth doctor`: run every check, print what was seen and what mends it */
#include "admin/doctor.h"

#include "admin/admin.h"
#include "admin/options.h"
#include "base/alloc.h"
#include "base/yaml.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_USAGE = 2 };

static const char usage[] =
    "Usage: berth doctor [-o table|json|yaml] [--state DIR] [--runtime DIR]\n\n"
    "Looks at this machine: container runtime, cgroups, overlay and idmapped mounts, user\n"
    "namespaces, container network, ports, disk, clock, cores, GPUs and driver. Every finding\n"
    "comes with the command that mends it. As root it really starts a container.\n\n"
    "Exit code: 0, or 1 when something is missing that Berth needs.\n";

static const char *const level_names[] = { "ok", "warn", "fail" };
static const char *const level_colours[] = { "\033[32m", "\033[33m", "\033[31m" };

void doctor_add(struct doctor *d, enum level level, const char *check, char *seen, char *mend)
{
    const struct finding finding = { .level = level, .check = check, .seen = seen, .mend = mend };

    vec_push(&d->findings, finding);
}

void doctor_done(struct doctor *d)
{
    vec_foreach(&d->findings, finding) {
        free(finding->seen);
        free(finding->mend);
    }
    vec_done(&d->findings);
}

char *existing_parent(const char *path)
{
    char *found = xstrdup(path);
    struct stat st;

    while (stat(found, &st) < 0 || !S_ISDIR(st.st_mode)) {
        char *slash = strrchr(found, '/');
        if (!slash || slash == found) {
            xstr_set(&found, "/");
            break;
        }
        *slash = '\0';
    }
    return found;
}

static int sandboxed(int (*f)(void *userdata, struct error *err), void *userdata, struct error *err)
{
    if (unshare(CLONE_NEWNS | CLONE_NEWNET) < 0)
        return error_set(err, -errno, "making namespaces: %m");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return error_set(err, -errno, "making mounts private: %m");
    return f(userdata, err);
}

int in_sandbox(int (*f)(void *userdata, struct error *err), void *userdata, struct error *err)
{
    struct error *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return error_set(err, -errno, "memory: %m");
    pid_t pid = fork();
    if (pid == 0) {
        int r = sandboxed(f, userdata, shared);
        shared->code = r;
        _exit(0);
    }
    int status = 0, r = -errno;
    if (pid > 0) {
        (void) waitpid(pid, &status, 0);
        r = WIFEXITED(status) ? shared->code : -ECHILD;
    }
    if (r < 0)
        r = error_set(err, r, "%s", shared->text[0] ? shared->text : strerror(-r));
    (void) munmap(shared, sizeof *shared);
    return r;
}

static void print_table(const struct doctor *d, struct text *out)
{
    bool is_plain = !isatty(STDOUT_FILENO) || getenv("NO_COLOR");

    vec_foreach(&d->findings, f) {
        text_addf(out, "%s%-4s%s  %-11s %s\n", is_plain ? "" : level_colours[f->level],
                  level_names[f->level], is_plain ? "" : "\033[0m", f->check, f->seen);
        if (f->mend)
            text_addf(out, "%19smend: %s\n", "", f->mend);
    }
}

static json_t *to_json(const struct doctor *d)
{
    json_t *items = json_array();

    vec_foreach(&d->findings, f) {
        json_t *item = json_object();
        json_put_str(item, "check", f->check);
        json_put_str(item, "state", level_names[f->level]);
        json_put_str(item, "seen", f->seen);
        json_put_str(item, "mend", f->mend);
        (void) json_array_append_new(items, item);
    }
    json_t *result = json_object();
    json_put(result, "items", items);
    return result;
}

static int print(const struct doctor *d, const char *form)
{
    _cleanup_text_ struct text out = { 0 };
    _cleanup_json_ json_t *json = to_json(d);
    _cleanup_free_ char *text = NULL;

    if (strcmp(form, "table") == 0) {
        print_table(d, &out);
    } else {
        text = strcmp(form, "json") == 0 ? json_text(json) : yaml_text(json);
        text_addf(&out, "%s%s", text, str_ends(text, "\n") ? "" : "\n");
    }
    return fputs(text_str(&out), stdout) < 0 || fflush(stdout) < 0 ? -EIO : 0;
}

int doctor_report(const struct doctor *d, const char *form)
{
    if (print(d, form) < 0)
        return EXIT_FAILURE;
    vec_foreach(&d->findings, f)
        if (f->level == LEVEL_FAIL)
            return EXIT_FAILURE;
    return EXIT_SUCCESS;
}

static void examine(struct doctor *d)
{
    static void (*const checks[])(struct doctor *) = {
        check_account, check_kernel, check_cgroups, check_overlay, check_container, check_network,
        check_ports,   check_disk,   check_time,    check_cores,   check_gpus,
    };

    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        checks[i](d);
}

static bool parse_options(int argc, char **argv, struct doctor *d, const char **form)
{
    for (int i = 1; i < argc; i++) {
        const char *value;
        if ((value = option_value("-o", argc, argv, &i))) {
            if (!option_is_form(value))
                return false;
            *form = value;
        } else if ((value = option_value("--state", argc, argv, &i))) {
            d->state = value;
        } else if ((value = option_value("--runtime", argc, argv, &i))) {
            d->runtime = value;
        } else {
            return false;
        }
    }
    return true;
}

void admin_doctor_help(struct text *out) { text_add(out, usage); }

int admin_doctor(int argc, char **argv)
{
    _cleanup_(
        doctor_done) struct doctor d = { .state = option_setting("BERTH_STATE", "/var/lib/berth"),
                                         .runtime = option_setting("BERTH_RUNTIME", "/run/berth"),
                                         .cdi = option_setting("BERTH_CDI", "/etc/cdi,/run/cdi"),
                                         .driver_root = option_setting("BERTH_DRIVER_ROOT", "/"),
                                         .listen = option_setting("BERTH_LISTEN", "127.0.0.1:7077"),
                                         .nvml = getenv("BERTH_NVML"),
                                         .is_root = geteuid() == 0 };
    const char *form = "table";

    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return fputs(usage, stdout) < 0;
    if (!parse_options(argc, argv, &d, &form)) {
        (void) fputs(usage, stderr);
        return EXIT_USAGE;
    }
    examine(&d);
    return doctor_report(&d, form);
}
