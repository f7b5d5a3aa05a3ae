/* node-join.c - `berth node join`: a machine shows its token and is a node from then on */
#include "admin/admin.h"
#include "admin/box.h"
#include "admin/node-account.h"
#include "admin/node.h"
#include "admin/options.h"
#include "admin/order-root.h"

#include "base/alloc.h"
#include "http/http.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/hash.h"
#include "os/process.h"
#include "probe/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, EXIT_DENIED = 4, EXIT_CONFLICT = 5 };

static const char usage[] =
    "Usage: berth node join URL TOKEN [--name NAME] [--state DIR] [--no-orders]\n"
    "                       [--no-start]\n\n"
    "Makes this machine a node of the cloud at URL. TOKEN comes from `berth node token` there and\n"
    "lets one machine join; `-` reads it from stdin. The machine says what hardware it has and, by\n"
    "the service berth-node, that it is there; it can do nothing else with the cloud. Joined as root,\n"
    "over https or from the same machine, it also takes orders: `berth engine install slurm` on the\n"
    "server then installs Slurm here, and starts it. A machine that joins again is the same node,\n"
    "under the name it had.\n\n"
    "  --name NAME   what it is called; without it the host's name up to the first dot\n"
    "  --state DIR   where it keeps its key (/var/lib/berth)\n"
    "  --no-orders   only reports: nothing is installed or changed here from afar\n"
    "  --no-start    do not start the service\n\n"
    "Exit code: 0; 4 when the token is refused, 5 when the server does not take the machine.\n";

struct join {
    const char *url, *token, *name, *state;
    char typed[256]; /* a token that came on stdin */
    bool starts, takes_orders;
    char key[BOX_KEY_TEXT + 1]; /* that orders are sealed for; "": none are taken */
};

void admin_node_join_help(struct text *out) { text_add(out, usage); }

/* Not the machine's id itself: that one is nobody else's business (machine-id(5)). */
static int machine_sum(struct sha256 *ret, struct error *err)
{
    const char *path = option_setting("BERTH_MACHINE_ID", "/etc/machine-id");
    _cleanup_text_ struct text id = { 0 };

    int r = file_read(AT_FDCWD, path, 4096, &id, err);
    if (r < 0 || id.len < 8)
        return error_set(err, r < 0 ? r : -EINVAL,
                         "%s tells no machine from another; make one: systemd-machine-id-setup",
                         path);
    _cleanup_free_ char *text = xasprintf("berth node %s", text_str(&id));
    *ret = sha256_of(text, strlen(text));
    return 0;
}

/* ---- the request ------------------------------------------------------------------------------------ */

static int judge(const struct http_response *response, const json_t *answer, struct error *err)
{
    const char *detail = json_get_str(answer, "detail", NULL);
    int code = response->status == 401 || response->status == 403 ? -EACCES
               : response->status == 409                          ? -EEXIST
                                                                  : -EREMOTEIO;

    if (response->status == 201)
        return 0;
    if (detail)
        return error_set(err, code, "%s", detail);
    return error_set(err, code, "the server answers %d", response->status);
}

static int ask(const struct join *join, const json_t *body, json_t **ret, struct error *err)
{
    _cleanup_(http_client_freep) struct http_client *client = NULL;
    _cleanup_free_ char *bearer = xasprintf("Bearer %s", join->token), *text = json_text(body);
    const char *headers[] = { "Authorization", bearer, "Content-Type", "application/json", NULL };
    struct http_response response = { 0 };
    const struct http_call call = { .method = "POST",
                                    .target = "/v1/nodes",
                                    .headers = headers,
                                    .body = text,
                                    .body_len = strlen(text),
                                    .limit = 1 << 20 };

    int r = http_client_new(join->url, &client, err);
    if (r >= 0)
        r = http_client_call(client, &call, &response, err);
    if (r >= 0) {
        if (json_parse(text_str(&response.body), response.body.len, ret, NULL) < 0)
            *ret = json_object();
        r = judge(&response, *ret, err);
    }
    http_response_done(&response);
    explicit_bzero(bearer, strlen(bearer));
    return r;
}

/* ---- what stays ---------------------------------------------------------------------------------------- */

/* The service is an ordinary account. */
static void give_to_service(const char *path)
{
    const struct passwd *account = geteuid() == 0 ? getpwnam("berth") : NULL;

    if (account && chown(path, account->pw_uid, account->pw_gid) < 0)
        (void) fprintf(stderr, "berth node join: %s is not the service's: %s\n", path,
                       strerror(errno));
}

static int keep(const struct join *join, const json_t *answer, struct error *err)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", join->state, NODE_FILE);
    _cleanup_json_ json_t *json = json_object();

    json_put_str(json, "url", join->url);
    json_put_str(json, "name", json_get_str(answer, "name", NULL));
    json_put_str(json, "key", json_get_str(answer, "key", NULL));
    _cleanup_free_ char *text = json_text(json);
    int r = file_replace(AT_FDCWD, path, 0600, text, strlen(text), true, err);
    explicit_bzero(text, strlen(text));
    if (r >= 0)
        give_to_service(path);
    return r;
}

static void start(const struct join *join)
{
    static const char *const enable[] = { "systemctl", "enable", "berth-node.service", NULL };
    static const char *const restart[] = { "systemctl", "restart", "berth-node.service", NULL };

    if (!join->starts)
        return;
    if (access("/run/systemd/system", F_OK) < 0 ||
        process_run(enable, 4096, 60000, NULL, NULL, NULL) != 0 ||
        process_run(restart, 4096, 60000, NULL, NULL, NULL) != 0)
        (void) printf("start it here: berth node run%s%s\n",
                      str_equal(join->state, "/var/lib/berth") ? "" : " --state ",
                      str_equal(join->state, "/var/lib/berth") ? "" : join->state);
}

