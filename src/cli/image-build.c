/* image-build.c - berth image build: an image made on this machine, then sent
 *
 * Packages are put together by mmdebstrap, Dockerfiles by buildah, both with the rights of whoever types the
 * command: the server never runs what a build runs. Both say on stderr how far they are.
 */
#include "cli/commands.h"
#include "cli/image.h"

#include "base/alloc.h"
#include "base/digest.h"
#include "os/fd.h"
#include "os/hash.h"
#include "os/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#define SOURCES "/etc/apt/sources.list"

struct build {
    struct cli *cli;
    const struct args *args; /* of `berth image build`; NULL: another command builds */
    const char *dockerfile;  /* directory; NULL: of packages */
    const char *name;        /* NAME[:TAG] */
    char *folder;            /* of what is in between; removed at the end */
};

typedef VEC(char *) words; /* owned */

static char *file_in(const struct build *b, const char *name)
{
    return xasprintf("%s/%s", b->folder, name);
}

/* ---- programs ---------------------------------------------------------------------------------- */

/* To its end; what it says goes to our stderr. IN and OUT: -1 for nothing. */
static int run_program(const words *list, int in, int out, struct error *err)
{
    _cleanup_free_ const char **argv = xnew_n(const char *, list->len + 1);

    memcpy(argv, list->items, list->len * sizeof *argv);
    const struct process_options options = {
        .argv = argv, .stdin_fd = in, .stdout_fd = out < 0 ? STDERR_FILENO : out, .stderr_fd = 2
    };
    struct process process = { .pidfd = -1 };

    int r = process_start(&options, &process, err);
    if (r == -ENOENT)
        return error_set(err, r, "%s is not installed here: apt install %s", argv[0], argv[0]);
    if (r < 0)
        return r;
    int code = process_wait(&process);
    if (interrupt_count() > 0)
        return error_set(err, -EINTR, "the build was interrupted");
    if (code != 0)
        return error_set(err, -EREMOTEIO, "%s ended with code %d", argv[0], code);
    return 0;
}

/* What stands after "--" is the builder's. */
static void add_own(const struct build *b, words *argv)
{
    for (size_t i = 1; b->args && args_operand(b->args, i); i++)
        vec_push(argv, xstrdup(args_operand(b->args, i)));
}

static void add_words(words *argv, const char *const *list)
{
    for (; *list; list++)
        vec_push(argv, xstrdup(*list));
}

static void words_done(words *list)
{
    vec_foreach(list, word)
        free(*word);
    vec_done(list);
}

/* ---- documents ----------------------------------------------------------------------------------- */

struct made {
    struct sha256 digest;
    int64_t size;
};

static int hash_file(int fd, struct made *ret, struct error *err)
{
    _cleanup_(hasher_freep) struct hasher *hasher = hasher_new();
    _cleanup_free_ char *buffer = xnew_n(char, 1 << 20);
    ssize_t n;

    *ret = (struct made){ 0 };
    while ((n = pread(fd, buffer, 1 << 20, ret->size)) > 0) {
        hasher_add(hasher, buffer, (size_t) n);
        ret->size += n;
    }
    ret->digest = hasher_end(hasher);
    return n < 0 ? error_set(err, -errno, "reading the layer: %s", strerror(errno)) : 0;
}

static char *digest_text(const struct made *made)
{
    char hex[SHA256_HEX_LEN + 1];

    return xasprintf("sha256:%s", sha256_format(&made->digest, hex));
}

static json_t *descriptor(const char *type, const struct made *made)
{
    _cleanup_free_ char *digest = digest_text(made);
    json_t *json = json_object();

    json_put_str(json, "mediaType", type);
    json_put_str(json, "digest", digest);
    json_put_int(json, "size", made->size);
    return json;
}

/* Takes DOCUMENT; it lies under the name of its digest then. */
static int put_document(const struct build *b, json_t *document, struct made *ret,
                        struct error *err)
{
    _cleanup_free_ char *text = json_text(document);
    char hex[SHA256_HEX_LEN + 1];
    size_t n = strlen(text);

