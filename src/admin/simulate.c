/* simulate.c - what the commands of `berth simulate` share */
#include "admin/simulate.h"

#include "base/yaml.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 2 };

int simulate_open(const char *path, const char *mode, FILE **ret, struct error *err)
{
    bool reads = mode[0] == 'r';

    *ret = !str_equal(path, "-") ? fopen(path, mode) : reads ? stdin : stdout;
    return *ret ? 0
                : error_set(err, -errno, "%s: cannot be %s: %s", path, reads ? "read" : "written",
                            strerror(errno));
}

void simulate_close(FILE *file)
{
    if (file != stdin && file != stdout)
        (void) fclose(file);
}

int simulate_print(const json_t *result, const struct text *table, const char *form)
{
    _cleanup_free_ char *text = NULL;
    const char *shown = text_str(table);

    if (!str_equal(form, "table")) {
        text = str_equal(form, "json") ? json_text(result) : yaml_text(result);
        shown = text;
    }
    const char *end = str_ends(shown, "\n") ? "" : "\n";
    return printf("%s%s", shown, end) < 0 || fflush(stdout) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- what is wrong of a command line --------------------------------------------------------------------- */

/* "see berth simulate pack --help", of a usage that begins with "Usage: berth simulate pack …" */
static int say_wrong(const char *usage, const char *what)
{
    const char *name = usage + strlen("Usage: berth simulate ");

    (void) fprintf(stderr, "berth: %s; see berth simulate %.*s --help\n", what,
                   (int) strcspn(name, " "), name);
    return EXIT_USAGE;
}

/* Is LINE of a usage the first of what it says of the flag of N bytes: "  --days N, --seeds N  how …"? */
static bool is_of(const char *line, const char *flag, size_t n)
{
    const char *end = line + strcspn(line, "\n");

    if (strncmp(line, "  -", 3) != 0)
        return false;
    const char *gap = strstr(line + 2, "  ");
    for (const char *at = line + 2; at + n <= end && at < (gap ? gap : end); at++)
        if (strncmp(at, flag, n) == 0 && strchr(" ,\n", at[n]))
            return true;
    return false;
}

/* What USAGE says of the flag of N bytes, also the lines that go on; nothing if it is none. */
static void add_help(const char *usage, const char *flag, size_t n, struct text *out)
{
    bool goes_on = false;
    size_t len;

    for (const char *line = usage; *line; line += len) {
        len = strcspn(line, "\n");
        len += line[len] == '\n';
        goes_on = is_of(line, flag, n) || (goes_on && strncmp(line, "     ", 5) == 0);
        if (goes_on)
            text_addf(out, "%.*s", (int) len, line);
    }
}

/* WORD is no flag, or its VALUE is wrong; NULL: it has none, or it is part of the word. */
static int refuse(const char *usage, const char *word, const char *value)
{
    size_t n = strcspn(word, "=");
    _cleanup_text_ struct text help = { 0 }, what = { 0 };

    add_help(usage, word, n, &help);
    if (help.len == 0) {
        text_addf(&what, word[0] == '-' ? "unknown flag %s" : "it takes no argument '%s'", word);
        return say_wrong(usage, text_str(&what));
    }
    if (!value && word[n] == '=')
        value = word + n + 1;
    if (value)
        (void) fprintf(stderr, "berth: %.*s: '%s' is wrong; it is\n%s", (int) n, word, value,
                       text_str(&help));
    else
        (void) fprintf(stderr, "berth: %s needs a value; it is\n%s", word, text_str(&help));
    return EXIT_USAGE;
}

int simulate_main(const struct simulation *simulation, int argc, char **argv, void *options)
{
    struct error err = { 0 };

    if (argc == 2 && (str_equal(argv[1], "--help") || str_equal(argv[1], "-h")))
        return fputs(simulation->usage, stdout) < 0;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (!*word)
            return say_wrong(simulation->usage, "it takes no argument ''");
        if (str_ends(word, "=") || (i + 1 < argc && !*argv[i + 1]))
            return refuse(simulation->usage, word, str_ends(word, "=") ? NULL : argv[i + 1]);
        if (!simulation->read(argc, argv, &i, options))
            return refuse(simulation->usage, word, argv[i] == word ? NULL : argv[i]);
    }
    const char *wrong = simulation->check(options);
    if (wrong)
        return say_wrong(simulation->usage, wrong);
    int r = simulation->run(options, &err);
    if (r >= 0)
        return r;
    (void) fprintf(stderr, "berth: %s\n", err.text);
    return EXIT_FAILURE;
}
