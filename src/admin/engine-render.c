/* engine-render.c - `berth engine render slurm`: a Slurm cluster of the machines that Berth knows */
#include "admin/admin.h"
#include "admin/nodes.h"
#include "admin/options.h"

#include "base/alloc.h"
#include "engine/engine.h"
#include "http/http.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, NODES_MAX = 64 << 20 };

static const char usage[] =
    "Usage: berth engine render slurm [--out DIR] [--cluster NAME] [--controller HOST]\n\n"
    "Writes slurm.conf, cgroup.conf and, where there are GPUs and racks, gres.conf and topology.conf\n"
    "of a Slurm cluster of the machines that the server knows (berth node list). Every line that\n"
    "decides something says why. As root, on the server's machine. A site that has Slurm needs none\n"
    "of it.\n\n"
    "  --out DIR          write the files there, in place of those before; without it to stdout\n"
    "  --cluster NAME     what the cluster is called (berth)\n"
    "  --controller HOST  where slurmctld runs (this machine)\n\n"
    "Exit code: 0; 1 when the server does not answer or knows no machine; 2 usage.\n";

void admin_engine_render_help(struct text *out) { text_add(out, usage); }

int nodes_ask(json_t **ret, struct error *err)
{
    _cleanup_(http_client_freep) struct http_client *client = NULL;
    _cleanup_free_ char *url =
        xasprintf("unix:%s", option_setting("BERTH_SOCKET", "/run/berth/api.sock"));
    _cleanup_json_ json_t *answer = NULL;
    struct http_response response = { 0 };
    const struct http_call call = { .method = "GET", .target = "/v1/nodes", .limit = NODES_MAX };

    int r = http_client_new(url, &client, err);
    if (r >= 0)
        r = http_client_call(client, &call, &response, err);
    if (r >= 0 && response.status != 200)
        r = error_set(err, -EACCES, "the server answers %d to whoever is not root",
                      response.status);
    if (r >= 0)
        r = json_parse(text_str(&response.body), response.body.len, &answer, err);
    http_response_done(&response);
    if (r < 0)
        return error_context(err, r, "asking the server for its machines");
    *ret = json_incref(json_object_get(answer, "items"));
    return *ret ? 0 : error_set(err, -EBADMSG, "the server names no machines");
}

struct rendering {
    const char *out, *cluster, *controller;
    VEC(struct node *) nodes;
    VEC(struct render_node) items;
};

static void rendering_done(struct rendering *r)
{
    vec_foreach(&r->nodes, node)
        node_free(*node);
    vec_done(&r->nodes);
    vec_done(&r->items);
}

static int take_nodes(struct rendering *r, const json_t *items, struct error *err)
{
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *item = json_array_get(items, i);
        struct node *node = NULL;
        int code = node_from_json(item, &node, err);
        if (code < 0)
            return code;
        vec_push(&r->nodes, node);
        const struct render_node one = { node, json_get_str(json_object_get(item, "tags"), "rack",
                                                            NULL) };
        vec_push(&r->items, one);
    }
    return r->nodes.len ? 0 : error_set(err, -ENOENT, "the server knows no machine yet");
}

static int write_one(const struct rendering *r, const char *file, const struct text *text,
                     struct error *err)
{
    if (!r->out)
        return printf("#### %s\n%s\n", file, text_str(text)) < 0 ? -EIO : 0;
    _cleanup_free_ char *path = xasprintf("%s/%s", r->out, file);
    int code = file_replace(AT_FDCWD, path, 0644, text_str(text), text->len, true, err);
    if (code >= 0)
        (void) printf("%s\n", path);
    return code;
}

static int render(struct rendering *r, struct error *err)
{
    _cleanup_json_ json_t *items = NULL;
    int code = nodes_ask(&items, err);

    if (code >= 0)
        code = take_nodes(r, items, err);
    if (code >= 0 && r->out)
        code = mkdir_all(AT_FDCWD, r->out, 0755, err);
    const struct render_cluster cluster = { r->cluster, r->controller, r->items.items,
                                            r->items.len };
    for (const char *const *file = render_files; code >= 0 && *file; file++) {
        _cleanup_text_ struct text text = { 0 };
        if (render_file(&cluster, *file, &text))
            code = write_one(r, *file, &text, err);
    }
    return code;
}

static bool parse(int argc, char **argv, struct rendering *r)
{
    bool is_slurm = false;

    for (int i = 1; i < argc; i++) {
        const char *value;
        if ((value = option_value("--out", argc, argv, &i)))
            r->out = value;
        else if ((value = option_value("--cluster", argc, argv, &i)))
            r->cluster = value;
        else if ((value = option_value("--controller", argc, argv, &i)))
            r->controller = value;
        else if (str_equal(argv[i], "slurm") && !is_slurm)
            is_slurm = true;
        else
            return false;
    }
    return is_slurm;
}

int admin_engine_render(int argc, char **argv)
{
    char host[256] = "localhost";
    struct error err = { 0 };

    (void) gethostname(host, sizeof host - 1);
    host[strcspn(host, ".")] = '\0';
    _cleanup_(rendering_done) struct rendering r = { .cluster = "berth", .controller = host };
    if (argc == 2 && (str_equal(argv[1], "--help") || str_equal(argv[1], "-h")))
        return fputs(usage, stdout) < 0;
    if (!parse(argc, argv, &r)) {
        (void) fputs(usage, stderr);
        return EXIT_USAGE;
    }
    int code = name_check("--cluster", r.cluster, &err);
    if (code >= 0)
        code = name_check("--controller", r.controller, &err);
    if (code >= 0)
        code = render(&r, &err);
    if (code >= 0 && fflush(stdout) == 0)
        return EXIT_SUCCESS;
    (void) fprintf(stderr, "berth engine render: %s\n", err.text);
    return EXIT_FAILURE;
}
