/* upgrade.c - `berth upgrade --check`: what runs, what is on the disk, and what this program would make of it
 *
 * Looks alone: at the database's head, at the lock that a server holds, at the attempts whose supervisors
 * hold theirs, and asks the server on its socket for its version. Needs no network, and no server.
 */
#include "admin/upgrade.h"

#include "admin/admin.h"
#include "admin/options.h"
#include "base/alloc.h"
#include "base/id.h"
#include "base/yaml.h"
#include "http/http.h"
#include "os/fd.h"
#include "task/task.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, EXIT_DENIED = 4, EXIT_REFUSED = 5, EXIT_WAITING = 10 };

#define RECORD_MAX (8 << 20)
#define ANSWER_MS  3000

static const char usage[] =
    "Usage: berth upgrade --check [-o table|json|yaml] [--state DIR]\n\n"
    "Compares this program with the server that runs and with the state on the disk: which version the\n"
    "server has, which format the state has and this program knows, which running tasks it would take\n"
    "over, and what its start would change. Changes nothing, needs no network, works while the server\n"
    "runs and while none does. A new version is asked before it is installed:\n\n"
    "  dpkg-deb -x berth_VERSION_amd64.deb /tmp/new && /tmp/new/usr/bin/berth upgrade --check\n\n"
    "Exit code: 0 nothing would change, 10 a start of this version changes what it says, 5 this version\n"
    "would not start, 4 the state is not readable for you, 1 failed, 2 usage.\n";

/* ---- looking --------------------------------------------------------------------------------------- */

static char *own_path(void)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);

    return n > 0 ? xstrndup(path, (size_t) n) : NULL;
}

