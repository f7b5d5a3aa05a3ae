#include "data/data.h"
#include "tests/tap.h"

#include "base/alloc.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* PATTERNS match PATH; a '/' at its end means that it is a directory. */
static bool ignored(const char *patterns, const char *path)
{
    _cleanup_(ignore_freep) struct ignore *ig = ignore_new();
    _cleanup_free_ char *copy = xstrdup(path);
    size_t len = strlen(copy);
    bool directory = copy[len - 1] == '/';

    if (directory)
        copy[len - 1] = '\0';
    ok(ignore_add(ig, "", patterns, strlen(patterns)) == 0);
    return ignore_match(ig, copy, directory);
}

TEST(name_without_slash_matches_at_any_depth)
{
    ok(ignored("foo", "foo"));
    ok(ignored("foo", "a/b/foo"));
    ok(ignored("*.o", "src/x.o"));
    ok(!ignored("foo", "foobar"));
    ok(!ignored("", "foo"));
}

TEST(slash_anchors)
{
    ok(ignored("/foo", "foo"));
    ok(!ignored("/foo", "a/foo"));
    ok(ignored("doc/*.txt", "doc/a.txt"));
    ok(!ignored("doc/*.txt", "doc/sub/a.txt"));
    ok(!ignored("doc/*.txt", "x/doc/a.txt"));
}

TEST(slash_at_the_end_means_directory)
{
    ok(ignored("build/", "build/"));
    ok(!ignored("build/", "build"));
    ok(ignored("build/", "src/build/"));
    ok(ignored("build/", "build/x/y"));
}

TEST(double_stars)
{
    ok(ignored("**/foo", "foo"));
    ok(ignored("**/foo", "a/b/foo"));
    ok(ignored("**/foo/bar", "a/foo/bar"));
    ok(ignored("abc/**", "abc/x/y"));
    ok(!ignored("abc/**", "abc"));
    ok(ignored("a/**/b", "a/b"));
    ok(ignored("a/**/b", "a/x/y/b"));
    ok(!ignored("a/**/b", "a/xb"));
}

TEST(last_rule_wins_but_not_below_an_ignored_directory)
{
    ok(!ignored("*.log\n!keep.log", "keep.log"));
    ok(ignored("!keep.log\n*.log", "keep.log"));
    ok(ignored("logs/\n!logs/keep.log", "logs/keep.log"));
    ok(!ignored("logs/*\n!logs/keep.log", "logs/keep.log"));
}

TEST(comments_escapes_and_spaces)
{
    ok(!ignored("# foo", "# foo"));
    ok(ignored("\\#foo", "#foo"));
    ok(ignored("\\!foo", "!foo"));
    ok(ignored("foo   ", "foo"));
    ok(ignored("foo\\ ", "foo "));
    ok(ignored("foo\r\nbar\r\n", "bar"));
    ok(ignored("\xef\xbb\xbf"
               "foo",
               "foo"));
    ok(!ignored("foo\\", "foo"));
}

TEST(sets)
{
    ok(ignored("[a-c]x", "bx"));
    ok(!ignored("[!a-c]x", "bx"));
    ok(ignored("[]x]", "]"));
    ok(ignored("[[:digit:]]", "7"));
    ok(!ignored("[[:nonsense:]]", "n"));
    ok(!ignored("a[", "a["));
    ok(!ignored("a/[^b]c", "a//c"));
}

TEST(deeper_file_wins)
{
    _cleanup_(ignore_freep) struct ignore *ig = ignore_new();

    ok(ignore_add(ig, "sub", "!x\n/y", 5) == 0);
    ok(ignore_add(ig, "", "x", 1) == 0);
    ok(ignore_match(ig, "x", false));
    ok(!ignore_match(ig, "sub/x", false));
    ok(ignore_match(ig, "sub/y", false));
    ok(!ignore_match(ig, "y", false));
}

TEST(hostile_pattern_is_quick)
{
    _cleanup_text_ struct text pattern = { 0 }, path = { 0 };

    for (int i = 0; i < 1000; i++)
        text_add(&pattern, "a*");
    text_add(&pattern, "b");
    for (int i = 0; i < 4000; i++)
        text_add_char(&path, 'a');
    ok(!ignored(pattern.data, path.data));
}

/* ---- the same answers as git ----------------------------------------------------------------- */

static unsigned long seed = 88172645463325252;

static unsigned below(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned) (seed % n);
}

