/* image.c - berth image pull, import, login: what needs more than one call, a file or a password */
#include "cli/image.h"

#include "cli/commands.h"
#include "cli/progress.h"

#include "base/alloc.h"
#include "os/clock.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PASSWORD_MAX = 65536, LOOK_MS = 150 };

/* ---- waiting until it is there ------------------------------------------------------------------ */

/* Ctrl-C ends the waiting, not the pull. */
int image_await(struct cli *cli, json_t **image, struct error *err)
{
    _cleanup_free_ char *id = xstrdup(json_get_str(*image, "id", ""));
    _cleanup_free_ char *target = project_path(cli, "images", id, NULL);
    struct progress progress = { 0 };
    int r = 0;

    interrupt_catch();
    for (;;) {
        json_decref(*image);
        *image = NULL;
        r = remote_get(cli, target, image, err);
        if (r < 0 || !str_equal(json_get_str(*image, "state", ""), "pulling"))
            break;
        if (interrupt_count() > 0) {
            r = error_set(err, -EINTR, "it is still being pulled; see berth image show %s", id);
            break;
        }
        int64_t total = json_get_int(*image, "total", 0);
        if (total && !progress.term)
            progress_begin(&progress, &cli->err, "pulling", total);
        if (total)
            progress_show(&progress, json_get_int(*image, "done", 0));
        (void) nanosleep(&(struct timespec){ .tv_nsec = LOOK_MS * 1000000L }, NULL);
    }
    if (progress.term)
        progress_end(&progress);
    interrupt_release();
    if (r >= 0 && str_equal(json_get_str(*image, "state", ""), "failed"))
        return error_set(err, -EREMOTEIO, "%s: %s", json_get_str(*image, "name", ""),
                         json_get_str(*image, "reason", ""));
    return r;
}

static int tell_image(const struct cli *cli, const json_t *image)
{
    char size[32];

    if (cli->output_given)
        print_answer(cli, "image", image);
    else
        (void) printf("%s\n", json_get_str(image, "digest", ""));
    print_note(cli, "%s is here, %s; use it as berth run --image %s",
               json_get_str(image, "name", ""), bytes_to_str(json_get_int(image, "size", 0), size),
               json_get_str(image, "name", ""));
    return CLI_OK;
}

int image_finish(struct cli *cli, const struct args *args, json_t **image, struct error *err)
{
    if (args_has(args, "detach")) {
        print_answer(cli, "image", *image);
        return CLI_OK;
    }
    int r = image_await(cli, image, err);
    return r < 0 ? r : tell_image(cli, *image);
}

static const struct cli_flag detach_flags[] = {
    { "detach", "d", NULL, "do not wait until it is there" },
    { NULL },
};

/* ---- pull ---------------------------------------------------------------------------------------- */

static int run_pull(struct cli *cli, const struct args *args, struct error *err)
{
    _cleanup_free_ char *target = project_path(cli, "images", NULL);
    _cleanup_json_ json_t *body = json_object(), *image = NULL;

    json_put_str(body, "reference", args_operand(args, 0));
    int r = remote_post(cli, target, body, &image, err);
    return r < 0 ? r : image_finish(cli, args, &image, err);
}

const struct command command_image_pull = {
    .noun = "image",
    .verb = "pull",
    .operands = "REFERENCE",
    .summary = "Look a reference up, also one that is here already, and bring what it means now",
    .examples = "berth image pull python:3.12\n"
                "berth image pull registry.example:5000/team/trainer@sha256:DIGEST",
    .flags = detach_flags,
    .operands_min = 1,
    .operands_max = 1,
    .run = run_pull,
};

/* ---- import ------------------------------------------------------------------------------------- */

static const struct cli_flag import_flags[] = {
    { "name", "n", "NAME[:TAG]", "what it is called; made from the file's name when left out" },
    { "docker", NULL, NULL, "the file is what docker save writes, not an OCI layout" },
    { "detach", "d", NULL, "do not wait until it is unpacked" },
    { NULL },
};

/* "dir/Trainer-1.tar.gz" is trainer-1. */
static char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path, *end = strstr(base, ".tar");
    struct text t = { 0 };

    for (const char *p = base; *p && p != end; p++) {
        char c = *p >= 'A' && *p <= 'Z' ? (char) (*p + 32) : *p;
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (plain || (t.len > 0 && t.data[t.len - 1] != '-'))
            text_add_char(&t, plain ? c : '-');
    }
    while (t.len > 0 && t.data[t.len - 1] == '-')
        t.data[--t.len] = '\0';
    return text_take(&t);
}

