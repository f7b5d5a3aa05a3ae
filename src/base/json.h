/* json.h - JSON trees: jansson with our strictness, and readers that name the field they refuse
 *
 * Parsing rejects duplicate keys, anything after the value, NaN, lone surrogates and depth beyond
 * JSON_MAX_DEPTH. Trees are reference counted by jansson; _cleanup_json_ drops one reference.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define JSON_MAX_DEPTH 64

struct id;

static inline void json_decref_p(json_t **j) { json_decref(*j); }
#define _cleanup_json_ _cleanup_(json_decref_p)

/* Parse LEN bytes; the error names line, column and what was wrong. */
int json_parse(const char *bytes, size_t len, json_t **ret, struct error *err);
/* The line, from 1, on which the value at POINTER ("/nodes/3/name"; keys without '/') of a valid text begins, or the
 * innermost one around it that is there. */
size_t json_line(const char *bytes, size_t len, const char *pointer);
/* Compact text, keys in insertion order; owned by the caller, never NULL. */
char *json_text(const json_t *json);
/* The same over several lines, for people. */
char *json_pretty(const json_t *json);
/* Compact, with sorted keys: the form that is hashed. */
char *json_canonical(const json_t *json);
void text_add_json(struct text *t, const json_t *json);
/* S as a quoted JSON string. Bytes that are not UTF-8 become U+FFFD. */
void text_add_json_string(struct text *t, const char *s, size_t len);
/* A JSON string of LEN bytes of any origin: invalid UTF-8 becomes U+FFFD, NUL becomes U+2400. */
json_t *json_string_lossy(const char *s, size_t len);

/* Fields of an object; the default when the field is absent or null. The object has been checked
 * against its declaration before, so a wrong type reads as absent. */
const char *json_get_str(const json_t *obj, const char *key, const char *otherwise);
int64_t json_get_int(const json_t *obj, const char *key, int64_t otherwise);
double json_get_real(const json_t *obj, const char *key, double otherwise);
/* A number of which thousandths count, such as 0.25, in thousandths; -EINVAL: it is none, or has finer parts. */
int json_get_milli(const json_t *obj, const char *key, int64_t *ret);
bool json_get_bool(const json_t *obj, const char *key, bool otherwise);
/* Set, stealing VALUE; a NULL value (also json_string(NULL)) leaves the key out. */
void json_put(json_t *obj, const char *key, json_t *value);
void json_put_str(json_t *obj, const char *key, const char *value);
void json_put_int(json_t *obj, const char *key, int64_t value);
/* None, and the time 0, are left out. */
void json_put_id(json_t *obj, const char *key, const struct id *value);
void json_put_time(json_t *obj, const char *key, int64_t us);
/* MILLI thousandths as a number: 2, 0.25. */
void json_put_milli(json_t *obj, const char *key, int64_t milli);
/* Length of the valid UTF-8 sequence that S begins with, 1 to 4 bytes; 0 when there is none. */
size_t utf8_sequence(const char *s, size_t len);
/* Text that any program may have produced (YAML, a command line): valid UTF-8 or refused. */
bool utf8_is_valid(const char *s, size_t len);

#endif