static const char *const names[] = { "a", "b", "ab", "a.b", "foo", ".x", "a b", "[b]" };
static const char *const bits[] = { "a",   "b",   "ab", "foo",         ".",    "*",  "**",
                                    "/",   "/",   "?",  "[ab]",        "[!a]", "\\", " ",
                                    "**/", "/**", "#",  "[[:alpha:]]", "!",    "x",  "[a-" };

static void add_dir(struct text *paths, const char *dir, int depth)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        _cleanup_free_ char *path = xasprintf("%s%s%s", dir, *dir ? "/" : "", names[i]);
        if (depth < 2 && below(3) == 0 && mkdir(path, 0755) == 0) {
            add_dir(paths, path, depth + 1);
        } else {
            FILE *f = fopen(path, "w");
            ok(f && fclose(f) == 0);
        }
        text_add(paths, path);
        text_add_char(paths, '\0');
    }
}

static char *random_patterns(void)
{
    _cleanup_text_ struct text t = { 0 };

    for (unsigned lines = 1 + below(4); lines > 0; lines--) {
        for (unsigned n = 1 + below(5); n > 0; n--)
            text_add(&t, bits[below(sizeof bits / sizeof *bits)]);
        text_add_char(&t, '\n');
    }
    return text_take(&t);
}

static void write_file(const char *path, const char *bytes, size_t len)
{
    FILE *f = fopen(path, "w");

    ok(f && fwrite(bytes, 1, len, f) == len && fclose(f) == 0);
}

static void ask_git(struct text *answer)
{
    FILE *f = popen("git check-ignore --no-index --stdin -z < .git/paths", "r");
    char buf[4096];
    size_t n;

    while (f && (n = fread(buf, 1, sizeof buf, f)) > 0)
        text_add_bytes(answer, buf, n);
    ok(f && pclose(f) >= 0);
}

static void ask_berth(const char *patterns, const char *nested, const struct text *paths,
                      struct text *answer)
{
    _cleanup_(ignore_freep) struct ignore *ig = ignore_new();

    ignore_add(ig, "", patterns, strlen(patterns));
    ignore_add(ig, "foo", nested, strlen(nested));
    for (size_t i = 0; i < paths->len; i += strlen(paths->data + i) + 1) {
        struct stat st;
        const char *path = paths->data + i;
        ok(lstat(path, &st) == 0);
        if (ignore_match(ig, path, S_ISDIR(st.st_mode)))
            text_add_bytes(answer, path, strlen(path) + 1);
    }
}

TEST(answers_as_git_does)
{
    char dir[] = "/tmp/berth-ignore-XXXXXX";
    _cleanup_text_ struct text paths = { 0 };
    int wrong = 0;

    ok(mkdtemp(dir) && chdir(dir) == 0);
    ok(setenv("GIT_CONFIG_GLOBAL", "/dev/null", 1) == 0 &&
       setenv("GIT_CONFIG_NOSYSTEM", "1", 1) == 0);
    if (system("git init -q . 2>/dev/null") != 0) {
        printf("# git is not here: not compared\n");
        return;
    }
    add_dir(&paths, "", 0);
    (void) unlink("foo");
    (void) mkdir("foo", 0755);
    write_file(".git/paths", paths.data, paths.len);
    for (int round = 0; round < 150 && wrong == 0; round++) {
        _cleanup_free_ char *patterns = random_patterns();
        _cleanup_free_ char *nested = random_patterns();
        _cleanup_text_ struct text git = { 0 }, berth = { 0 };
        write_file(".gitignore", patterns, strlen(patterns));
        write_file("foo/.gitignore", nested, strlen(nested));
        ask_git(&git);
        ask_berth(patterns, nested, &paths, &berth);
        if (git.len == berth.len && (git.len == 0 || memcmp(git.data, berth.data, git.len) == 0))
            continue;
        wrong++;
        printf("# patterns:\n%s# in foo:\n%s", patterns, nested);
        for (size_t i = 0; i < git.len; i += strlen(git.data + i) + 1)
            printf("# git: %s\n", git.data + i);
        for (size_t i = 0; i < berth.len; i += strlen(berth.data + i) + 1)
            printf("# berth: %s\n", berth.data + i);
    }
    ok(wrong == 0);
    _cleanup_free_ char *rm = xasprintf("rm -rf %s", dir);
    ok(chdir("/") == 0 && system(rm) == 0);
}

TAP_MAIN