int image_send(struct cli *cli, const struct image_sending *sending, json_t **ret,
               struct error *err)
{
    _cleanup_free_ char *path = project_path(cli, "image-archives", NULL);
    _cleanup_text_ struct text target = { 0 };
    struct sent_file s = { .fd = sending->fd };

    text_addf(&target, "%s?name=", path);
    url_encode(&target, sending->name, false);
    text_add(&target, sending->docker ? "&format=docker-archive" : "");
    const struct remote_call call = {
        .method = "POST",
        .target = target.data,
        .content_type = "application/x-tar",
        .read_body = sent_file_read,
        .read_len = sending->size,
        .userdata = &s,
    };
    progress_begin(&s.progress, &cli->err, "sending", sending->size > 0 ? sending->size : 0);
    int r = remote_call(cli, &call, ret, err);
    progress_end(&s.progress);
    return r;
}

static int run_import(struct cli *cli, const struct args *args, struct error *err)
{
    const char *file = args_operand(args, 0);
    _cleanup_free_ char *name =
        args_has(args, "name") ? xstrdup(args_get(args, "name")) : name_of(file);
    _cleanup_json_ json_t *image = NULL;
    _cleanup_close_ int fd = str_equal(file, "-") ? dup(0) : open(file, O_RDONLY | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return error_set(err, -errno, "%s: %s", file, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return error_set(
            err, -EINVAL,
            "%s is a directory; send a layout as tar -C %s -c . | berth image import - "
            "--name NAME",
            file, file);
    const struct image_sending sending = {
        .fd = fd,
        .size = S_ISREG(st.st_mode) ? st.st_size : -1,
        .name = name,
        .docker = args_has(args, "docker"),
    };
    int r = image_send(cli, &sending, &image, err);
    return r < 0 ? r : image_finish(cli, args, &image, err);
}

const struct command command_image_import = {
    .noun = "image",
    .verb = "import",
    .operands = "ARCHIVE",
    .summary = "Make an image of a tar file: an OCI layout or what docker save writes",
    .examples = "berth image import trainer.tar --name trainer:1\n"
                "docker save trainer:1 | berth image import - --docker --name trainer:1",
    .flags = import_flags,
    .operands_min = 1,
    .operands_max = 1,
    .run = run_import,
};

/* ---- login ---------------------------------------------------------------------------------------- */

static const struct cli_flag login_flags[] = {
    { "username", "u", "NAME", "user of the registry" },
    { "password-stdin", NULL, NULL, "the password or token comes on stdin" },
    { NULL },
};

static int read_password(struct text *ret, struct error *err)
{
    int r = file_read(AT_FDCWD, "/dev/stdin", PASSWORD_MAX, ret, err);

    if (r < 0)
        return error_context(err, r, "reading the password");
    while (ret->len && (ret->data[ret->len - 1] == '\n' || ret->data[ret->len - 1] == '\r'))
        ret->data[--ret->len] = '\0';
    if (!ret->len || !utf8_is_valid(ret->data, ret->len))
        return error_set(err, -EINVAL, "the password is empty or no text");
    return 0;
}

static int run_login(struct cli *cli, const struct args *args, struct error *err)
{
    _cleanup_free_ char *target = project_path(cli, "registries", args_operand(args, 0), NULL);
    _cleanup_json_ json_t *body = json_object();
    _cleanup_text_ struct text password = { 0 };

    if (!args_has(args, "username") || !args_has(args, "password-stdin"))
        return error_set(err, -EINVAL,
                         "say --username NAME and --password-stdin; the password comes on stdin");
    int r = read_password(&password, err);
    if (r < 0)
        return r;
    json_put_str(body, "username", args_get(args, "username"));
    json_put_str(body, "password", text_str(&password));
    explicit_bzero(password.data, password.len);
    const struct remote_call call = { .method = "PUT", .target = target, .body = body };
    r = remote_call(cli, &call, NULL, err);
    if (r < 0)
        return r;
    print_note(cli, "pulls of this project from %s use it", args_operand(args, 0));
    return CLI_OK;
}

const struct command command_image_login = {
    .noun = "image",
    .verb = "login",
    .operands = "REGISTRY",
    .summary = "Keep the project's login for a registry, sealed",
    .examples = "berth image login registry.example:5000 --username ci --password-stdin < token",
    .flags = login_flags,
    .operands_min = 1,
    .operands_max = 1,
    .run = run_login,
};
