#include "api/tar.h"

#include "base/alloc.h"
#include "tests/tap.h"

#include <stdio.h>
#include <stdlib.h>

/* GNU tar is the judge: what does it list of a header and no content? */
static char *listed(const char *path, bool executable)
{
    static char line[8192];
    _cleanup_text_ struct text t = { 0 };
    char name[] = "/tmp/berth-tar-XXXXXX";
    int fd = mkstemp(name);
    _cleanup_free_ char *command = xasprintf("tar tvf %s --quoting-style=literal", name);

    tar_add_header(&t, path, 0, executable);
    (void) memset(text_reserve(&t, 1024), 0, 1024);
    t.len += 1024;
    ok(write(fd, t.data, t.len) == (ssize_t) t.len);
    FILE *pipe = popen(command, "re");
    if (!fgets(line, sizeof line, pipe))
        line[0] = '\0';
    ok(pclose(pipe) == 0);
    close(fd);
    (void) unlink(name);
    line[strcspn(line, "\n")] = '\0';
    return line;
}

TEST(short_and_long_names)
{
    char name[300];

    ok(str_ends(listed("model/x.gguf", false), " model/x.gguf"));
    ok(str_starts(listed("run.sh", true), "-rwxr-xr-x"));
    ok(str_starts(listed("a", false), "-rw-r--r--"));
    for (size_t len = 95; len < sizeof name; len++) {
        memset(name, 'n', len);
        name[len] = '\0';
        char *line = listed(name, false);
        ok(str_ends(line, name) && line[strlen(line) - len - 1] == ' ');
    }
}

TEST(files_fill_blocks)
{
    ok(tar_fill(0) == 0);
    ok(tar_fill(1) == 511);
    ok(tar_fill(512) == 0);
    ok(tar_fill(INT64_C(5) << 30) == 0);
}

/* The size field has 11 octal digits: 8 GiB and above need a record. */
TEST(large_files_have_a_record)
{
    _cleanup_text_ struct text small = { 0 }, large = { 0 };

    tar_add_header(&small, "a", (INT64_C(8) << 30) - 1, false);
    tar_add_header(&large, "a", INT64_C(8) << 30, false);
    ok(small.len == 512);
    ok(large.len == 1536);
    is_str(large.data + 512, "19 size=8589934592\n");
}

TAP_MAIN
