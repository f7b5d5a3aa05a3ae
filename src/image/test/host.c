/* Image `host` over trees of the test's own: what is shown, what never, and when it changes. */
#include "base/alloc.h"
#include "image/image.h"
#include "os/fd.h"
#include "os/process.h"
#include "tests/tap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static char *root;

static void put(const char *path, const char *content, mode_t mode)
{
    _cleanup_free_ char *whole = xasprintf("%s%s", root, path);
    _cleanup_free_ char *parent = xstrndup(whole, (size_t) (strrchr(whole, '/') - whole));

    ok(mkdir_all(AT_FDCWD, parent, 0755, NULL) == 0);
    ok(file_replace(AT_FDCWD, whole, mode, content, strlen(content), false, NULL) == 0);
}

static void put_link(const char *path, const char *target)
{
    _cleanup_free_ char *whole = xasprintf("%s%s", root, path);

    ok(symlink(target, whole) == 0);
}

static const char status[] = "Package: base-files\nStatus: install ok installed\n"
                             "Architecture: amd64\nVersion: 12.4\n\n"
                             "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n";

/* A merged-usr machine with programs, and with secrets wherever an operator puts them. */
static void make_machine(void)
{
    char template[] = "/tmp/berth-image-XXXXXX";
    static const char *const secrets[] = {
        "/root/key",
        "/home/A/.netrc",
        "/run/docker.sock",
        "/tmp/key",
        "/var/lib/db/secret",
        "/srv/data",
        "/mnt/nas/key",
        "/etc/shadow",
        "/etc/ssl/private/key",
        "/etc/ssh/ssh_host_key",
        "/etc/environment",
        "/etc/gitconfig",
        "/etc/pip.conf",
        "/etc/sudoers",
        "/etc/machine-id",
        "/opt/tool/licence",
    };

    root = xstrdup(mkdtemp(template));
    put("/usr/bin/true", "", 0755);
    put("/usr/share/zoneinfo/UTC", "", 0644);
    put("/etc/alternatives/awk", "", 0644);
    put("/etc/ssl/certs/ca.pem", "", 0644);
    put("/etc/services", "ssh 22/tcp\n", 0644);
    put("/etc/ld.so.cache", "cache", 0644);
    put("/etc/profile", "root only\n", 0600);
    put("/var/lib/dpkg/status", status, 0644);
    put_link("/bin", "usr/bin");
    put_link("/sbin", "/home/A");
    put_link("/etc/localtime", "/usr/share/zoneinfo/UTC");
    put_link("/etc/os-release", "../root/key");
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++)
        put(secrets[i], "SECRET", 0644);
}

static void drop_machine(void)
{
    ok(remove_tree(AT_FDCWD, root, NULL) == 0);
    free(root);
    root = NULL;
}

static struct image *look(bool show_opt)
{
    const struct image_host_options options = { .root = root, .show_opt = show_opt };
    struct error err = { 0 };
    struct image *image = NULL;

    int r = image_host_open(&options, &image, &err);
    if (r < 0)
        printf("# %s\n", err.text);
    ok(r == 0);
    return image;
}

static bool shows(const struct image *image, const char *target)
{
    vec_foreach(&image->binds, bind)
        if (strcmp(bind->target, target) == 0)
            return true;
    vec_foreach(&image->links, link)
        if (strcmp(link->path, target) == 0)
            return true;
    vec_foreach(&image->files, file)
        if (strcmp(file->path, target) == 0)
            return true;
    return false;
}

TEST(programs_are_shown_and_secrets_are_not)
{
    make_machine();
    _cleanup_(image_freep) struct image *image = look(false);

    ok(shows(image, "/usr") && shows(image, "/bin") && shows(image, "/etc/alternatives"));
    ok(shows(image, "/etc/ssl/certs") && shows(image, "/etc/localtime"));
    ok(shows(image, "/etc/services") && shows(image, "/etc/ld.so.cache"));
    ok(!shows(image, "/sbin")); /* a link to where nothing may be seen */
    ok(!shows(image, "/etc/os-release"));
    ok(!shows(image, "/etc/profile")); /* not readable by others on the machine itself */
    ok(!shows(image, "/opt"));
    vec_foreach(&image->binds, bind)
        ok(!strstr(bind->target, "private") && !str_starts(bind->target, "/var"));
    vec_foreach(&image->files, file)
        ok(!strstr(file->content, "SECRET"));
    drop_machine();
}

