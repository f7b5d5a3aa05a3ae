#include "data/data.h"
#include "tests/tap.h"

#include "base/alloc.h"

#include <errno.h>
#include <stdlib.h>

static const struct sha256 sum = { { 0xab, 1, 2 } };

static int add(struct manifest *m, const char *path)
{
    return manifest_add(m, path, &sum, 5, false, NULL, NULL);
}

static int add_link(struct manifest *m, const char *path, const char *target)
{
    return manifest_add(m, path, NULL, 0, false, target, NULL);
}

TEST(canonical_form)
{
    _cleanup_(manifest_freep) struct manifest *m = manifest_new();
    _cleanup_free_ char *text = NULL;
    size_t len;

    ok(add(m, "src/\xc3\xa4 %.c") == 0);
    ok(manifest_add(m, "run", &sum, 7, true, NULL, NULL) == 0);
    ok(add_link(m, "src/l", "../run") == 0);
    ok(manifest_seal(m, NULL) == 0);
    ok(m->size_bytes == 12);
    text = manifest_format(m, &len);
    is_str(text, "x ab01020000000000000000000000000000000000000000000000000000000000 7 run\n"
                 "l - 0 src/l ../run\n"
                 "f ab01020000000000000000000000000000000000000000000000000000000000 5 "
                 "src/%C3%A4%20%25.c\n");
    ok(len == strlen(text));
    ok(manifest_find(m, "run") && manifest_find(m, "run")->executable);
    ok(!manifest_find(m, "src"));
}

