#include "console/console.h"

#include "tests/tap.h"

static const struct console_file file = {
    .path = "/console/a.js",
    .bodies = { { .coding = "br" }, { .coding = "gzip" }, { .coding = NULL } },
};

static const char *chosen(const char *accept)
{
    const char *coding = console_choose(&file, accept)->coding;

    return coding ? coding : "identity";
}

TEST(the_smallest_coding_that_is_accepted)
{
    is_str(chosen(NULL), "identity");
    is_str(chosen(""), "identity");
    is_str(chosen("gzip, deflate, br"), "br");
    is_str(chosen("gzip, deflate"), "gzip");
    is_str(chosen("GZIP"), "gzip");
    is_str(chosen("deflate"), "identity");
    is_str(chosen("brotli, x-gzip"), "identity");
}

TEST(a_weight_of_zero_refuses)
{
    is_str(chosen("br;q=0, gzip;q=0.5"), "gzip");
    is_str(chosen("br; q=0.000 ,gzip"), "gzip");
    is_str(chosen("br;q=0.001"), "br");
    is_str(chosen("br;Q=0,gzip;q="), "gzip");
    is_str(chosen(",,;;, br ; q = 1"), "br");
}

TEST(pages_are_one_file)
{
    const struct console_file *page = console_find("/console/");

    if (!console_files->path) /* built without */
        return;
    ok(page && strcmp(page->path, "/console/index.html") == 0);
    ok(page && !page->immutable);
    ok(console_find("/console/lab/jobs/tiny-gpt") == page);
    ok(console_find("/console/p/lab/datasets/corpus.v2") == page);
    ok(console_find("/console/index.html") == page);
}

TEST(what_is_not_there)
{
    ok(!console_find("/"));
    ok(!console_find("/console"));
    ok(!console_find("/consoles/"));
    ok(!console_find("/console/none.js"));
    ok(!console_find("/console/../v1.x"));
}

TEST(every_file_has_a_plain_body_and_the_others_are_smaller)
{
    for (const struct console_file *f = console_files; f->path; f++) {
        const struct console_body *body = f->bodies;
        for (; body->coding; body++)
            ok(body->len < body[1].len && strcmp(body->tag, body[1].tag) != 0);
        ok(body->len > 0 && body->tag[0] == '"');
        ok(f->immutable == (strncmp(f->path, "/console/assets/", 16) == 0));
    }
}

TAP_MAIN
