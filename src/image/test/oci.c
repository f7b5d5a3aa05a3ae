#include "image/image.h"
#include "tests/tap.h"

#include "base/alloc.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

#define A "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
#define B "fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9"

static const char index_json[] =
    "{\"schemaVersion\":2,\"manifests\":["
    "{\"digest\":\"sha256:" A
    "\",\"size\":1,\"platform\":{\"os\":\"linux\",\"architecture\":\"arm64\"}},"
    "{\"digest\":\"sha256:" B
    "\",\"size\":2,\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"},"
    "\"annotations\":{\"org.opencontainers.image.ref.name\":\"docker.io/x/y:1\"}}]}";

static char *manifest_error(const char *text)
{
    struct oci_manifest manifest;
    struct error err = { 0 };
    int r = oci_manifest_parse(text, strlen(text), &manifest, &err);

    oci_manifest_done(&manifest);
    return xstrdup(r < 0 ? err.text : "fine");
}

static char *config_error(const char *text)
{
    struct oci_config config;
    struct error err = { 0 };
    int r = oci_config_parse(text, strlen(text), "amd64", &config, &err);

    oci_config_done(&config);
    return xstrdup(r < 0 ? err.text : "fine");
}

#define error_is(what, text, want)                                                                 \
    do {                                                                                           \
        _cleanup_free_ char *text_ = what##_error(text);                                           \
        is_str(text_, want);                                                                       \
    } while (0)

TEST(an_index_gives_the_manifest_of_this_platform)
{
    struct oci_descriptor got = { 0 };
    struct error err = { 0 };
    size_t len = strlen(index_json);

    ok(oci_index_choose(index_json, len, "amd64", NULL, &got, &err) == 1 && got.size == 2);
    ok(oci_index_choose(index_json, len, "arm64", NULL, &got, &err) == 1 && got.size == 1);
    ok(oci_index_choose(index_json, len, "amd64", "1", &got, &err) == 1 && got.size == 2);
    ok(oci_index_choose(index_json, len, "s390x", NULL, &got, &err) == -ENOENT);
    is_str(err.text, "it is not made for linux/s390x, only for: arm64, amd64");
    ok(oci_index_choose("{}", 2, "amd64", NULL, &got, &err) == 0);
    is_str(oci_architecture("x86_64"), "amd64");
}

TEST(manifests_are_taken_within_limits)
{
    error_is(manifest, "{\"config\":{\"digest\":\"sha256:" A "\",\"size\":1},\"layers\":[]}",
             "fine");
    error_is(manifest, "[]", "manifest: is no object");
    error_is(manifest, "{\"schemaVersion\":1}",
             "manifest: is of schema 1, which no registry makes any more; push the image again");
    error_is(manifest, "{\"config\":{\"digest\":\"sha512:00\",\"size\":1},\"layers\":[]}",
             "manifest: config: digest 'sha512:00' is not sha256: and 64 hex digits");
    error_is(manifest, "{\"config\":{\"digest\":\"sha256:" A "\",\"size\":-1},\"layers\":[]}",
             "manifest: config: size: is missing or negative");
    error_is(manifest,
             "{\"config\":{\"digest\":\"sha256:" A
             "\",\"size\":1},\"layers\":[{\"digest\":\"sha256:" A
             "\",\"size\":9223372036854775807}]}",
             "manifest: layers[0]: its size is beyond counting");
    error_is(manifest,
             "{\"config\":{\"digest\":\"sha256:" A "\",\"size\":1},\"layers\":[{\"mediaType\":"
             "\"application/vnd.oci.image.layer.v1.tar+gzip+encrypted\"}]}",
             "manifest: layers[0]: it is encrypted");
}

TEST(configs_are_for_this_machine_and_hold_text)
{
    error_is(config, "{\"rootfs\":{\"diff_ids\":[]}}", "fine");
    error_is(config, "{\"architecture\":\"arm64\",\"rootfs\":{\"diff_ids\":[]}}",
             "it is made for linux/arm64; this machine is linux/amd64");
    error_is(config, "{\"rootfs\":{}}", "config: rootfs.diff_ids is no list of at most 127");
    error_is(config, "{\"config\":{\"Env\":[\"=x\"]},\"rootfs\":{\"diff_ids\":[]}}",
             "config: Env[0] is not NAME=value");
    error_is(config, "{\"config\":{\"Cmd\":[1]},\"rootfs\":{\"diff_ids\":[]}}",
             "config: Cmd[0] is no text");
}

