/* Copies: trees come out as they went in; what an archive tries, it tries in vain. */
#include "os/copy.h"
#include "tests/tap.h"

#include "base/alloc.h"
#include "base/tar.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char *dir;

static void enter(void)
{
    ok(mkdir_temporary("/tmp", "berth-copy", &dir, NULL) == 0 && chdir(dir) == 0);
}

static void leave(void)
{
    struct error err = { 0 };

    ok(chdir("/") == 0 && remove_tree(AT_FDCWD, dir, &err) == 0);
    free(dir);
}

static void put(const char *path, const char *content, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
    ok(fd >= 0 && write_full(fd, content, strlen(content)) >= 0 && fchmod(fd, mode) == 0);
    safe_close(fd);
}

static char *get(const char *path)
{
    struct text t = { 0 };
    return file_read(AT_FDCWD, path, 1000, &t, NULL) < 0 ? xstrdup("(none)") : text_take(&t);
}

/* The bytes of STREAM as PATH. */
static int receive(const struct text *stream, const char *path, const char *name, struct error *err)
{
    struct copy_count count = { 0 };
    int fds[2];

    if (pipe(fds) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0) {
        (void) signal(SIGPIPE, SIG_DFL);
        close(fds[0]);
        (void) write_full(fds[1], stream->data, stream->len);
        _exit(0);
    }
    close(fds[1]);
    int r = copy_receive(path, name, fds[0], &count, err);
    close(fds[0]);
    (void) waitpid(pid, NULL, 0);
    return r;
}

static int send_to(const char *path, struct text *stream)
{
    struct copy_count count = { 0 };
    struct error err = { 0 };
    int fds[2];

    if (pipe(fds) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0)
        _exit(copy_send(path, fds[1], &count, &err) < 0);
    close(fds[1]);
    for (ssize_t n = 1; n > 0;) {
        n = read(fds[0], text_reserve(stream, 4096), 4096);
        stream->len += n > 0 ? (size_t) n : 0;
    }
    close(fds[0]);
    int status = 0;
    (void) waitpid(pid, &status, 0);
    return status ? -EIO : 0;
}

TEST(a_tree_comes_out_as_it_went_in)
{
    _cleanup_text_ struct text stream = { 0 };
    struct error err = { 0 };
    struct stat st;

    enter();
    ok(mkdir("from", 0755) == 0 && mkdir("from/sub", 0755) == 0 && mkdir("from/locked", 0700) == 0);
    put("from/run", "#!/bin/sh\n", 0755);
    put("from/sub/data", "123", 0640);
    put("from/locked/in", "x", 0600);
    ok(chmod("from/locked", 0500) == 0 && symlink("/etc/passwd", "from/sub/link") == 0);
    ok(send_to("from", &stream) == 0);
    ok(receive(&stream, "to", "from", &err) == 0);
    _cleanup_free_ char *data = get("to/sub/data");
    is_str(data, "123");
    ok(stat("to/run", &st) == 0 && (st.st_mode & 07777) == 0755);
    ok(stat("to/sub/data", &st) == 0 && (st.st_mode & 07777) == 0640);
    ok(stat("to/locked", &st) == 0 && (st.st_mode & 07777) == 0500);
    ok(lstat("to/sub/link", &st) == 0 && S_ISLNK(st.st_mode));
    /* Where it is there already it goes inside, under its name. */
    ok(receive(&stream, "to", "from", &err) == 0 && access("to/from/sub/data", F_OK) == 0);
    /* And once more over what is there. */
    ok(receive(&stream, "to", "from", &err) == 0);
    ok(receive(&stream, "nowhere/", "from", &err) == -ENOENT);
    ok(receive(&stream, "no/where", "from", &err) == -ENOENT);
    ok(receive(&stream, "to", "../x", &err) == -EINVAL);
    leave();
}

static void add(struct text *t, enum tar_kind kind, const char *path, const char *content)
{
    static const char zeros[TAR_BLOCK];
    const struct tar_entry e = { .kind = kind,
                                 .path = path,
                                 .target = kind == TAR_LINK ? content : NULL,
                                 .size = kind == TAR_FILE ? (int64_t) strlen(content) : 0,
                                 .mode = 0755 };
    tar_add_entry(t, &e);
    if (kind == TAR_FILE) {
        text_add(t, content);
        text_add_bytes(t, zeros, tar_fill(e.size));
    }
}

TEST(links_lead_nowhere)
{
    _cleanup_text_ struct text t = { 0 }, over = { 0 };
    struct error err = { 0 };

    enter();
    ok(mkdir("outside", 0755) == 0);
    put("outside/kept", "kept", 0644);
    /* A link, then a file below it. */
    add(&t, TAR_DIRECTORY, ".", "");
    add(&t, TAR_LINK, "way", "../outside");
    add(&t, TAR_FILE, "way/kept", "lost");
    tar_add_end(&t);
    ok(receive(&t, "trap", "x", &err) == -ELOOP);
    /* A file in place of a link replaces it. */
    add(&over, TAR_DIRECTORY, ".", "");
    add(&over, TAR_LINK, "way", "../outside/kept");
    add(&over, TAR_FILE, "way", "new");
    tar_add_end(&over);
    ok(receive(&over, "trap2", "x", &err) == 0);
    _cleanup_free_ char *kept = get("outside/kept"), *new = get("trap2/way");
    is_str(kept, "kept");
    is_str(new, "new");
    /* A directory where a link is already. */
    ok(mkdir("trap3", 0755) == 0 && symlink("../outside", "trap3/x") == 0);
    ok(receive(&over, "trap3", "x", &err) == -ENOTDIR ||
       receive(&over, "trap3", "x", &err) == -ELOOP);
    ok(access("outside/way", F_OK) < 0);
    leave();
}

