/* Orders: what is in order, and what is not; settings that are written; what is sealed. */
#include "admin/box.h"
#include "admin/install.h"
#include "os/fd.h"
#include "tests/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static const char good[] =
    "{\"op\":\"slurm\",\"controller\":false,\"account\":{\"name\":\"berth\",\"uid\":998,\"gid\":997},"
    "\"cluster\":{\"name\":\"lab\",\"controller\":\"head\",\"address\":\"10.0.0.1\",\"nodes\":["
    "{\"node\":{\"name\":\"gpu7\",\"address\":\"10.0.0.7\",\"memory\":1073741824,"
    "\"cores\":[{\"id\":0,\"cpus\":\"0\"}]},\"rack\":\"b2\"}]},"
    "\"sums\":{},\"munge_key\":\"AAAA\"}";

static int take(const char *text, const char *name, struct order **ret, struct error *err)
{
    _cleanup_json_ json_t *json = NULL;

    ok(json_parse(text, strlen(text), &json, NULL) == 0);
    return order_from_json(json, name, ret, err);
}

TEST(an_order_says_which_part_a_machine_is)
{
    _cleanup_(order_freep) struct order *order = NULL, *again = NULL;
    struct error err = { 0 };

    ok(take(good, "gpu7", &order, &err) == 0);
    is_str(order->self->address, "10.0.0.7");
    is_str(order->cluster.items.items[0].rack, "b2");
    ok(order->uid == 998 && order->gid == 997 && !order->is_controller && !order->is_server);

    _cleanup_json_ json_t *json = order_to_json(order);
    ok(order_from_json(json, "gpu7", &again, &err) == 0);
    is_str(again->cluster.controller_address, "10.0.0.1");
    ok(!again->munge_key);
}

/* GOOD with FROM once replaced by TO is refused, and the reason has WORDS. */
static void is_refused(const char *from, const char *to, const char *words)
{
    _cleanup_(order_freep) struct order *order = NULL;
    const char *at = strstr(good, from);
    struct error err = { 0 };

    if (!at)
        abort();
    _cleanup_free_ char *text =
        xasprintf("%.*s%s%s", (int) (at - good), good, to, at + strlen(from));
    ok(take(text, "gpu7", &order, &err) < 0);
    ok(strstr(err.text, words) != NULL);
}

TEST(what_is_not_in_order_is_refused)
{
    struct order *order = NULL;
    struct error err = { 0 };

    is_refused("\"slurm\"", "\"shell\"", "op: 'shell'");
    is_refused("\"lab\"", "\"x\\nProlog=/bin/evil\"", "cluster: name");
    is_refused("\"head\"", "\"head(10.0.0.9)\"", "cluster: controller");
    is_refused("10.0.0.1", "10.0.0.1)\\nEpilog=/x", "cluster: address");
    is_refused("10.0.0.7", "10.0.0.7 Port=1", "address");
    is_refused("\"gpu7\"", "\"gpu7 State=FUTURE\"", "cluster: nodes[0]");
    is_refused("\"uid\":998", "\"uid\":0", "account");
    is_refused("\"controller\":false", "\"controller\":true", "the cluster names 'head'");
    ok(take(good, "gpu8", &order, &err) < 0 && strstr(err.text, "is not there"));
}

TEST(a_setting_is_put_where_it_stood_or_behind_all)
{
    _cleanup_text_ struct text out = { 0 };

    settings_put("# engine: local\nhosts: [a]\n", "engine", "slurm", &out);
    is_str(out.data, "# engine: local\nhosts: [a]\nengine: slurm\n");
    text_clear(&out);
    settings_put("engine : local\ngrace: 3s", "engine", "slurm", &out);
    is_str(out.data, "engine: slurm\ngrace: 3s\n");
    text_clear(&out);
    settings_put("", "engine", "slurm", &out);
    is_str(out.data, "engine: slurm\n");
}

TEST(the_home_of_tasks_is_a_name_that_the_server_answers_to)
{
    char *listen[] = { (char[]){ "127.0.0.1:7077" }, NULL };
    char *hosts[] = { (char[]){ "berth.example.org" }, NULL };
    struct engine_settings settings = { .listen = listen, .hosts = hosts };
    _cleanup_json_ json_t *items =
        json_pack("[{s:s},{s:s},{s:s}]", "url", "unix:/x", "url", "https://elsewhere.example.org",
                  "url", "https://berth.example.org:8443");

    is_str(install_home_url(&settings, items), "https://berth.example.org:8443");
    settings.home_url = "https://set";
    ok(!install_home_url(&settings, items));
    settings.home_url = NULL;
    listen[0] = (char[]){ "10.0.0.1:7077" };
    ok(!install_home_url(&settings, items));
}

TEST(what_is_sealed_is_for_one_machine)
{
    char public[BOX_KEY_TEXT + 1], other[BOX_KEY_TEXT + 1];
    _cleanup_free_ char *dir = NULL, *sealed = NULL;
    _cleanup_text_ struct text opened = { 0 };
    struct error err = { 0 };

    ok(mkdir_temporary("/tmp", "berth-box", &dir, &err) == 0);
    _cleanup_free_ char *mine = xasprintf("%s/mine", dir), *theirs = xasprintf("%s/theirs", dir);
    ok(box_make(mine, public, &err) == 0);
    ok(box_make(theirs, other, &err) == 0);
    ok(box_seal(public, "secret", 6, &sealed, &err) == 0);
    ok(box_open(mine, sealed, &opened, &err) == 0);
    ok(opened.len == 6 && memcmp(opened.data, "secret", 6) == 0);
    ok(box_open(theirs, sealed, &opened, &err) == -EBADMSG);
    ok(box_is_there(mine) && chmod(mine, 0640) == 0 && !box_is_there(mine));
    ok(box_seal("no key", "x", 1, &sealed, &err) < 0);
    (void) remove_tree(AT_FDCWD, dir, NULL);
}

TAP_MAIN