/* ---- the command -------------------------------------------------------------------------------------- */

static bool parse(int argc, char **argv, struct join *join)
{
    unsigned n = 0;

    for (int i = 1; i < argc; i++) {
        const char *value;
        if ((value = option_value("--name", argc, argv, &i)))
            join->name = value;
        else if ((value = option_value("--state", argc, argv, &i)))
            join->state = value;
        else if (str_equal(argv[i], "--no-start"))
            join->starts = false;
        else if (str_equal(argv[i], "--no-orders"))
            join->takes_orders = false;
        else if (str_starts(argv[i], "--") || n == 2)
            return false;
        else
            *(n++ ? &join->token : &join->url) = argv[i];
    }
    return n == 2;
}

static int read_token(struct join *join, struct error *err)
{
    if (!str_equal(join->token, "-"))
        return 0;
    if (!fgets(join->typed, sizeof join->typed, stdin))
        return error_set(err, -EINVAL, "TOKEN: nothing came on stdin");
    join->typed[strcspn(join->typed, "\r\n")] = '\0';
    join->token = join->typed;
    return 0;
}

/* ---- orders ------------------------------------------------------------------------------------------- */

/* What is sealed for this machine is as good as the way that its key takes. */
static bool is_private(const char *url)
{
    static const char *const begins[] = { "https://", "unix:", "http://127.", "http://localhost",
                                          "http://[::1]" };

    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
        if (str_starts(url, begins[i]))
            return true;
    return false;
}

static int prepare_orders(struct join *join, struct error *err)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", join->state, ORDER_KEY_FILE);

    if (join->takes_orders && geteuid() == 0 && is_private(join->url))
        return box_make(path, join->key, err);
    join->takes_orders = false;
    if (unlink(path) < 0 && errno != ENOENT)
        return error_set(err, -errno, "%s: %s", path, strerror(errno));
    return 0;
}

/* So that Slurm may start jobs here. The machine has joined whatever comes of it; an order says it again. */
static void mend_account(const struct join *join, const json_t *answer)
{
    const char *name = option_setting("BERTH_USER", "berth");
    int64_t uid = json_get_int(answer, "uid", 0), gid = json_get_int(answer, "gid", 0);
    struct error err = { 0 };

    if (!join->takes_orders || uid <= 0 || gid <= 0 || uid > UINT32_MAX - 1 || gid > UINT32_MAX - 1)
        return;
    int r = node_account_set(name, (uid_t) uid, (gid_t) gid, join->state, &err);
    if (r < 0)
        (void) fprintf(stderr, "berth node join: account %s: %s\n", name, err.text);
    else if (r == 0)
        (void) printf("the account %s has the numbers now that it has on the server: %lld:%lld\n",
                      name, (long long) uid, (long long) gid);
}

static void say_orders(const struct join *join)
{
    if (join->takes_orders)
        (void) printf("it takes orders: `berth engine install` there may set up Slurm here\n");
    else if (geteuid() == 0 && !is_private(join->url))
        (void) printf("it takes no orders: they do not go over plain http\n");
}

static json_t *make_body(const struct join *join, const struct sha256 *machine, const json_t *node)
{
    char hex[SHA256_HEX_LEN + 1];
    json_t *body = json_object();

    json_put_str(body, "machine", sha256_format(machine, hex));
    json_put(body, "node", json_deep_copy(node));
    json_put_str(body, "url", join->url);
    if (join->takes_orders)
        json_put_str(body, "orders_key", join->key);
    return body;
}

static int do_join(struct join *join, struct error *err)
{
    _cleanup_json_ json_t *node = NULL, *body = NULL, *answer = NULL;
    struct sha256 sum;

    int r = read_token(join, err);
    if (r >= 0)
        r = machine_sum(&sum, err);
    if (r >= 0)
        r = mkdir_all(AT_FDCWD, join->state, 0711, err);
    if (r >= 0)
        r = node_look(join->state, join->name, join->url, &node, err);
    if (r >= 0)
        r = prepare_orders(join, err);
    if (r < 0)
        return r;
    body = make_body(join, &sum, node);
    r = ask(join, body, &answer, err);
    if (r < 0)
        return r;
    mend_account(join, answer);
    r = keep(join, answer, err);
    if (r < 0)
        return r;
    if (json_get_bool(answer, "again", false))
        (void) printf("this machine is node %s of %s already; its key is a new one\n",
                      json_get_str(answer, "name", ""), join->url);
    else
        (void) printf("this machine is node %s of %s\n", json_get_str(answer, "name", ""),
                      join->url);
    say_orders(join);
    start(join);
    return 0;
}

int admin_node_join(int argc, char **argv)
{
    struct join join = { .state = option_setting("BERTH_STATE", "/var/lib/berth"),
                         .starts = true,
                         .takes_orders = true };
    struct error err = { 0 };

    if (argc == 2 && (str_equal(argv[1], "--help") || str_equal(argv[1], "-h")))
        return fputs(usage, stdout) < 0;
    if (!parse(argc, argv, &join)) {
        (void) fputs(usage, stderr);
        return EXIT_USAGE;
    }
    int r = do_join(&join, &err);
    if (r >= 0)
        return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    (void) fprintf(stderr, "berth node join: %s\n", err.text);
    return r == -EACCES ? EXIT_DENIED : r == -EEXIST ? EXIT_CONFLICT : EXIT_FAILURE;
}
