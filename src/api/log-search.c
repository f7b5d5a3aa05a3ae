/* log-search.c - the lines of a log that have a text
 *
 * A page ends after so many lines or so many bytes that were looked at, whichever comes first, so that no search holds
 * a thread of the pool for long; the client goes on with the cursor.
 */
#include "api/internal.h"

#include "base/alloc.h"

#include <ctype.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 1 << 18, PAGE_BYTES = 32 << 20, SHOWN = 1000 };

struct search {
    struct call *call;
    char *path;
    char *wanted; /* folded where `any_case` */
    bool any_case;
    enum line_view view;
    uint64_t line; /* where the next page would begin */
    int64_t limit, found;
    bool more;
    struct text items; /* JSON objects with commas between */
};

static void search_free(struct search *s)
{
    text_done(&s->items);
    free(s->path);
    free(s->wanted);
    free(s);
}

static void fold(char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        s[i] = (char) tolower((unsigned char) s[i]);
}

/* RAW is the line as it is, LINE the same folded. */
static void look_at(struct search *s, const char *line, const char *raw, size_t len)
{
    if (!memmem(line, len, s->wanted, strlen(s->wanted)))
        return;
    text_addf(&s->items, "%s{\"line\":%llu,\"text\":", s->found ? "," : "",
              (unsigned long long) s->line);
    text_add_json_string(&s->items, raw, len < SHOWN ? len : SHOWN);
    text_add(&s->items, "}");
    s->found++;
}

/* Looks at the whole lines of BUF; returns how many bytes they are. A line that fills the buffer is looked at in
 * parts. */
static size_t look_at_lines(struct search *s, const char *buf, const char *raw, size_t n, bool last)
{
    size_t at = 0;

    while (at < n && s->found < s->limit) {
        const char *feed = memchr(buf + at, '\n', n - at);
        size_t len = feed ? (size_t) (feed - buf) - at : n - at;
        if (!feed && !last && n - at < PIECE)
            break;
        look_at(s, buf + at, raw + at, len);
        at += len + (feed != NULL);
        s->line += feed || last;
    }
    return at;
}

static void search(void *item)
{
    struct search *s = item;
    _cleanup_free_ char *raw = xcalloc(1, PIECE), *folded = s->any_case ? xcalloc(1, PIECE) : NULL;
    struct line_file f;
    ssize_t n;

    line_file_open(s->path, s->view, &f);
    int64_t offset = line_file_find(&f, s->line), stop = offset + PAGE_BYTES;
    while (s->found < s->limit && offset < stop && f.fd >= 0 &&
           (n = line_file_read(&f, raw, PIECE, offset)) > 0) {
        if (folded)
            fold(memcpy(folded, raw, (size_t) n), (size_t) n);
        size_t used =
            look_at_lines(s, folded ? folded : raw, raw, (size_t) n, offset + n >= f.size);
        if (used == 0)
            break;
        offset += (int64_t) used;
    }
    s->more = offset < f.size;
    line_file_done(&f);
}

static void searched(void *item)
{
    struct search *s = item;
    struct call *call = s->call;
    _cleanup_text_ struct text answer = { 0 };

    text_addf(&answer, "{\"items\":[%s]", text_str(&s->items));
    if (s->more)
        text_addf(&answer, ",\"next\":\"%llu\"", (unsigned long long) s->line);
    text_add(&answer, "}");
    search_free(s);
    call_answer_text(call, 200, answer.data, answer.len);
}

static void search_log(struct call *call, const struct workload *w, const struct attempt *attempt)
{
    struct search *s = xnew(struct search);

    *s =
        (struct search){ .call = call,
                         .path = attempt ? attempt_path(call->api, task_asked(call, attempt), "log")
                                         : xstrdup("/dev/null"),
                         .wanted = xstrdup(json_get_str(call->query, "text", "")),
                         .view = line_view_of(call->query),
                         .any_case = json_get_bool(call->query, "any_case", false),
                         .line = (uint64_t) json_get_int(call->query, "cursor", 0),
                         .limit = json_get_int(call->query, "limit", 100) };
    if (s->any_case)
        fold(s->wanted, strlen(s->wanted));
    pool_submit(call->api->options.pool, search, searched, s);
}

void log_search(struct call *call) { attempt_find(call, search_log); }
