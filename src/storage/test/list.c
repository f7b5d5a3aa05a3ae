/* lists: what is written is read, in order, and nothing else is */
#include "storage/list.h"

#include "tests/tap.h"

#include <string.h>
#include <sys/mman.h>

static struct storage_strings strings;

static int parse(const char *line, struct storage_entry *e)
{
    return storage_entry_parse(line, strlen(line), &strings, e, NULL);
}

#define SUM "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"

TEST(what_is_written_is_read)
{
    static const char *const lines[] = {
        "f 644 0 " SUM " 3 - a\n",  "f 1777 65535 " SUM " 0 " SUM " a/b%20%25%0A/%FF\n",
        "d 755 0 - - - dir\n",      "l 777 7 " SUM " - - link ../../%20x\n",
        "w 0 0 - - " SUM " gone\n",
    };

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct storage_entry e;
        _cleanup_text_ struct text out = { 0 };
        ok(storage_entry_parse(lines[i], strlen(lines[i]) - 1, &strings, &e, NULL) == 0);
        storage_entry_format(&out, &e);
        is_str(text_str(&out), lines[i]);
    }
}

TEST(another_form_is_refused)
{
    static const char *const lines[] = {
        "",
        "f",
        "x 644 0 " SUM " 3 - a",
        "f 0644 0 " SUM " 3 - a",
        "f 648 0 " SUM " 3 - a",
        "f 644 65536 " SUM " 3 - a",
        "f 644 0 - 3 - a",
        "f 644 0 " SUM " -3 - a",
        "f 644 0 " SUM " 3 - a ",
        "f 644 0 " SUM " 3 - a b",
        "f 644 0 " SUM " 3 - ../a",
        "f 644 0 " SUM " 3 - /a",
        "f 644 0 " SUM " 3 - a//b",
        "f 644 0 " SUM " 3 - a/.",
        "f 644 0 " SUM " 3 - a%00b",
        "f 644 0 " SUM " 3 - a%61",
        "d 755 0 " SUM " - - a",
        "l 777 0 " SUM " - - a",
    };

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct storage_entry e;
        ok(parse(lines[i], &e) < 0);
    }
}

TEST(paths_are_in_order)
{
    ok(storage_path_compare("a", "a") == 0);
    ok(storage_path_compare("a", "a/b") < 0);
    ok(storage_path_compare("a/b", "a-b") < 0);
    ok(storage_path_compare("a/z", "a.b") < 0);
    ok(storage_path_compare("a/\xff", "b") < 0);
    ok(storage_path_is_below("a/b", "a") && !storage_path_is_below("ab", "a"));
}

static void fill(struct text *t, unsigned n)
{
    char path[32];

    for (unsigned i = 0; i < n; i++) {
        struct storage_entry e = { .kind = STORAGE_DIRECTORY, .mode = 0755, .path = path };
        (void) snprintf(path, sizeof path, "%08u", 2 * i + 1);
        storage_entry_format(t, &e);
    }
}

/* Whatever is sought, before, between and behind the entries, is found where it is or would be. */
TEST(entries_are_found)
{
    enum { N = 300 };
    _cleanup_text_ struct text t = { 0 };
    struct storage_list list;
    struct storage_entry e;
    bool right = true;
    char path[32];

    fill(&t, N);
    _cleanup_close_ int fd = memfd_create("list", MFD_CLOEXEC);
    ok(write(fd, t.data, t.len) == (ssize_t) t.len && storage_list_open(fd, &list, NULL) == 0);
    for (unsigned i = 0; i <= 2 * N; i++) {
        (void) snprintf(path, sizeof path, "%08u", i);
        right = right && storage_list_find(&list, path, &strings, &e) == (int) (i % 2);
        size_t at = storage_list_seek(&list, path, &strings);
        right = right && at == (size_t) (i / 2) * (list.len / N);
    }
    ok(right);
    size_t at = list.len;
    unsigned n = 0;
    while (storage_list_previous(&list, &at, &strings, &e, NULL) > 0)
        n++;
    ok(n == N && at == 0);
    storage_list_done(&list);
}

TAP_MAIN
