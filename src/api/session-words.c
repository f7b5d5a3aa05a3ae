/* session-words.c - commands as they go on record, without the secrets that people type into them
 *
 * A guess, on the side of leaving out: `NAME=VALUE`, `NAME: VALUE`, `--name VALUE` where the name says
 * secret, token, password, … and the password of a URL. What comes as input is never looked at, so that is
 * the way for a secret.
 */
#include "api/session.h"

#include "base/alloc.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define LEFT_OUT "..."

/* As a word of its own at its end: HF_TOKEN and --api-key, not --tokenizer. */
static bool is_secret_name(const char *name, size_t len)
{
    static const char *const words[] = { "secret",     "token",        "password",    "passwd",
                                         "passphrase", "apikey",       "api_key",     "api-key",
                                         "access_key", "access-key",   "private_key", "credential",
                                         "cookie",     "authorization" };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t n = strlen(words[i]);
        for (size_t at = 0; at + n <= len; at++)
            if (strncasecmp(name + at, words[i], n) == 0 &&
                (at + n == len || !isalpha((unsigned char) name[at + n])))
                return true;
    }
    return false;
}

static size_t name_len(const char *p)
{
    size_t n = 0;

    while (isalnum((unsigned char) p[n]) || p[n] == '_' || p[n] == '-')
        n++;
    return n;
}

/* Of a value: up to its quote, or to what ends a word of a shell. */
static size_t value_len(const char *p, bool to_line_end)
{
    if (*p == '"' || *p == '\'') {
        const char *end = strchr(p + 1, *p);
        return end ? (size_t) (end - p) + 1 : strlen(p);
    }
    return to_line_end ? strcspn(p, "\"'\n") : strcspn(p, " \t\n;&|\"'");
}

/* "://user:password@": how much of P the password is, after *RET_BEFORE bytes. */
static size_t password_len(const char *p, size_t *ret_before)
{
    size_t user = strcspn(p + 3, ":/@ \t\n\"'");

    if (p[3 + user] != ':')
        return 0;
    *ret_before = 3 + user + 1;
    size_t len = strcspn(p + *ret_before, "/@ \t\n\"'");
    return p[*ret_before + len] == '@' ? len : 0;
}

/* After a name, what stands between it and its value; 0: it has none. */
static size_t separator_len(const char *p)
{
    if (*p == '=')
        return 1;
    return *p == ':' ? 1 + strspn(p + 1, " \t") : 0;
}

static void add_line(struct text *out, const char *p)
{
    while (*p) {
        size_t before = 0, len = name_len(p), between = separator_len(p + len);
        if (len && between && is_secret_name(p, len)) {
            before = len + between;
            len = value_len(p + before, p[len] == ':');
        } else if (len && (p[len] == ' ' || p[len] == '\t') && p[0] == '-' && p[1] == '-' &&
                   is_secret_name(p, len)) {
            before = len + strspn(p + len, " \t");
            len = value_len(p + before, false);
        } else if (strncmp(p, "://", 3) == 0 && password_len(p, &before)) {
            len = password_len(p, &before);
        } else {
            len = len ? len : 1;
            text_add_bytes(out, p, len);
            p += len;
            continue;
        }
        text_add_bytes(out, p, before);
        text_add(out, len ? LEFT_OUT : "");
        p += before + len;
    }
}

static json_t *line(const char *words)
{
    _cleanup_text_ struct text t = { 0 };

    add_line(&t, words);
    return json_string_lossy(text_str(&t), t.len);
}

static bool announces_secret(const char *word)
{
    return *word == '-' && name_len(word) == strlen(word) && is_secret_name(word, strlen(word));
}

json_t *session_words(const json_t *command)
{
    const json_t *word;
    json_t *list;
    bool hidden = false;
    size_t i;

    if (json_is_string(command))
        return line(json_string_value(command));
    list = json_array();
    json_array_foreach(command, i, word) {
        const char *text = json_string_value(word) ? json_string_value(word) : "";
        (void) json_array_append_new(list, hidden ? json_string(LEFT_OUT) : line(text));
        hidden = !hidden && announces_secret(text);
    }
    return list;
}
