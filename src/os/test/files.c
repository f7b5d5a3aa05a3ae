#include "os/fd.h"
#include "os/process.h"
#include "tests/tap.h"

#include "base/alloc.h"
#include "os/clock.h"
#include "os/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static char dir[64];

static int make_dir(void)
{
    strcpy(dir, "/tmp/berth-files-XXXXXX");
    return mkdtemp(dir) ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
}

TEST(a_replaced_file_is_read_whole_with_its_mode)
{
    _cleanup_close_ int fd = make_dir();
    struct error err = { 0 };
    ok(mkdir_all(fd, "a/b/c", 0711, &err) == 0);
    ok(mkdir_all(fd, "a/b/c", 0711, &err) == 0);
    ok(file_replace(fd, "a/b/c/f", 0640, "hello", 5, true, &err) == 0);
    ok(file_replace(fd, "a/b/c/f", 0644, "hello!", 6, false, &err) == 0);
    _cleanup_text_ struct text text = { 0 };
    ok(file_read(fd, "a/b/c/f", 6, &text, &err) == 0);
    is_str(text_str(&text), "hello!");
    struct stat st;
    ok(fstatat(fd, "a/b/c/f", &st, 0) == 0 && (st.st_mode & 07777) == 0644);
    ok(fstatat(fd, "a/b", &st, 0) == 0 && (st.st_mode & 07777) == 0711);

    _cleanup_text_ struct text small = { 0 };
    ok(file_read(fd, "a/b/c/f", 5, &small, &err) == -EFBIG);
    ok(strstr(err.text, "larger than 5 bytes"));
    ok(file_read(fd, "none", 5, &small, &err) == -ENOENT);
    ok(remove_tree(fd, "a", &err) == 0);
    ok(remove_tree(fd, "a", &err) == 0);
    rmdir(dir);
}

TEST(a_temporary_directory_is_new_and_ours_alone)
{
    _cleanup_free_ char *one = NULL, *two = NULL, *none = NULL;
    struct error err = { 0 };
    struct stat st;

    ok(mkdir_temporary("/tmp", "berth-files", &one, &err) == 0);
    ok(mkdir_temporary("/tmp", "berth-files", &two, &err) == 0);
    ok(strcmp(one, two) != 0 && strncmp(one, "/tmp/berth-files.", 17) == 0);
    ok(stat(one, &st) == 0 && S_ISDIR(st.st_mode) && (st.st_mode & 07777) == 0700);
    ok(mkdir_temporary("/tmp/none", "berth-files", &none, &err) == -ENOENT && !none);
    ok(rmdir(one) == 0 && rmdir(two) == 0);
}

/* A socket has no name that could be opened: programs that Node.js starts have one as stdin. */
TEST(stdin_is_read_also_from_a_socket)
{
    _cleanup_text_ struct text got = { 0 };
    struct error err = { 0 };
    int ends[2], kept = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);

    ok(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    ok(write_full(ends[1], "hello", 5) == 0);
    close(ends[1]);
    ok(dup2(ends[0], STDIN_FILENO) == STDIN_FILENO);
    close(ends[0]);
    ok(file_read(AT_FDCWD, "/dev/stdin", 100, &got, &err) == 0);
    is_str(text_str(&got), "hello");
    if (kept >= 0)
        ok(dup2(kept, STDIN_FILENO) == STDIN_FILENO && close(kept) == 0);
}

