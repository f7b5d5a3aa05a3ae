#include "data/data.h"
#include "tests/tap.h"

#include "base/alloc.h"
#include "base/text.h"

#define DIGEST "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"

/* TEXT in full, or why it is refused. Owned by the caller. */
static char *full(const char *text)
{
    struct image_reference ref;
    struct error err = { 0 };

    if (image_reference_parse(text, &ref, &err) < 0)
        return xasprintf("! %s", err.text);
    char *name = image_reference_format(&ref);
    image_reference_done(&ref);
    return name;
}

#define full_is(text, want)                                                                        \
    do {                                                                                           \
        _cleanup_free_ char *text_ = full(text);                                                   \
        is_str(text_, want);                                                                       \
    } while (0)

TEST(references_say_everything_in_full)
{
    full_is("host", "host");
    full_is("python", "docker.io/library/python:latest");
    full_is("python:3.12", "docker.io/library/python:3.12");
    full_is("docker://python:3.12", "docker.io/library/python:3.12");
    full_is("team/trainer:v1", "docker.io/team/trainer:v1");
    full_is("localhost/x", "localhost/x:latest");
    full_is("ghcr.io/a/b/c:1", "ghcr.io/a/b/c:1");
    full_is("127.0.0.1:5055/lib/one:1", "127.0.0.1:5055/lib/one:1");
    full_is("[::1]:5055/one", "[::1]:5055/one:latest");
    full_is("reg.example/x@sha256:" DIGEST, "reg.example/x@sha256:" DIGEST);
    full_is("reg.example/x:1@sha256:" DIGEST, "reg.example/x:1@sha256:" DIGEST);
    full_is("oci:/srv/layout:tag", "oci:/srv/layout:tag");
    full_is("oci-archive:/srv/a.tar", "oci-archive:/srv/a.tar");
    full_is("docker-archive:/srv/a.tar:a:1", "docker-archive:/srv/a.tar:a:1");
}

TEST(what_is_no_reference_is_refused_in_words)
{
    full_is("Python", "! image: 'Python' is not a name such as python:3.12 or "
                      "registry.example/team/name:tag (lower case)");
    full_is("python:", "! image: tag '' must be 1 to 128 letters, digits, '_', '.' and '-'");
    full_is("python@sha256:12",
            "! image: '@sha256:12' must be @sha256: and 64 lower-case hex digits");
    full_is("-a.b/c", "! image: '-a.b' is not a registry HOST[:PORT]");
    full_is("a.b:99999/c", "! image: 'a.b:99999' is not a registry HOST[:PORT]");
    full_is("oci:relative", "! image: path 'relative' must be absolute, on the server's machine");
    full_is("oci:/a/../b", "! image: path '/a/../b' must be absolute, on the server's machine");
    static const char *const bad[] = { "",      "/",     "a//b",   "a/../b", "a b", "a___b",
                                       "a..b/", ".a",    "a.b/.",  "a/b/",   "é",   "a:b:c",
                                       "a.b/",  "[x]/y", "[::1/a", "a:\n" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct image_reference ref;
        ok(image_reference_parse(bad[i], &ref, NULL) < 0);
    }
}

TEST(a_record_comes_back_from_its_json)
{
    struct sha256 layers[2] = { { { 1 } }, { { 2 } } }, blobs[2] = { { { 3 } }, { { 4 } } };
    int64_t sizes[2] = { 77, 1234567890123 };
    struct image_record image = {
        .id = { { 7 } },
        .project = { { 8 } },
        .name = (char[]){ "localhost/x:1" },
        .state = IMAGE_READY,
        .has_digest = true,
        .digest = { { 9 } },
        .size_bytes = 12345,
        .layers = layers,
        .n_layers = 2,
        .blobs = blobs,
        .blob_sizes = sizes,
        .is_packed = true,
        .created_us = 1000000,
        .updated_us = 2000000,
    };
    _cleanup_json_ json_t *json = image_record_to_json(&image);
    _cleanup_(image_record_freep) struct image_record *back = NULL;
    ok(image_record_from_json(json, &back, NULL) == 0);
    _cleanup_json_ json_t *again = image_record_to_json(back);
    ok(json_equal(json, again) && back->is_packed && back->blob_sizes[1] == sizes[1]);
    (void) json_array_remove(json_object_get(json, "blobs"), 0);
    _cleanup_(image_record_freep) struct image_record *fewer = NULL;
    ok(image_record_from_json(json, &fewer, NULL) < 0);
    json_object_set_new(json, "state", json_string("gone"));
    _cleanup_(image_record_freep) struct image_record *bad = NULL;
    ok(image_record_from_json(json, &bad, NULL) < 0);
}

TEST(progress_has_numbers)
{
    struct image_record image = { .state = IMAGE_PULLING, .phase = "fetching" };
    _cleanup_free_ char *before = image_record_progress(&image);
    image.done_bytes = 43 << 20;
    image.total_bytes = 77 << 20;
    _cleanup_free_ char *amid = image_record_progress(&image);

    is_str(before, "fetching");
    is_str(amid, "43 MiB of 77 MiB");
}

TAP_MAIN
