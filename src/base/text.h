/* text.h - a growable byte string
 *
 * Invariant: data is NUL-terminated after the first addition; len never counts that NUL. An
 * all-zero struct text is valid and empty. Additions abort when memory is exhausted: callers
 * bound whatever comes from outside.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/cleanup.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct text {
    char *data;
    size_t len;
    size_t cap;
};

void text_add(struct text *t, const char *s);
void text_add_bytes(struct text *t, const void *bytes, size_t n);
void text_add_char(struct text *t, char c);
__attribute__((format(printf, 2, 3))) void text_addf(struct text *t, const char *fmt, ...);
__attribute__((format(printf, 2, 0))) void text_addv(struct text *t, const char *fmt, va_list ap);
/* Room for N more bytes at data + len; the caller then raises len itself. */
char *text_reserve(struct text *t, size_t n);
/* Drop the first N bytes. */
void text_consume(struct text *t, size_t n);
/* Empty it, keeping the memory. */
void text_clear(struct text *t);
void text_done(struct text *t);
/* The string, owned by the caller; the text is empty afterwards. Never NULL. */
char *text_take(struct text *t);
/* The string, owned by the text; "" when empty. */
static inline const char *text_str(const struct text *t) { return t->data ? t->data : ""; }

#define _cleanup_text_ _cleanup_(text_done)

/* Small helpers on C strings. */
bool str_equal(const char *a, const char *b); /* NULL equals only NULL */
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
/* fnmatch-like match with '*', '?' and '**' (crosses '/'); pure, linear in practice. */
bool str_glob(const char *pattern, const char *s);
/* Decimal number in [MIN, MAX], whole string; -EINVAL or -ERANGE otherwise. */
int str_to_i64(const char *s, long long min, long long max, long long *ret);
/* "512", "64Ki", "1.5Gi", "2G", "10MB" to bytes; "90", "90s", "15m", "2h", "7d" to seconds. */
int str_to_bytes(const char *s, long long *ret);
int str_to_seconds(const char *s, long long *ret);
/* 1536 -> "1.5 KiB"; 3725 -> "1h 2m 5s". BUF of at least 32 bytes is filled and returned. */
const char *bytes_to_str(long long bytes, char buf[static 32]);
const char *seconds_to_str(long long seconds, char buf[static 32]);
/* Thousandths: "2", "0.25". */
const char *milli_to_str(long long milli, char buf[static 32]);
/* Lower-case hex of N bytes into OUT (2N + 1 bytes), and back (-EINVAL on anything else). */
void hex_encode(const void *bytes, size_t n, char *out);
int hex_decode(const char *hex, void *out, size_t n);

#endif