TEST(nothing_outside_is_opened_or_removed)
{
    _cleanup_close_ int fd = make_dir();
    struct error err = { 0 };
    ok(mkdir_all(fd, "in", 0755, &err) == 0);
    ok(file_replace(fd, "keep", 0644, "x", 1, false, &err) == 0);
    ok(symlinkat("../keep", fd, "in/link") == 0);
    _cleanup_close_ int in = openat(fd, "in", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ok(open_beneath(in, "link", O_RDONLY, 0) == -EXDEV);
    ok(open_beneath(in, "../keep", O_RDONLY, 0) == -EXDEV);
    ok(open_beneath_nosymlink(fd, "in/link", O_RDONLY, 0) == -ELOOP);
    ok(remove_tree(fd, "in", &err) == 0);
    ok(faccessat(fd, "keep", F_OK, 0) == 0);
    ok(remove_tree(fd, "keep", &err) == 0);
    rmdir(dir);
}

TEST(programs_run_with_their_output_and_exit_code)
{
    struct error err = { 0 };
    _cleanup_text_ struct text out = { 0 }, errors = { 0 };
    const char *argv[] = { "sh", "-c", "echo out; echo err >&2; exit 3", NULL };
    ok(process_run(argv, 100, 5000, &out, &errors, &err) == 3);
    is_str(text_str(&out), "out\n");
    is_str(text_str(&errors), "err\n");

    const char *none[] = { "/nonexistent/program", NULL };
    ok(process_run(none, 100, 5000, &out, &errors, &err) == -ENOENT);
    ok(strstr(err.text, "/nonexistent/program"));

    const char *slow[] = { "sleep", "60", NULL };
    ok(process_run(slow, 100, 50, NULL, NULL, &err) == -ETIMEDOUT);

    const char *loud[] = { "sh", "-c", "yes | head -c 1000000", NULL };
    text_clear(&out);
    ok(process_run(loud, 1000, 5000, &out, NULL, &err) == 0);
    ok(out.len == 1000);
}

TEST(only_named_descriptors_are_inherited)
{
    struct error err = { 0 };
    _cleanup_close_ int kept = open("/dev/null", O_RDONLY);
    _cleanup_close_ int lost = open("/dev/null", O_RDONLY);
    _cleanup_free_ char *script =
        xasprintf("test -e /proc/self/fd/%d && ! test -e /proc/self/fd/%d", kept, lost);
    const char *argv[] = { "sh", "-c", script, NULL };
    struct process p = { 0 };
    struct process_options o = { .argv = argv,
                                 .stdin_fd = -1,
                                 .stdout_fd = -1,
                                 .stderr_fd = -1,
                                 .keep_fds = &kept,
                                 .n_keep_fds = 1 };
    ok(process_start(&o, &p, &err) == 0);
    ok(process_wait(&p) == 0);
}

/* Deeper than there are descriptors, and than a path may be long. */
TEST(a_tree_of_any_depth_is_removed)
{
    struct rlimit before, few = { 100, 100 };
    struct error err = { 0 };
    int at = make_dir();

    ok(at >= 0 && getrlimit(RLIMIT_NOFILE, &before) == 0);
    few.rlim_max = before.rlim_max;
    for (int i = 0; i < 500 && at >= 0; i++) {
        char name[64];
        (void) snprintf(name, sizeof name, i % 3 ? "deep-%d" : "directory-with-a-long-name-%d", i);
        int next =
            mkdirat(at, name, 0755) < 0 ? -1 : openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        ok(mknodat(at, "file", S_IFREG | 0600, 0) == 0);
        safe_close(at);
        at = next;
    }
    ok(at >= 0);
    safe_close(at);
    ok(setrlimit(RLIMIT_NOFILE, &few) == 0);
    ok(remove_tree(AT_FDCWD, dir, &err) == 0);
    ok(setrlimit(RLIMIT_NOFILE, &before) == 0);
    ok(access(dir, F_OK) < 0);
    if (err.code)
        printf("# %s\n", err.text);
}

TEST(sha256_of_the_standards_example)
{
    char hex[SHA256_HEX_LEN + 1];
    struct sha256 sum = sha256_of("abc", 3);
    is_str(sha256_format(&sum, hex),
           "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    _cleanup_(hasher_freep) struct hasher *h = hasher_new();
    for (int i = 0; i < 2; i++) {
        hasher_add(h, "a", 1);
        hasher_add(h, "bc", 2);
        struct sha256 again = hasher_end(h);
        ok(sha256_equal(&sum, &again));
    }
}

TEST(the_clock_never_runs_backwards)
{
    int64_t last = 0;
    bool backwards = false;
    for (int i = 0; i < 1000; i++) {
        int64_t now = clock_now_us();
        backwards |= now < last;
        last = now;
    }
    ok(!backwards);
    ok(clock_boot_id()[0]);
}

TAP_MAIN
