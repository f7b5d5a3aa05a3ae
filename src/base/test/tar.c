/* Archives: what is written is read back however it is cut; what leads out of the root is refused. */
#include "base/tar.h"
#include "tests/tap.h"

#include "base/alloc.h"

#include <errno.h>
#include <string.h>

/* Everything that STREAM holds as text, read in pieces of STEP. */
static int read_all(const struct text *stream, size_t step, struct text *out)
{
    struct tar_reader reader = { 0 };
    int result = 1; /* not whole */

    for (size_t at = 0; at < stream->len && result > 0;) {
        struct tar_piece p;
        size_t n = stream->len - at < step ? stream->len - at : step;
        ssize_t r = tar_read(&reader, stream->data + at, n, &p);
        if (r < 0)
            result = (int) r;
        else if (p.found == TAR_ENTRY)
            text_addf(out, "|%d %s %s %lld %o %lld|", (int) p.entry.kind, p.entry.path,
                      p.entry.target ? p.entry.target : "-", (long long) p.entry.size, p.entry.mode,
                      (long long) p.entry.mtime_s);
        else if (p.found == TAR_DATA)
            text_add_bytes(out, p.bytes, p.len);
        else if (p.found == TAR_END)
            result = 0;
        at += r < 0 ? 0 : (size_t) r;
    }
    tar_reader_done(&reader);
    return result;
}

static void add_file(struct text *t, const char *path, const char *content)
{
    static const char zeros[TAR_BLOCK];
    const struct tar_entry e = { .kind = TAR_FILE,
                                 .path = path,
                                 .size = (int64_t) strlen(content),
                                 .mode = 0644,
                                 .mtime_s = 7 };

    tar_add_entry(t, &e);
    text_add(t, content);
    text_add_bytes(t, zeros, tar_fill(e.size));
}

TEST(what_is_written_is_read)
{
    _cleanup_text_ struct text t = { 0 }, name = { 0 }, want = { 0 };
    struct tar_entry e = { .kind = TAR_DIRECTORY, .path = ".", .mode = 0755, .mtime_s = 1 };

    while (name.len < 900)
        text_addf(&name, "%sdirectory", name.len ? "/" : "");
    tar_add_total(&t, 11);
    tar_add_entry(&t, &e);
    add_file(&t, "a", "hello");
    add_file(&t, "empty", "");
    add_file(&t, name.data, "second");
    e = (struct tar_entry){ .kind = TAR_LINK, .path = "l", .target = name.data, .mode = 0777 };
    tar_add_entry(&t, &e);
    add_file(&t, "after", "x");
    tar_add_end(&t);
    text_addf(&want,
              "|1 . - 0 755 1||0 a - 5 644 7|hello|0 empty - 0 644 7||0 %s - 6 644 7|second"
              "|2 l %s 0 777 0||0 after - 1 644 7|x",
              name.data, name.data);
    static const size_t steps[] = { 1, 7, 511, 512, 513, 100000 };
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        _cleanup_text_ struct text out = { 0 };
        ok(read_all(&t, steps[i], &out) == 0);
        is_str(text_str(&out), want.data);
    }
    t.len -= TAR_BLOCK;
    _cleanup_text_ struct text out = { 0 };
    ok(read_all(&t, 512, &out) == 1); /* its end is missing */
}

TEST(what_leads_out_is_refused)
{
    static const char *const paths[] = { "/etc/passwd", "..",  "../x", "a/../../x", "a//b",
                                         "a/./b",       "./a", "a/",   "",          "a/.." };

    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        _cleanup_text_ struct text t = { 0 }, out = { 0 };
        add_file(&t, paths[i], "x");
        ok(!tar_path_is_safe(paths[i]));
        ok(read_all(&t, 512, &out) == -EBADMSG);
    }
    ok(tar_path_is_safe(".") && tar_path_is_safe("a/b") && tar_path_is_safe(".hidden/..x"));
}

/* Change one byte of a header and repair its sum. */
static int with(size_t at, char value)
{
    _cleanup_text_ struct text t = { 0 }, out = { 0 };
    unsigned sum = 0;

    add_file(&t, "a", "hello");
    t.data[at] = value;
    memset(t.data + 148, ' ', 8);
    for (size_t i = 0; i < TAR_BLOCK; i++)
        sum += (unsigned char) t.data[i];
    (void) snprintf(t.data + 148, 8, "%06o", sum);
    return read_all(&t, 512, &out);
}

TEST(what_is_no_file_directory_or_link_is_refused)
{
    ok(with(156, '0') == 1);
    ok(with(156, '1') == -EBADMSG); /* hard link */
    ok(with(156, '3') == -EBADMSG); /* devices */
    ok(with(156, '4') == -EBADMSG);
    ok(with(156, '6') == -EBADMSG); /* FIFO */
    ok(with(156, 'L') == -EBADMSG);
    ok(with(156, '5') == -EBADMSG); /* a directory with content */
    ok(with(156, '2') == -EBADMSG); /* a link without target, with content */
    ok(with(124, '9') == -EBADMSG); /* a size that is no number */
    ok(with(124, (char) 0x80) == -EBADMSG);
    ok(with(257, 'x') == -EBADMSG); /* no magic */
}

TEST(records_that_lie_are_refused)
{
    static const char *const records[] = { "9 path=a",       "12 path=abc",
                                           "0 path=a\n",     "999999 path=a\n",
                                           "-3 path=a\n",    "path=a\n",
                                           "8 patha\n",      "18446744073709551615 path=a\n",
                                           "14 path=../../x" };

    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        _cleanup_text_ struct text t = { 0 }, out = { 0 };
        static const char zeros[TAR_BLOCK];
        size_t begin = 0;
        add_file(&t, "pax", records[i]);
        t.data[begin + 156] = 'x';
        unsigned sum = 0;
        memset(t.data + 148, ' ', 8);
        for (size_t k = 0; k < TAR_BLOCK; k++)
            sum += (unsigned char) t.data[k];
        (void) snprintf(t.data + 148, 8, "%06o", sum);
        add_file(&t, "a", "x");
        text_add_bytes(&t, zeros, sizeof zeros);
        ok(read_all(&t, 512, &out) == -EBADMSG);
    }
}

TAP_MAIN