TEST(nothing_half_is_left)
{
    _cleanup_text_ struct text t = { 0 };
    struct error err = { 0 };
    char entry[8];

    enter();
    add(&t, TAR_DIRECTORY, ".", "");
    add(&t, TAR_FILE, "whole", "1");
    add(&t, TAR_FILE, "half", "0123456789");
    t.len -= TAR_BLOCK - 5;
    ok(receive(&t, "cut", "x", &err) == -EPIPE);
    ok(access("cut/whole", F_OK) == 0 && access("cut/half", F_OK) < 0);
    FILE *find = popen("ls -A cut | wc -l", "r");
    ok(find && fgets(entry, sizeof entry, find));
    is_str(entry, "1\n");
    pclose(find);
    t.len = 0;
    add(&t, TAR_FILE, "first", "1");
    ok(receive(&t, "cut2", "x", &err) == -EBADMSG); /* no root */
    leave();
}

/* BYTES through copy_send_bytes(), into the file "piped". */
static int send_bytes(const char *bytes, size_t len, struct text *stream)
{
    struct copy_count count = { 0 };
    struct error err = { 0 };
    int r;

    put("stream", "", 0600);
    int in = open("piped", O_RDWR | O_CREAT | O_TRUNC, 0600), out = open("stream", O_RDWR);
    ok(write_full(in, bytes, len) >= 0 && lseek(in, 0, SEEK_SET) == 0);
    r = copy_send_bytes(in, out, &count, &err);
    ok(count.bytes == (int64_t) len);
    ok(file_read(AT_FDCWD, "stream", 10000000, stream, NULL) >= 0);
    close(in);
    close(out);
    return r;
}

/* STREAM through copy_receive_bytes(). */
static int receive_bytes(const struct text *stream, struct text *ret)
{
    struct copy_count count = { 0 };
    struct error err = { 0 };

    int in = open("stream", O_RDWR | O_CREAT | O_TRUNC, 0600);
    int out = open("out", O_RDWR | O_CREAT | O_TRUNC, 0600);
    ok(write_full(in, stream->data, stream->len) >= 0 && lseek(in, 0, SEEK_SET) == 0);
    int r = copy_receive_bytes(in, out, &count, &err);
    ok(file_read(AT_FDCWD, "out", 10000000, ret, NULL) >= 0);
    close(in);
    close(out);
    return r;
}

TEST(bytes_become_a_file_and_a_file_bytes)
{
    static const size_t sizes[] = { 0, 1, 511, 512, 65536, 65537, 300000 };

    enter();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        _cleanup_text_ struct text bytes = { 0 }, stream = { 0 }, back = { 0 }, file = { 0 };
        struct error err = { 0 };
        for (size_t k = 0; k < sizes[i]; k++)
            text_add_char(&bytes, (char) (k * 7 + k / 256));
        ok(send_bytes(text_str(&bytes), bytes.len, &stream) == 0);
        ok(receive(&stream, "file", ".", &err) == 0);
        ok(file_read(AT_FDCWD, "file", 1000000, &file, NULL) >= 0 && file.len == bytes.len);
        ok(file.len == 0 || memcmp(file.data, bytes.data, file.len) == 0);
        ok(receive_bytes(&stream, &back) == 0 && back.len == bytes.len);
        ok(back.len == 0 || memcmp(back.data, bytes.data, back.len) == 0);
        /* Without its last piece it is no file, and what was there stays. */
        if (sizes[i] > 65536) {
            put("file", "before", 0600);
            stream.len -= 4 * TAR_BLOCK;
            ok(receive(&stream, "file", ".", &err) == -EPIPE);
            _cleanup_free_ char *before = get("file");
            is_str(before, "before");
            tar_add_end(&stream);
            ok(receive(&stream, "file", ".", &err) < 0);
            _cleanup_free_ char *still = get("file");
            is_str(still, "before");
        }
        ok(mkdir("there", 0755) == 0 || errno == EEXIST);
        ok(receive(&stream, "there", ".", &err) < 0);
    }
    leave();
}

TEST(a_tree_as_bytes_is_its_archive)
{
    _cleanup_text_ struct text stream = { 0 }, back = { 0 };

    enter();
    ok(mkdir("from", 0755) == 0);
    put("from/file", "content", 0644);
    ok(send_to("from", &stream) == 0);
    ok(receive_bytes(&stream, &back) == 0);
    ok(back.len == stream.len && memcmp(back.data, stream.data, back.len) == 0);
    leave();
}

TEST(a_piece_of_another_file_is_refused)
{
    _cleanup_text_ struct text t = { 0 };
    struct error err = { 0 };
    const struct tar_entry more = { .path = "a", .mode = 0644, .more = true };

    enter();
    add(&t, TAR_DIRECTORY, ".", "");
    tar_add_entry(&t, &more);
    add(&t, TAR_FILE, "b", "x");
    tar_add_end(&t);
    ok(receive(&t, "trap", "x", &err) == -EBADMSG);
    ok(access("trap/a", F_OK) < 0 && access("trap/b", F_OK) < 0);
    leave();
}

TAP_MAIN