    json_decref(document);
    *ret = (struct made){ sha256_of(text, n), (int64_t) n };
    _cleanup_free_ char *path =
        xasprintf("%s/layout/blobs/sha256/%s", b->folder, sha256_format(&ret->digest, hex));
    return file_replace(AT_FDCWD, path, 0644, text, n, false, err);
}

static json_t *config_of(const struct build *b, const struct made *tar)
{
    _cleanup_free_ char *digest = digest_text(tar);
    json_t *json = json_object(), *rootfs = json_object(), *layers = json_array();
    json_t *history = json_array(), *step = json_object();
    struct utsname machine;

    (void) uname(&machine);
    const char *m = machine.machine;
    json_put_str(json, "architecture",
                 str_equal(m, "x86_64")    ? "amd64"
                 : str_equal(m, "aarch64") ? "arm64"
                                           : m);
    json_put_str(json, "os", "linux");
    (void) json_array_append_new(layers, json_string(digest));
    json_put_str(rootfs, "type", "layers");
    json_put(rootfs, "diff_ids", layers);
    json_put(json, "rootfs", rootfs);
    json_put(json, "config", json_object());
    /* Who builds on it counts layers by their history. */
    _cleanup_free_ char *by =
        xasprintf("berth image build --packages %s", args_get(b->args, "packages"));
    json_put_str(step, "created_by", by);
    (void) json_array_append_new(history, step);
    json_put(json, "history", history);
    return json;
}

static int write_layout(const struct build *b, const struct made *tar, const struct made *layer,
                        struct error *err)
{
    static const char version[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
    _cleanup_free_ char *index_path = file_in(b, "layout/index.json");
    _cleanup_free_ char *version_path = file_in(b, "layout/oci-layout");
    json_t *manifest = json_object(), *index = json_object();
    json_t *layers = json_array(), *manifests = json_array();
    struct made config, entry;

    int r = put_document(b, config_of(b, tar), &config, err);
    json_put_int(manifest, "schemaVersion", 2);
    json_put_str(manifest, "mediaType", "application/vnd.oci.image.manifest.v1+json");
    json_put(manifest, "config", descriptor("application/vnd.oci.image.config.v1+json", &config));
    (void) json_array_append_new(layers,
                                 descriptor("application/vnd.oci.image.layer.v1.tar+gzip", layer));
    json_put(manifest, "layers", layers);
    if (r >= 0)
        r = put_document(b, manifest, &entry, err);
    else
        json_decref(manifest);
    json_put_int(index, "schemaVersion", 2);
    if (r >= 0)
        (void) json_array_append_new(manifests,
                                     descriptor("application/vnd.oci.image.manifest.v1+json",
                                                &entry));
    json_put(index, "manifests", manifests);
    _cleanup_free_ char *text = json_text(index);
    json_decref(index);
    if (r >= 0)
        r = file_replace(AT_FDCWD, index_path, 0644, text, strlen(text), false, err);
    return r < 0 ? r
                 : file_replace(AT_FDCWD, version_path, 0644, version, sizeof version - 1, false,
                                err);
}

/* ---- packages -------------------------------------------------------------------------------------- */

/* The machine's own sources, as mmdebstrap takes them: files. */
static void add_sources(words *argv)
{
    static const char folder[] = SOURCES ".d";
    DIR *dir = opendir(folder);
    const struct dirent *entry;

    if (access(SOURCES, R_OK) == 0)
        vec_push(argv, xstrdup(SOURCES));
    while (dir && (entry = readdir(dir))) {
        const char *dot = strrchr(entry->d_name, '.');
        if (dot && (str_equal(dot, ".list") || str_equal(dot, ".sources")))
            vec_push(argv, xasprintf("%s/%s", folder, entry->d_name));
    }
    if (dir)
        (void) closedir(dir);
}

/* VERSION_CODENAME of this machine; owned by the caller. */
static char *own_suite(void)
{
    static const char key[] = "\nVERSION_CODENAME=";
    _cleanup_text_ struct text text = { 0 };

    (void) file_read(AT_FDCWD, "/etc/os-release", 65536, &text, NULL);
    const char *at = strstr(text_str(&text), key);
    return at ? xstrndup(at + sizeof key - 1, strcspn(at + sizeof key - 1, "\n"))
              : xstrdup("stable");
}

static int bootstrap(const struct build *b, int out, struct error *err)
{
    static const char *const head[] = { "mmdebstrap", "--variant=minbase", NULL };
    _cleanup_free_ char *suite =
        args_has(b->args, "suite") ? xstrdup(args_get(b->args, "suite")) : own_suite();
    const char *tail[] = { suite, "-", args_get(b->args, "mirror"), NULL };
    words argv = { 0 };

    add_words(&argv, head);
    vec_push(&argv, xasprintf("--include=%s", args_get(b->args, "packages")));
    add_own(b, &argv);
    add_words(&argv, tail);
    if (!args_has(b->args, "mirror"))
        add_sources(&argv);
    int r = run_program(&argv, -1, out, err);
    words_done(&argv);
    return r;
}

/* Packed fast: it is unpacked at once, and sent on rarely. */
static int pack(int in, int out, struct error *err)
{
    static const char *const gzip[] = { "gzip", "-1", "-n", NULL };
    words argv = { 0 };

    add_words(&argv, gzip);
    int r = run_program(&argv, in, out, err);
    words_done(&argv);
    return r;
}

static int make_layer(const struct build *b, int tar_fd, struct made *tar, struct made *layer,
                      struct error *err)
{
    _cleanup_free_ char *blobs = file_in(b, "layout/blobs/sha256");
    _cleanup_free_ char *part = xasprintf("%s/layer", blobs);
    char hex[SHA256_HEX_LEN + 1];
    _cleanup_close_ int fd = -1;

