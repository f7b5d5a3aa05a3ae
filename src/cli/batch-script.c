/* batch-script.c - the #SBATCH lines of a script
 *
 * As sbatch reads them: lines that begin with exactly "#SBATCH", before the first line that is neither a
 * comment nor empty; words as a shell would quote them; a '#' that begins a word begins a comment.
 */
#include "cli/batch-set.h"

#include "base/alloc.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

enum { OPTIONS_MAX = 256, VALUE_MAX = 4096, WORDS_MAX = 64 };

#define DIRECTIVE "#SBATCH"

void batch_options_done(batch_options *options)
{
    vec_foreach(options, o) {
        free(o->name);
        free(o->value);
    }
    vec_done(options);
}

typedef VEC(char *) words;

static void words_done(words *w)
{
    vec_foreach(w, word)
        free(*word);
    vec_done(w);
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

/* One word at *P with its quotes taken off; before END. -EINVAL: a quote is open. */
static int read_word(const char **p, const char *end, struct text *word)
{
    char quote = '\0';

    for (; *p < end && (quote || !is_blank(**p)); (*p)++) {
        char c = **p;
        if (quote && c == quote) {
            quote = '\0';
        } else if (!quote && (c == '"' || c == '\'')) {
            quote = c;
        } else {
            if (c == '\\' && quote != '\'' && *p + 1 < end)
                c = *++(*p);
            text_add_char(word, c);
        }
    }
    return quote ? -EINVAL : 0;
}

static int split(const char *p, const char *end, words *ret)
{
    for (;;) {
        while (p < end && is_blank(*p))
            p++;
        if (p == end || *p == '#')
            return 0;
        struct text word = { 0 };
        int r = read_word(&p, end, &word);
        if (r < 0 || ret->len == WORDS_MAX || word.len > VALUE_MAX) {
            text_done(&word);
            return -EINVAL;
        }
        vec_push(ret, text_take(&word));
    }
}

/* ---- options ------------------------------------------------------------------------------------------ */

static const struct cli_flag *find(const char *name, size_t len, bool letter)
{
    for (const struct cli_flag *f = batch_flags; f->name; f++) {
        const char *known = letter ? f->letter : f->name;
        if (known && strlen(known) == len && memcmp(known, name, len) == 0)
            return f;
    }
    return NULL;
}

/* The flag that WORD names; *REST is what follows its name, or NULL. */
static int read_flag(const char *word, unsigned line, const struct cli_flag **ret,
                     const char **rest, struct error *err)
{
    bool letter = word[0] == '-' && word[1] && word[1] != '-';

    if (!letter && (!str_starts(word, "--") || !word[2]))
        return error_set(err, -EINVAL, "line %u: '%.60s' is no option: -X or --NAME", line, word);
    const char *name = word + (letter ? 1 : 2);
    size_t len = letter ? 1 : strcspn(name, "=");
    *ret = find(name, len, letter);
    *rest = name[len] ? name + len + (letter ? 0 : 1) : NULL;
    const char *instead = *ret ? NULL : batch_refused(name, len, letter);
    if (instead)
        return error_set(err, -EINVAL, "line %u: option '%.60s' cannot be kept here: %s", line,
                         word, instead);
    return *ret ? 0
                : error_set(err, -EINVAL, "line %u: option '%.60s' is not known to berth sbatch",
                            line, word);
}

/* The option that begins at word *I; *I is the last of its words then. */
static int read_option(const words *w, size_t *i, unsigned line, batch_options *ret,
                       struct error *err)
{
    const char *value = NULL;
    const struct cli_flag *flag = NULL;
    int r = read_flag(w->items[*i], line, &flag, &value, err);

    if (r < 0 || !flag)
        return r;
    if (!flag->operand && value)
        return error_set(err, -EINVAL, "line %u: --%s takes no value", line, flag->name);
    if (flag->operand && !value && !cli_flag_is_optional(flag)) {
        if (*i + 1 == w->len)
            return error_set(err, -EINVAL, "line %u: --%s needs a value: %s", line, flag->name,
                             flag->operand);
        value = w->items[++*i];
    }
    if (ret->len == OPTIONS_MAX)
        return error_set(err, -EINVAL, "line %u: more than %d options", line, OPTIONS_MAX);
    vec_push(ret,
             ((struct batch_option){ xstrdup(flag->name), xstrdup(value ? value : ""), line }));
    return 0;
}

static int read_line(const char *p, const char *end, unsigned line, batch_options *ret,
                     struct error *err)
{
    words w = { 0 };
    int r = split(p, end, &w);

    if (r < 0)
        r = error_set(err, r, "line %u: a quote is open, or a word is too long", line);
    for (size_t i = 0; r >= 0 && i < w.len; i++)
        r = read_option(&w, &i, line, ret, err);
    words_done(&w);
    return r;
}

/* ---- the script --------------------------------------------------------------------------------------- */

static int check_script(const char *text, size_t len, struct error *err)
{
    if (len > BATCH_SCRIPT_MAX)
        return error_set(err, -EINVAL, "the script has %zu bytes; %d are allowed", len,
                         BATCH_SCRIPT_MAX);
    if (len < 3 || text[0] != '#' || text[1] != '!')
        return error_set(err, -EINVAL,
                         "line 1: a batch script begins with #! and the path of its interpreter, "
                         "such as #!/bin/sh");
    if (memchr(text, '\0', len) || !utf8_is_valid(text, len))
        return error_set(err, -EINVAL, "the script is no text");
    if (memchr(text, '\r', len))
        return error_set(err, -EINVAL,
                         "the script has the line breaks of DOS; mend it with: dos2unix FILE");
    return 0;
}

/* Does this line belong to the head of the script, where options are? */
static bool is_head(const char *p, const char *end)
{
    while (p < end && is_blank(*p))
        p++;
    return p == end || *p == '#';
}

int batch_script_parse(const char *text, size_t len, batch_options *ret, struct error *err)
{
    const char *p = text, *end = text + len;
    int r = check_script(text, len, err);

    for (unsigned line = 1; r >= 0 && p < end; line++) {
        const char *stop = memchr(p, '\n', (size_t) (end - p));
        size_t n = strlen(DIRECTIVE);
        if (!stop)
            stop = end;
        if (!is_head(p, stop))
            break;
        if ((size_t) (stop - p) > n && memcmp(p, DIRECTIVE, n) == 0 && is_blank(p[n]))
            r = read_line(p + n, stop, line, ret, err);
        p = stop < end ? stop + 1 : end;
    }
    return r < 0 ? r : 0;
}
