/* the configuration, and packing a directory */
#include "cli/config.h"
#include "cli/pack.h"
#include "cli/watch.h"
#include "tests/tap.h"

#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct scratch {
    char dir[40];
};

static struct scratch scratch_open(void)
{
    struct scratch s = { "/tmp/berth-cli-XXXXXX" };
    char path[80];

    ok(mkdtemp(s.dir) && chdir(s.dir) == 0);
    (void) snprintf(path, sizeof path, "%s/home/config.yaml", s.dir);
    ok(setenv("BERTH_CLIENT_CONFIG", path, 1) == 0);
    return s;
}

static void scratch_close(struct scratch *s)
{
    ok(chdir("/") == 0);
    (void) remove_tree(AT_FDCWD, s->dir, NULL);
}

#define _cleanup_scratch_ _cleanup_(scratch_close)

static void put(const char *path, const char *text, mode_t mode)
{
    _cleanup_free_ char *dir = strdup(path);
    char *slash = strrchr(dir, '/');

    if (slash) {
        *slash = '\0';
        ok(mkdir_all(AT_FDCWD, dir, 0755, NULL) == 0);
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
    ok(fd >= 0 && write_full(fd, text, strlen(text)) == 0 && fchmod(fd, mode) == 0 &&
       close(fd) == 0);
}

TEST(contexts_are_kept_and_private)
{
    _cleanup_scratch_ struct scratch s = scratch_open();
    struct config c = { 0 }, again = { 0 };
    struct stat st;

    ok(config_load(&c, NULL) == 0 && !config_context(&c, NULL));
    config_set(&c, "lab", "http://127.0.0.1:1", "berth_secret", "main");
    ok(config_save(&c, NULL) == 0);
    ok(stat("home/config.yaml", &st) == 0 && (st.st_mode & 07777) == 0600);
    ok(config_load(&again, NULL) == 0);
    is_str(json_get_str(config_context(&again, NULL), "key", ""), "berth_secret");
    ok(!config_context(&again, "other"));
    config_done(&c);
    config_done(&again);
}

TEST(open_or_broken_configuration_is_refused)
{
    _cleanup_scratch_ struct scratch s = scratch_open();
    struct config c = { 0 };
    struct error err;

    put("home/config.yaml", "contexts: {}\n", 0644);
    ok(config_load(&c, &err) == -EPERM && strstr(err.text, "chmod 600"));
    put("home/config.yaml", "contexts: [1]\n", 0600);
    ok(config_load(&c, &err) == -EINVAL);
    put("home/config.yaml", "contexts: {a: 1}\n", 0600);
    ok(config_load(&c, &err) == -EINVAL);
    put("home/config.yaml", "{{{", 0600);
    ok(config_load(&c, &err) < 0);
}

static char *names(const struct pack *pack)
{
    struct text t = { 0 };

    for (size_t i = 0; i < pack->manifest->n; i++)
        text_addf(&t, "%s%s", i ? " " : "", pack->manifest->entries[i].path);
    return text_take(&t);
}

TEST(packs_what_is_not_ignored)
{
    _cleanup_scratch_ struct scratch s = scratch_open();
    struct pack pack;

    put("w/train.py", "print(1)", 0644);
    put("w/run.sh", "#!", 0755);
    put("w/.git/config", "x", 0644);
    put("w/.gitignore", "*.log\n/data/\n", 0644);
    put("w/a.log", "x", 0644);
    put("w/data/big", "x", 0644);
    put("w/sub/.gitignore", "!b.log\nc\n", 0644);
    put("w/sub/b.log", "x", 0644);
    put("w/sub/c", "x", 0644);
    ok(symlink("train.py", "w/link") == 0 && symlink("/etc/passwd", "w/out") == 0);
    ok(mkfifo("w/fifo", 0600) == 0);
    ok(pack_directory("w", &pack, NULL) == 0);
    _cleanup_free_ char *list = names(&pack);
    is_str(list, ".gitignore link run.sh sub/.gitignore sub/b.log train.py");
    ok(pack.ignored == 4);
    ok(manifest_find(pack.manifest, "run.sh")->executable);
    is_str(manifest_find(pack.manifest, "link")->link, "train.py");
    ok(strstr(pack.skipped.data, "fifo: neither file nor link\n") != NULL);
    ok(strstr(pack.skipped.data, "out: link 'out' has an absolute target\n") != NULL);
    pack_done(&pack);
}

TEST(own_ignore_file_takes_the_place_of_git_s)
{
    _cleanup_scratch_ struct scratch s = scratch_open();
    struct pack pack;

    put("w/.berthignore", "*.tmp\n", 0644);
    put("w/.gitignore", "*\n", 0644);
    put("w/a", "x", 0644);
    put("w/b.tmp", "x", 0644);
    ok(pack_directory("w", &pack, NULL) == 0);
    _cleanup_free_ char *list = names(&pack);
    is_str(list, ".berthignore .gitignore a");
    pack_done(&pack);
}

TEST(records_the_commit)
{
    _cleanup_scratch_ struct scratch s = scratch_open();
    struct pack pack;

    put("w/a", "x", 0644);
    if (system("cd w && git init -q . 2>/dev/null && git add a && "
               "git -c user.name=t -c user.email=t@example.org commit -qm x") != 0) {
        printf("# git is not here\n");
        return;
    }
    ok(pack_directory("w", &pack, NULL) == 0);
    ok(pack.commit && strlen(pack.commit) == 40 && !pack.dirty);
    pack_done(&pack);
    put("w/a", "y", 0644);
    ok(pack_directory("w", &pack, NULL) == 0);
    ok(pack.commit && pack.dirty);
    pack_done(&pack);
}

TEST(source_that_is_not_there)
{
    struct pack pack;
    struct error err;

    ok(pack_directory("/nonexistent/x", &pack, &err) == -EINVAL);
    is_str(err.text, "source /nonexistent/x: No such file or directory");
}

struct seen {
    struct text directories;
};

static int see_directory(void *userdata, const char *path, int dirfd, struct error *err)
{
    struct seen *seen = userdata;

    (void) dirfd, (void) err;
    text_addf(&seen->directories, "%s;", path);
    return 0;
}

/* Changes between what W was and what it is; W becomes the latter. */
static char *changes(struct pack *before, const struct pack_again *again, unsigned max)
{
    struct pack now = { .dirfd = -1 };
    struct text t = { 0 };

    ok(pack_directory_again("w", again, &now, NULL) == 0);
    manifest_add_changes(&t, before->manifest, now.manifest, max);
    pack_done(before);
    *before = now;
    return text_take(&t);
}

TEST(what_has_changed_is_found_also_when_size_and_time_say_nothing)
{
    _cleanup_scratch_ struct scratch s = scratch_open();
    struct pack pack = { .dirfd = -1 };
    struct seen seen = { 0 };
    struct pack_again again = { .cache = pack_cache_new(),
                                .directory = see_directory,
                                .userdata = &seen };
    const struct timespec old[2] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };

    put("w/.gitignore", "logs/\n", 0644);
    put("w/a", "one", 0644);
    put("w/sub/b", "two", 0644);
    put("w/logs/x", "no", 0644);
    ok(utimensat(AT_FDCWD, "w/a", old, 0) == 0);
    ok(pack_directory_again("w", &again, &pack, NULL) == 0);
    is_str(seen.directories.data, ";sub;");
    _cleanup_free_ char *nothing = changes(&pack, &again, 3);
    is_str(nothing, "");
    for (int i = 0; i < 20; i++) {
        put("w/a", i % 2 ? "one" : "uno", 0644);
        ok(utimensat(AT_FDCWD, "w/a", old, 0) == 0);
        _cleanup_free_ char *same_size = changes(&pack, &again, 3);
        is_str(same_size, "a");
    }
    ok(chmod("w/a", 0755) == 0 && rename("w/sub/b", "w/sub/c") == 0);
    put("w/sub/d", "", 0644);
    _cleanup_free_ char *many = changes(&pack, &again, 2);
    is_str(many, "a, - sub/b and 2 more");
    pack_done(&pack);
    pack_cache_free(again.cache);
    text_done(&seen.directories);
}

TAP_MAIN