TEST(a_skeleton_holds_no_byte_of_the_machine)
{
    make_machine();
    _cleanup_(image_freep) struct image *image = look(true);
    _cleanup_free_ char *path = xasprintf("%s/skeleton", root);
    _cleanup_text_ struct text found = { 0 };
    struct error err = { 0 };
    struct stat st;

    ok(image_skeleton_make(image, path, getuid(), getgid(), &err) == 0);
    ok(image_skeleton_make(image, path, getuid(), getgid(), &err) == 0); /* again is nothing */
    const char *const grep[] = { "grep", "-r", "SECRET", path, NULL };
    ok(process_run(grep, 4096, 0, &found, NULL, &err) == 1);
    vec_foreach(&image->binds, bind) {
        _cleanup_free_ char *target = xasprintf("%s%s", path, bind->target);
        ok(stat(target, &st) == 0 && S_ISDIR(st.st_mode) == bind->is_directory);
    }
    _cleanup_free_ char *tmp = xasprintf("%s/tmp", path);
    ok(stat(tmp, &st) == 0 && (st.st_mode & 07777) == 01777);
    drop_machine();
}

TEST(the_digest_is_of_packages_and_of_what_is_shown)
{
    make_machine();
    _cleanup_(image_freep) struct image *first = look(false);

    ok(image_host_is_current(first));
    put("/root/new", "x", 0644);
    _cleanup_(image_freep) struct image *same = look(false);
    ok(sha256_equal(&first->digest, &same->digest));

    _cleanup_(image_freep) struct image *with_opt = look(true);
    ok(!sha256_equal(&first->digest, &with_opt->digest));

    _cleanup_free_ char *newer = xasprintf("%s\nPackage: new\nStatus: install ok installed\n"
                                           "Version: 1\n",
                                           status);
    put("/var/lib/dpkg/status", newer, 0644);
    ok(!image_host_is_current(first));
    _cleanup_(image_freep) struct image *after = look(false);
    ok(!sha256_equal(&first->digest, &after->digest));

    _cleanup_free_ char *upgraded = xasprintf("%s", status);
    memcpy(strstr(upgraded, "12.4"), "12.5", 4);
    put("/var/lib/dpkg/status", upgraded, 0644);
    _cleanup_(image_freep) struct image *upgrade = look(false);
    ok(!sha256_equal(&first->digest, &upgrade->digest));
    drop_machine();
}

TEST(an_unmerged_machine_shows_its_directories)
{
    make_machine();
    _cleanup_free_ char *lib = xasprintf("%s/lib/x86_64-linux-gnu", root);
    ok(mkdir_all(AT_FDCWD, lib, 0755, NULL) == 0);
    _cleanup_(image_freep) struct image *image = look(false);

    ok(shows(image, "/lib") && shows(image, "/bin"));
    drop_machine();
}

TEST(the_state_is_never_shown)
{
    make_machine();
    _cleanup_free_ char *state = xasprintf("%s/opt/berth", root);
    struct image_host_options options = { .root = root, .show_opt = true, .state = state };
    struct error err = { 0 };
    struct image *image = NULL;

    ok(image_host_open(&options, &image, &err) == -EINVAL);
    ok(strstr(err.text, state) != NULL);
    drop_machine();
}

TEST(a_machine_without_a_package_database_has_no_such_image)
{
    make_machine();
    _cleanup_free_ char *database = xasprintf("%s/var/lib/dpkg/status", root);
    const struct image_host_options options = { .root = root };
    struct error err = { 0 };
    struct image *image = NULL;

    ok(unlink(database) == 0);
    ok(image_host_open(&options, &image, &err) == -ENOENT);
    ok(strstr(err.text, "dpkg") != NULL);
    drop_machine();
}

TEST(hosts_names_the_container)
{
    _cleanup_free_ char *alone = image_hosts("job-1", NULL);
    _cleanup_free_ char *placed = image_hosts("job-1", "10.113.0.2");

    ok(strstr(alone, "127.0.1.1 job-1\n") != NULL);
    ok(strstr(placed, "10.113.0.2 job-1\n") != NULL);
}

TEST(this_machine_has_one)
{
    const struct image_host_options options = { .root = "/" };
    _cleanup_(image_freep) struct image *image = NULL;
    struct error err = { 0 };
    int r = image_host_open(&options, &image, &err);

    ok(r == 0 || r == -ENOENT);
    ok(r < 0 || shows(image, "/usr"));
}

TAP_MAIN