    int r = mkdir_all(AT_FDCWD, blobs, 0755, err);
    if (r < 0)
        return r;
    fd = open(part, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return error_set(err, -errno, "%s: %s", part, strerror(errno));
    r = hash_file(tar_fd, tar, err);
    if (r >= 0 && tar->size == 0)
        r = error_set(err, -EBADMSG, "mmdebstrap wrote nothing");
    if (r >= 0)
        r = pack(tar_fd, fd, err);
    if (r >= 0)
        r = hash_file(fd, layer, err);
    if (r < 0)
        return r;
    _cleanup_free_ char *name = xasprintf("%s/%s", blobs, sha256_format(&layer->digest, hex));
    return rename(part, name) < 0 ? error_set(err, -errno, "%s: %s", name, strerror(errno)) : 0;
}

static int build_packages(const struct build *b, const char *archive, struct error *err)
{
    _cleanup_free_ char *path = file_in(b, "root.tar"), *layout = file_in(b, "layout");
    const char *const tar_argv[] = { "tar", "-C", layout, "-cf", archive, ".", NULL };
    _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    struct made tar, layer;
    words argv = { 0 };

    if (fd < 0)
        return error_set(err, -errno, "%s: %s", path, strerror(errno));
    int r = bootstrap(b, fd, err);
    if (r >= 0 && lseek(fd, 0, SEEK_SET) < 0)
        r = -errno;
    if (r >= 0)
        r = make_layer(b, fd, &tar, &layer, err);
    if (r >= 0)
        r = write_layout(b, &tar, &layer, err);
    if (r < 0)
        return r;
    add_words(&argv, tar_argv);
    r = run_program(&argv, -1, -1, err);
    words_done(&argv);
    return r;
}

/* ---- dockerfiles ------------------------------------------------------------------------------------- */

static int buildah(const struct build *b, const char *const *head, bool own, const char *last,
                   struct error *err)
{
    words argv = { 0 };