static char *user_text(const char *user)
{
    static const char passwd[] =
        "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1001::/home/user:/bin/sh\n"
        "broken\nbig:x:99999:1::/:/\n";
    static const char group[] = "root:x:0:\nuser:x:1001:\nstaff:x:50:a,user\nother:x:51:users\n";
    struct image_user got;
    struct error err = { 0 };

    if (image_user_parse(user, passwd, group, &got, &err) < 0)
        return xstrdup(err.text);
    char *text = xasprintf("%u:%u %zu %u %s", got.uid, got.gid, got.n_groups, got.groups[0],
                           got.home ? got.home : "-");
    free(got.home);
    return text;
}

#define user_is(user, want)                                                                        \
    do {                                                                                           \
        _cleanup_free_ char *text_ = user_text(user);                                              \
        is_str(text_, want);                                                                       \
    } while (0)

TEST(users_are_found_by_name_and_number)
{
    user_is(NULL, "0:0 0 0 /root");
    user_is("user", "1000:1001 1 50 /home/user");
    user_is("1000", "1000:1001 1 50 /home/user");
    user_is("user:staff", "1000:50 0 0 /home/user");
    user_is("4711", "4711:0 0 0 -");
    user_is("4711:4712", "4711:4712 0 0 -");
    user_is("nobody", "the image's user 'nobody' is not in its /etc/passwd");
    user_is("user:nogroup", "the image's group 'nogroup' is not in its /etc/group");
    user_is("99999", "the image's user '99999' is not in its /etc/passwd");
}

TEST(names_stay_within_the_layer)
{
    static const char *const pairs[][2] = {
        { "./a//b/./c/", "a/b/c" },   { "/etc/passwd", "etc/passwd" }, { ".", "" }, { "./", "" },
        { "a/..b/...", "a/..b/..." },
    };
    const char *hidden = NULL;

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        _cleanup_free_ char *path = layer_path(pairs[i][0]);
        is_str(path, pairs[i][1]);
    }
    ok(!layer_path("a/../../b") && !layer_path("..") && !layer_path("a/.."));
    ok(layer_mark("a/.wh.b", &hidden) == LAYER_WHITEOUT);
    is_str(hidden, "b");
    ok(layer_mark("a/.wh..wh..opq", &hidden) == LAYER_OPAQUE);
    ok(layer_mark(".wh..wh.plnk", &hidden) == LAYER_IGNORED);
    ok(layer_mark(".wh...", &hidden) == LAYER_IGNORED && layer_mark("a", &hidden) == LAYER_PLAIN);
}

static char *challenge_text(const char *header)
{
    struct challenge c;

    if (challenge_parse(header, strlen(header), &c) < 0)
        return xstrdup("none");
    char *text = xasprintf("%s %s %s", c.bearer ? "bearer" : "basic", c.realm ? c.realm : "-",
                           c.service ? c.service : "-");
    challenge_done(&c);
    return text;
}

#define challenge_is(header, want)                                                                 \
    do {                                                                                           \
        _cleanup_free_ char *text_ = challenge_text(header);                                       \
        is_str(text_, want);                                                                       \
    } while (0)

TEST(challenges_are_read_as_the_standard_says)
{
    challenge_is("Bearer realm=\"https://a/t\",service=\"s\",scope=\"x\"", "bearer https://a/t s");
    challenge_is("basic realm=\"a \\\" b\"", "basic a \" b -");
    challenge_is("Negotiate abc==, Bearer realm=\"https://a\"", "none");
    challenge_is("Negotiate, Bearer realm=\"https://a\"", "bearer https://a -");
    challenge_is("Bearer service=\"s\"", "none");
    challenge_is("Bearer realm=\"open", "none");
    challenge_is("", "none");
}

TAP_MAIN
