/* engine-render.c - `berth engine render slurm`: a Slurm cluster of the machines that Berth knows */
#include "admin/admin.h"
#include "admin/nodes.h"
#include "admin/options.h"

#include "base/alloc.h"
#include "engine/engine.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_USAGE = 2 };

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

struct rendering {
    const char *out, *name, *controller;
};

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

static int render(const struct rendering *r, struct error *err)
{
    _cleanup_(cluster_done) struct cluster known = { .name = xstrdup(r->name),
                                                     .controller = xstrdup(r->controller) };
    _cleanup_json_ json_t *items = NULL;
    int code = nodes_gather(&known, &items, err);

    if (code >= 0 && r->out)
        code = mkdir_all(AT_FDCWD, r->out, 0755, err);
    const struct render_cluster cluster = cluster_view(&known);
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
            r->name = value;
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
    struct rendering r = { .name = "berth", .controller = host };
    if (argc == 2 && (str_equal(argv[1], "--help") || str_equal(argv[1], "-h")))
        return fputs(usage, stdout) < 0;
    if (!parse(argc, argv, &r)) {
        (void) fputs(usage, stderr);
        return EXIT_USAGE;
    }
    int code = name_check("--cluster", r.name, &err);
    if (code >= 0)
        code = name_check("--controller", r.controller, &err);
    if (code >= 0)
        code = render(&r, &err);
    if (code >= 0 && fflush(stdout) == 0)
        return EXIT_SUCCESS;
    (void) fprintf(stderr, "berth engine render: %s\n", err.text);
    return EXIT_FAILURE;
}
