/* resolv.c - which resolvers of the machine a container can use */
#include "network/internal.h"

/* The next blank-separated word of a line in [*P, END); its length, 0 at the end. */
static size_t next_word(const char **p, const char *end, const char **word)
{
    while (*p < end && (**p == ' ' || **p == '\t'))
        (*p)++;
    *word = *p;
    while (*p < end && **p != ' ' && **p != '\t' && **p != '\r')
        (*p)++;
    return (size_t) (*p - *word);
}

static bool word_is(const char *word, size_t len, const char *want)
{
    return len == strlen(want) && memcmp(word, want, len) == 0;
}

static void add_server(struct resolv *r, const char *word, size_t len)
{
    char text[16];
    uint32_t address;

    if (r->n_servers == RESOLV_MAX || len == 0 || len >= sizeof text)
        return;
    memcpy(text, word, len);
    text[len] = '\0';
    if (address_parse(text, &address) < 0 || address >> 24 == 127 || address == 0)
        return;
    r->servers[r->n_servers++] = address;
}

static bool is_domain_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
}

/* The last search line counts, as in resolv.conf(5). Words that are no domains are left out. */
static void set_search(struct resolv *r, const char *p, const char *end)
{
    const char *word;
    size_t used = 0;

    for (size_t len; (len = next_word(&p, end, &word)) > 0;) {
        size_t ok = 0;
        while (ok < len && is_domain_char(word[ok]))
            ok++;
        if (ok < len || used + len + 2 > sizeof r->search)
            continue;
        if (used)
            r->search[used++] = ' ';
        memcpy(r->search + used, word, len);
        used += len;
    }
    r->search[used] = '\0';
}

void resolv_parse(const char *bytes, size_t len, struct resolv *ret)
{
    const char *end = bytes + len;

    for (const char *line = bytes; line < end;) {
        const char *newline = memchr(line, '\n', (size_t) (end - line));
        const char *line_end = newline ? newline : end;
        const char *p = line, *word;
        size_t n = next_word(&p, line_end, &word);
        if (word_is(word, n, "nameserver")) {
            n = next_word(&p, line_end, &word);
            add_server(ret, word, n);
        } else if (word_is(word, n, "search")) {
            set_search(ret, p, line_end);
        }
        line = newline ? newline + 1 : end;
    }
}
