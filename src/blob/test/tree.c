#include "blob/test/scratch.h"

#include "base/alloc.h"

#include <stdint.h>
#include <sys/wait.h>

static void add(struct manifest *m, struct blob_store *bs, const char *path, const char *bytes,
                bool executable)
{
    struct sha256 sum = put(bs, bytes);
    ok(manifest_add(m, path, &sum, (int64_t) strlen(bytes), executable, NULL, NULL) == 0);
}

static struct sha256 seal(struct manifest *m)
{
    size_t len;
    ok(manifest_seal(m, NULL) == 0);
    _cleanup_free_ char *text = manifest_format(m, &len);
    return sha256_of(text, len);
}

TEST(makes_files_directories_and_links)
{
    _cleanup_scratch_ struct scratch s = scratch_open();
    _cleanup_(manifest_freep) struct manifest *m = manifest_new();
    _cleanup_close_ int fd = -1, again = -1;
    _cleanup_text_ struct text t = { 0 };
    struct stat plain, executable, st;
    char target[16] = "";

    add(m, s.bs, "run.sh", "same", true);
    add(m, s.bs, "a/b/c", "same", false);
    add(m, s.bs, "a/b/d", "other", false);
    ok(manifest_add(m, "a/l", NULL, 0, false, "b/c", NULL) == 0);
    struct sha256 name = seal(m);
    mode_t mask = umask(077);
    ok(tree_open(s.bs, m, &name, &fd, NULL) == 0);
    (void) umask(mask);

    ok(fstatat(fd, "run.sh", &executable, 0) == 0 && (executable.st_mode & 07777) == 0755);
    ok(fstatat(fd, "a/b/c", &plain, 0) == 0 && (plain.st_mode & 07777) == 0644);
    ok(plain.st_nlink == 2 && executable.st_nlink == 2);
    ok(fstatat(fd, "a/b", &st, 0) == 0 && (st.st_mode & 07777) == 0755);
    ok(readlinkat(fd, "a/l", target, sizeof target - 1) == 3);
    ok(file_read(fd, "a/l", 100, &t, NULL) == 0);
    is_str(text_str(&t), "same");

    ok(tree_open(s.bs, m, &name, &again, NULL) == 0);
    ok(fstatat(again, "a/b/c", &st, 0) == 0 && st.st_ino == plain.st_ino && st.st_nlink == 2);
}

TEST(missing_blob_names_the_file_and_leaves_no_tree)
{
    _cleanup_scratch_ struct scratch s = scratch_open();
    _cleanup_(manifest_freep) struct manifest *m = manifest_new();
    struct sha256 absent = sha256_of("no", 2);
    struct error err;
    int fd = -1;

    add(m, s.bs, "here", "x", false);
    ok(manifest_add(m, "src/gone.py", &absent, 2, false, NULL, NULL) == 0);
    struct sha256 name = seal(m);
    ok(tree_open(s.bs, m, &name, &fd, &err) == -ENOENT);
    is_str(err.text, "the bytes of 'src/gone.py' are not in the blob store");
    ok(entries(&s, "trees") == 0);
}

TEST(empty_tree)
{
    _cleanup_scratch_ struct scratch s = scratch_open();
    _cleanup_(manifest_freep) struct manifest *m = manifest_new();
    _cleanup_close_ int fd = -1;
    struct sha256 name = seal(m);

    ok(tree_open(s.bs, m, &name, &fd, NULL) == 0);
    ok(fd >= 0);
}

TEST(two_makers_at_once)
{
    _cleanup_scratch_ struct scratch s = scratch_open();
    _cleanup_(manifest_freep) struct manifest *m = manifest_new();
    char path[32], bytes[32];

    for (int i = 0; i < 200; i++) {
        (void) snprintf(path, sizeof path, "d%d/f%d", i % 7, i);
        (void) snprintf(bytes, sizeof bytes, "%d", i);
        add(m, s.bs, path, bytes, i % 3 == 0);
    }
    struct sha256 name = seal(m);
    pid_t pids[3];
    for (int p = 0; p < 3; p++) {
        pids[p] = fork();
        if (pids[p] != 0)
            continue;
        struct blob_store *bs = NULL;
        int fd = -1;
        _exit(blob_store_open(s.dir, &bs, NULL) < 0 || tree_open(bs, m, &name, &fd, NULL) < 0 ||
              faccessat(fd, "d3/f199", R_OK, 0) < 0);
    }
    for (int p = 0; p < 3; p++) {
        int status;
        ok(waitpid(pids[p], &status, 0) == pids[p] && status == 0);
    }
    ok(entries(&s, "trees") == 1);
}

/* A file system gives an inode so many names and no more; the tree goes on with a copy. */
TEST(copies_past_the_link_limit)
{
    _cleanup_scratch_ struct scratch s = scratch_open();
    _cleanup_(manifest_freep) struct manifest *m = manifest_new();
    _cleanup_close_ int fd = -1;
    struct sha256 sum = put(s.bs, "x");
    char hex[SHA256_HEX_LEN + 1], from[100], to[64];
    struct stat st;
    int n = 0;

    (void) snprintf(from, sizeof from, "blobs/%.2s/%s", sha256_format(&sum, hex), hex + 2);
    for (; n < 70000; n++) {
        (void) snprintf(to, sizeof to, "link%d", n);
        if (linkat(s.fd, from, s.fd, to, 0) < 0)
            break;
    }
    if (n == 70000)
        printf("# this file system has no limit that could be reached\n");
    ok(n == 70000 || errno == EMLINK);
    ok(manifest_add(m, "a", &sum, 1, false, NULL, NULL) == 0);
    struct sha256 name = seal(m);
    ok(tree_open(s.bs, m, &name, &fd, NULL) == 0);
    ok(fstatat(fd, "a", &st, 0) == 0 && st.st_size == 1 && (st.st_mode & 07777) == 0644);
    ok(n == 70000 || st.st_nlink == 1);
}

TAP_MAIN