/* Unknown, for want of permission, counts as another file. */
static bool is_same_file(pid_t server)
{
    _cleanup_free_ char *path = xasprintf("/proc/%d/exe", (int) server);
    struct stat a, b;

    return stat(path, &a) == 0 && stat("/proc/self/exe", &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

static int ask_version(const char *socket, char **ret, struct error *err)
{
    _cleanup_free_ char *url = xasprintf("unix:%s", socket);
    _cleanup_(http_client_freep) struct http_client *client = NULL;
    _cleanup_json_ json_t *json = NULL;
    const struct http_call call = { .method = "GET",
                                    .target = "/v1/version",
                                    .timeout_ms = ANSWER_MS };
    struct http_response answer = { 0 };

    int r = http_client_new(url, &client, err);
    if (r >= 0)
        r = http_client_call(client, &call, &answer, err);
    if (r >= 0 && answer.status != 200)
        r = error_set(err, -EACCES, "it answers with status %d", answer.status);
    if (r >= 0)
        r = json_parse(text_str(&answer.body), answer.body.len, &json, err);
    if (r >= 0)
        *ret = xstrdup(json_get_str(json, "version", NULL));
    http_response_done(&answer);
    return r;
}

static void look_at_server(struct upgrade *u, const char *socket)
{
    struct error err = { 0 };

    if (!u->store.server)
        return;
    u->same_file = is_same_file(u->store.server);
    if (ask_version(socket, &u->server_version, &err) < 0)
        u->server_problem = xstrdup(err.text);
}

static bool is_locked(int state, const char *id)
{
    _cleanup_free_ char *path = xasprintf("attempts/%s/lock", id);
    _cleanup_close_ int fd = openat(state, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

/* Its record as far as any version could read it; what this version makes of it. */
static struct upgrade_task read_task(int state, const char *id)
{
    _cleanup_free_ char *path = xasprintf("attempts/%s/spec.json", id);
    _cleanup_text_ struct text text = { 0 };
    _cleanup_json_ json_t *json = NULL;
    _cleanup_(task_spec_freep) struct task_spec *spec = NULL;
    struct error err = { 0 };

    int r = file_read(state, path, RECORD_MAX, &text, &err);
    if (r >= 0)
        r = json_parse(text_str(&text), text.len, &json, &err);
    if (r >= 0)
        r = task_spec_from_json(json, &spec, &err);
    return (struct upgrade_task){
        .attempt = xstrdup(id),
        .job = xstrdup(json_get_str(json, "workload_name", id)),
        .project = xstrdup(json_get_str(json, "project_name", "?")),
        .format = json_get_int(json, "version", -1),
        .problem = r < 0 ? xasprintf("spec.json: %s", err.text) : NULL,
    };
}

static int by_job(const void *a, const void *b)
{
    const struct upgrade_task *x = a, *y = b;
    int r = strcmp(x->project, y->project);

    r = r ? r : strcmp(x->job, y->job);
    return r ? r : strcmp(x->attempt, y->attempt);
}

/* STATE/running names the few attempts that have a writable layer, STATE/attempts all there ever were. */
static int look_at_tasks(struct upgrade *u, struct error *err)
{
    _cleanup_close_ int state = open(u->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int running = state < 0 ? -1 : openat(state, "running", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = running < 0 ? NULL : fdopendir(running);

    if (!dir) {
        int r = -errno;
        safe_close(running);
        return r == -ENOENT ? 0 : error_set(err, r, "%s/running: %s", u->state, strerror(-r));
    }
    for (const struct dirent *entry; (entry = readdir(dir));) {
        struct id id;
        if (id_parse(entry->d_name, &id) >= 0 && is_locked(state, entry->d_name))
            vec_push(&u->tasks, read_task(state, entry->d_name));
    }
    (void) closedir(dir);
    qsort(u->tasks.items, u->tasks.len, sizeof *u->tasks.items, by_job);
    return 0;
}

static int look(struct upgrade *u, const struct upgrade_where *where, struct error *err)
{
    int r = store_look(where->store, &u->store, err);

    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return r;
    u->has_state = true;
    look_at_server(u, where->socket);
    return look_at_tasks(u, err);
}

/* ---- telling --------------------------------------------------------------------------------------- */

static const char *const verdict_names[] = { "current", "waiting", "refused" };
static const int verdict_codes[] = { EXIT_SUCCESS, EXIT_WAITING, EXIT_REFUSED };

static json_t *tasks_json(const struct upgrade *u)
{
    json_t *items = json_array();

    vec_foreach(&u->tasks, task) {
        json_t *item = json_object();
        json_put_str(item, "project", task->project);
        json_put_str(item, "job", task->job);
        json_put_str(item, "attempt", task->attempt);
        json_put_int(item, "format", task->format);
        json_put(item, "taken_over", json_boolean(!task->problem));
        json_put_str(item, "problem", task->problem);
        (void) json_array_append_new(items, item);
    }
    return items;
}

static json_t *lines_json(const char *lines)
{
    json_t *list = json_array();

    for (const char *p = lines; *p;) {
        size_t n = strcspn(p, "\n");
        (void) json_array_append_new(list, json_stringn(p, n));
        p += n + (p[n] == '\n');
    }
    return list;
}

static json_t *to_json(const struct upgrade *u, enum upgrade_verdict verdict, const char *words)
{
    json_t *result = json_object(), *server = json_object(), *state = json_object();

    json_put_str(result, "version", u->version);
    json_put_str(result, "program", u->path);
    json_put(server, "running", json_boolean(u->store.server > 0));
    if (u->store.server)
        json_put_int(server, "process", u->store.server);
    json_put_str(server, "version", u->server_version);
    json_put_str(server, "problem", u->server_problem);
    json_put(result, "server", server);
    json_put_str(state, "directory", u->state);
    if (u->has_state)
        json_put_int(state, "format", u->store.format);
    json_put_int(state, "known", u->store.known);
    json_put(result, "state", state);
    json_put(result, "tasks", tasks_json(u));
    json_put_str(result, "verdict", verdict_names[verdict]);
    json_put(result, "would", lines_json(words));
    return result;
}

static void add_server(const struct upgrade *u, struct text *out)
{
    text_add(out, "server    ");
    if (!u->store.server) {
        text_add(out, "none runs\n");
        return;
    }
    text_addf(out, "%s, process %d", u->server_version ? u->server_version : "unknown version",
              (int) u->store.server);
    if (u->server_problem)
        text_addf(out, "; it does not say: %s", u->server_problem);
    else if (str_equal(u->server_version, u->version))
        text_add(out, u->same_file ? ", this program" : ", another build of it");
    text_add_char(out, '\n');
}

static void add_words(const char *first, const char *words, struct text *out)
{
    for (const char *p = words; *p; first = "") {
        size_t n = strcspn(p, "\n");
        text_addf(out, "%-10s%.*s\n", first, (int) n, p);
        p += n + (p[n] == '\n');
    }
}

static void print_table(const struct upgrade *u, enum upgrade_verdict verdict, const char *words,
                        struct text *out)
{
    text_addf(out, "version   %s (%s)\n", u->version, u->path ? u->path : "?");
    add_server(u, out);
    if (u->has_state)
        text_addf(out, "state     %s, format %u; this version knows %u\n", u->state,
                  u->store.format, u->store.known);
    else
        text_addf(out, "state     none in %s\n", u->state);
    if (u->has_state && u->tasks.len == 0)
        text_add(out, "running   no task\n");
    vec_foreach(&u->tasks, task)
        text_addf(out, "%-10s%s of project %s, attempt %s, records of format %lld%s\n",
                  task == u->tasks.items ? "running" : "", task->job, task->project, task->attempt,
                  (long long) task->format, task->problem ? ": not readable" : "");
    add_words(verdict == UPGRADE_REFUSED ? "refused" : "would", words, out);
}

static int print(const struct upgrade *u, const char *form)
{
    _cleanup_text_ struct text words = { 0 }, out = { 0 };
    enum upgrade_verdict verdict = upgrade_judge(u, &words);

    if (str_equal(form, "table")) {
        print_table(u, verdict, text_str(&words), &out);
    } else {
        _cleanup_json_ json_t *json = to_json(u, verdict, text_str(&words));
        _cleanup_free_ char *text = str_equal(form, "json") ? json_text(json) : yaml_text(json);
        text_addf(&out, "%s%s", text, str_ends(text, "\n") ? "" : "\n");
    }
    if (fputs(text_str(&out), stdout) < 0 || fflush(stdout) < 0)
        return EXIT_FAILURE;
    return verdict_codes[verdict];
}

/* ---- the command ----------------------------------------------------------------------------------- */

/* False: not as the usage says. */
static bool parse_options(int argc, char **argv, const char **form)
{
    bool check = false;

    for (int i = 1; i < argc; i++) {
        const char *value;
        if (str_equal(argv[i], "--check"))
            check = true;
        else if ((value = option_value("-o", argc, argv, &i)) && option_is_form(value))
            *form = value;
        else if (!option_value("--state", argc, argv, &i)) /* main/ has looked at it */
            return false;
    }
    return check;
}

void admin_upgrade_help(struct text *out) { text_add(out, usage); }

int admin_upgrade(int argc, char **argv, const struct upgrade_where *where)
{
    _cleanup_(upgrade_done) struct upgrade u = { .version = where->version,
                                                 .path = own_path(),
                                                 .state = where->state,
                                                 .problem = xstrdup(where->problem) };
    struct error err = { 0 };
    const char *form = "table";

    if (argc == 2 && (str_equal(argv[1], "--help") || str_equal(argv[1], "-h")))
        return fputs(usage, stdout) < 0;
    if (!parse_options(argc, argv, &form)) {
        (void) fputs(usage, stderr);
        return EXIT_USAGE;
    }
    int r = look(&u, where, &err);
    if (r < 0) {
        (void) fprintf(stderr, "berth upgrade: %s\n", err.text);
        return r == -EACCES || r == -EPERM ? EXIT_DENIED : EXIT_FAILURE;
    }
    return print(&u, form);
}