TEST(refuses_paths_that_leave_or_are_odd)
{
    _cleanup_(manifest_freep) struct manifest *m = manifest_new();
    static const char *const bad[] = { "", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a/." };
    _cleanup_free_ char *longer = xcalloc(1, 5000);

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ok(add(m, bad[i]) == -EINVAL);
    ok(add(m, "a\xff") == -EILSEQ);
    memset(longer, 'a', 256);
    ok(add(m, longer) == -ENAMETOOLONG);
    ok(add(m, "...") == 0);
    ok(manifest_add(m, "neg", &sum, -1, false, NULL, NULL) == -EFBIG);
}

TEST(links_stay_inside)
{
    _cleanup_(manifest_freep) struct manifest *m = manifest_new();

    ok(add_link(m, "a/b/l1", "../../x") == 0);
    ok(add_link(m, "a/b/l2", "../../../x") == -EXDEV);
    ok(add_link(m, "l3", "/etc/passwd") == -EXDEV);
    ok(add_link(m, "l4", "..") == -EXDEV);
    ok(add_link(m, "a/l5", "b/../../..") == -EXDEV);
    ok(add_link(m, "a/l6", "./../x") == 0);
    ok(add_link(m, "l7", "") == -EINVAL);
}

TEST(refuses_doubles_and_files_as_directories)
{
    _cleanup_(manifest_freep) struct manifest *m = manifest_new();
    _cleanup_(manifest_freep) struct manifest *n = manifest_new();
    struct error err;

    ok(add(m, "a") == 0 && add(m, "a") == 0);
    ok(manifest_seal(m, &err) == -EEXIST);
    ok(add(n, "a") == 0 && add(n, "a-b") == 0 && add(n, "a/b/c") == 0);
    ok(manifest_seal(n, &err) == -ENOTDIR);
    is_str(err.text, "'a/b/c' lies below 'a', which is not a directory");
}

static int parse(const char *text)
{
    _cleanup_(manifest_freep) struct manifest *m = NULL;
    return manifest_parse(text, strlen(text), &m, NULL);
}

#define HEX "ab01020000000000000000000000000000000000000000000000000000000000"

TEST(parses_only_the_canonical_form)
{
    ok(parse("") == 0);
    ok(parse("f " HEX " 5 a\n") == 0);
    ok(parse("f " HEX " 5 a") == -EINVAL);
    ok(parse("f " HEX " 05 a\n") == -EINVAL);
    ok(parse("f " HEX " +5 a\n") == -EINVAL);
    ok(parse("f " HEX " -5 a\n") == -EINVAL);
    ok(parse("f " HEX "  5 a\n") == -EINVAL);
    ok(parse("f " HEX " 5 a \n") == -EINVAL);
    ok(parse("f " HEX " 5 a b\n") == -EINVAL);
    ok(parse("f " HEX " 5 %61\n") == -EINVAL);
    ok(parse("f " HEX " 5 %c3%a4\n") == -EINVAL);
    ok(parse("f " HEX " 5 %00\n") == -EINVAL);
    ok(parse("f " HEX " 5 a%2\n") == -EINVAL);
    ok(parse("g " HEX " 5 a\n") == -EINVAL);
    ok(parse("f " HEX " 5 b\nf " HEX " 5 a\n") == -EINVAL);
    ok(parse("f " HEX " 5 a\nf " HEX " 5 a\n") == -EINVAL);
    ok(parse("l - 0 a\n") == -EINVAL);
    ok(parse("l " HEX " 0 a b\n") == -EINVAL);
    ok(parse("f " HEX " 5 a\nf " HEX " 5 a/b\n") == -ENOTDIR);
}

/* Property: parse(format(m)) is m, whatever the names are. */
TEST(format_and_parse_are_inverse)
{
    srand(7);
    for (int round = 0; round < 300; round++) {
        _cleanup_(manifest_freep) struct manifest *m = manifest_new(), *back = NULL;
        _cleanup_free_ char *text = NULL, *again = NULL;
        size_t len, again_len;
        for (int i = rand() % 30; i > 0; i--) {
            char path[12] = "";
            for (int j = 0, n = 1 + rand() % 10; j < n; j++)
                path[j] = (char) (1 + rand() % 127);
            if (rand() % 5 == 0)
                (void) add_link(m, path, "x y%");
            else
                (void) manifest_add(m, path, &sum, rand(), rand() % 2, NULL, NULL);
        }
        if (manifest_seal(m, NULL) < 0)
            continue;
        text = manifest_format(m, &len);
        ok(manifest_parse(text, len, &back, NULL) == 0);
        if (!back)
            return;
        again = manifest_format(back, &again_len);
        ok(len == again_len && memcmp(text, again, len) == 0);
        ok(back->size_bytes == m->size_bytes);
    }
}

TEST(shows_itself_as_json)
{
    _cleanup_(manifest_freep) struct manifest *m = manifest_new();
    _cleanup_json_ json_t *json = NULL;
    _cleanup_free_ char *text = NULL;

    ok(add(m, "a") == 0 && add_link(m, "b", "a") == 0);
    json = manifest_to_json(m);
    text = json_text(json);
    is_str(text, "[{\"path\":\"a\",\"sha256\":\"" HEX "\",\"size_bytes\":5,\"executable\":false},"
                 "{\"path\":\"b\",\"link\":\"a\"}]");
}

TEST(two_trees_become_one)
{
    struct manifest *one = manifest_new();
    _cleanup_(manifest_freep) struct manifest *two = manifest_new(), *bad = manifest_new();
    struct sha256 a = { { 1 } }, b = { { 2 } };
    struct error err = { 0 };

    ok(manifest_add(one, "model/rank-0", &a, 3, false, NULL, &err) == 0);
    ok(manifest_add(one, "same", &a, 3, true, NULL, &err) == 0);
    ok(manifest_seal(one, &err) == 0);
    ok(manifest_add(two, "model/rank-1", &b, 5, false, NULL, &err) == 0);
    ok(manifest_add(two, "same", &b, 7, false, NULL, &err) == 0);
    ok(manifest_seal(two, &err) == 0);
    ok(manifest_merge(&one, two, &err) == 0);
    ok(one->n == 3 && one->size_bytes == 11);
    ok(manifest_find(one, "model/rank-1") != NULL);
    ok(sha256_equal(&manifest_find(one, "same")->sum, &a) &&
       manifest_find(one, "same")->executable);

    ok(manifest_add(bad, "model", &b, 1, false, NULL, &err) == 0 && manifest_seal(bad, &err) == 0);
    ok(manifest_merge(&one, bad, &err) < 0 && one->n == 3);
    manifest_free(one);
}

TAP_MAIN
