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

int simulate_main(const struct simulation *simulation, int argc, char **argv, void *options)
{
    struct error err = { 0 };

    if (argc == 2 && (str_equal(argv[1], "--help") || str_equal(argv[1], "-h")))
        return fputs(simulation->usage, stdout) < 0;
    if (!simulation->parse(argc, argv, options)) {
        (void) fputs(simulation->usage, stderr);
        return EXIT_USAGE;
    }
    int r = simulation->run(options, &err);
    if (r >= 0)
        return r;
    (void) fprintf(stderr, "berth: %s\n", err.text);
    return EXIT_FAILURE;
}