    vec_push(&argv, xstrdup("buildah"));
    add_words(&argv, head);
    if (own)
        add_own(b, &argv);
    vec_push(&argv, xstrdup(last));
    int r = run_program(&argv, -1, -1, err);
    words_done(&argv);
    return r;
}

static int build_dockerfile(const struct build *b, const char *archive, struct error *err)
{
    _cleanup_free_ char *tag = xasprintf("localhost/berth-build:%d", (int) getpid());
    _cleanup_free_ char *to = xasprintf("oci-archive:%s", archive);
    const char *const bud[] = { "build", "--format=oci", "--tag", tag, NULL };
    const char *const push[] = { "push", "--quiet", tag, NULL };
    const char *const rmi[] = { "rmi", NULL };

    int r = buildah(b, bud, true, b->dockerfile, err);
    if (r < 0)
        return r;
    r = buildah(b, push, false, to, err);
    (void) buildah(b, rmi, false, tag, NULL);
    return r;
}

/* ---- the command ------------------------------------------------------------------------------------- */

static int send(const struct build *b, const char *archive, json_t **ret, struct error *err)
{
    _cleanup_close_ int fd = open(archive, O_RDONLY | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return error_set(err, -errno, "%s: %s", archive, strerror(errno));
    const struct image_sending sending = { .fd = fd, .size = st.st_size, .name = b->name };
    return image_send(b->cli, &sending, ret, err);
}

/* From its beginning until it is sent. */
static int build(struct build *b, json_t **ret, struct error *err)
{
    const char *tmp = getenv("TMPDIR");
    _cleanup_free_ char *folder = NULL;

    int r = mkdir_temporary(tmp && *tmp ? tmp : "/var/tmp", "berth-build", &folder, err);
    if (r < 0)
        return r;
    b->folder = folder;
    _cleanup_free_ char *archive = file_in(b, "image.tar");
    interrupt_catch();
    r = b->dockerfile ? build_dockerfile(b, archive, err) : build_packages(b, archive, err);
    interrupt_release();
    if (r >= 0)
        r = send(b, archive, ret, err);
    (void) remove_tree(AT_FDCWD, folder, NULL);
    return r;
}

/* A builder takes a file for a directory and says so in its own words. */
static int check_dockerfile(const char *path, struct error *err)
{
    struct stat st;

    if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
        return error_set(err, -EINVAL, "--dockerfile: %.200s is no directory", path);
    return 0;
}

int image_build(struct cli *cli, const char *dockerfile, const char *name, json_t **ret,
                struct error *err)
{
    struct build b = { .cli = cli, .dockerfile = dockerfile, .name = name };
    int r = check_dockerfile(dockerfile, err);

    if (r >= 0)
        r = build(&b, ret, err);
    return r < 0 ? r : image_await(cli, ret, err);
}

static int check(const struct args *args, struct error *err)
{
    const char *dockerfile = args_get(args, "dockerfile");

    if (args_has(args, "packages") == args_has(args, "dockerfile"))
        return error_set(err, -EINVAL, "say either --packages NAMES or --dockerfile DIR");
    if (dockerfile && (args_has(args, "suite") || args_has(args, "mirror")))
        return error_set(err, -EINVAL, "--suite and --mirror go with --packages");
    return dockerfile ? check_dockerfile(dockerfile, err) : 0;
}

static int run_build(struct cli *cli, const struct args *args, struct error *err)
{
    struct build b = { .cli = cli,
                       .args = args,
                       .dockerfile = args_get(args, "dockerfile"),
                       .name = args_operand(args, 0) };
    _cleanup_json_ json_t *image = NULL;

    int r = check(args, err);
    if (r >= 0)
        r = build(&b, &image, err);
    return r < 0 ? r : image_finish(cli, args, &image, err);
}

static const struct cli_flag build_flags[] = {
    { "packages", "p", "NAME[,NAME]", "Debian packages; what they depend on comes too" },
    { "suite", NULL, "NAME", "release of Debian; this machine's when left out" },
    { "mirror", NULL, "URL|LINE|FILE",
      "where packages come from; this machine's apt sources when left out" },
    { "dockerfile", "f", "DIR", "directory with a Dockerfile, which is its context too" },
    { "detach", "d", NULL, "do not wait until it is unpacked" },
    { NULL },
};

const struct command command_image_build = {
    .noun = "image",
    .verb = "build",
    .operands = "NAME[:TAG] [-- OPTION OF MMDEBSTRAP OR BUILDAH...]",
    .summary = "Make an image here, of Debian packages or by a Dockerfile, and send it",
    .examples = "berth image build trainer:1 --packages python3-minimal,python3-numpy\n"
                "berth image build trainer:2 --dockerfile . -- --build-arg CUDA=12",
    .flags = build_flags,
    .operands_min = 1,
    .operands_max = UINT_MAX,
    .takes_command = 2,
    .run = run_build,
};
