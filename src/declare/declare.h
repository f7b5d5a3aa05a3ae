/* declare.h - endpoints, resources and fields as data (DESIGN 7.6)
 *
 * Each file of src/api/NAME.json declares a resource once; tools/gen-declare turns them into the tables below at build
 * time. The server routes, validates and describes itself (OpenAPI) by them, the CLI makes flags,
 * help and file checks of them. docs/declarations.md describes the files.
 */
#ifndef DECLARE_DECLARE_H
#define DECLARE_DECLARE_H

#include "base/error.h"
#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum declare_kind {
    DECLARE_STRING,  /* min, max: bytes */
    DECLARE_INTEGER, /* min, max: value */
    DECLARE_NUMBER,
    DECLARE_BOOLEAN,
    DECLARE_BYTES,   /* an integer, or text such as "1.5Gi"; checked values are integers */
    DECLARE_SECONDS, /* an integer, or text such as "2h"; checked values are integers */
    DECLARE_TIME,    /* RFC 3339 */
    DECLARE_ID,      /* UUID */
    DECLARE_NAME,    /* base/id.h */
    DECLARE_SHA256,  /* 64 hex digits */
    DECLARE_COMMAND, /* argv, or one string that sh -c runs; checked values are arrays */
    DECLARE_OBJECT,
    DECLARE_ARRAY, /* min, max: items */
    DECLARE_MAP,   /* strings to ITEM; min, max: entries */
    DECLARE_ANY,
};

/* One step of a pattern: MIN to MAX characters of a set. */
struct declare_step {
    uint64_t set[2]; /* bit per ASCII character */
    unsigned min, max;
};

struct declare_field;

struct declare_type {
    const char *name; /* NULL: made on the spot for one field */
    const char *doc;
    enum declare_kind kind;
    int64_t min, max;
    const char *const *choices; /* the only strings allowed; NULL: any */
    const char *pattern;        /* as a regular expression, for people; NULL: none */
    const struct declare_step *steps;
    size_t n_steps;
    const struct declare_field *fields; /* of an object */
    size_t n_fields;
    const char *const *at_most_one;  /* of an object: fields that exclude each other */
    const struct declare_type *item; /* of an array or a map */
    const struct declare_type *key;  /* of a map: what its keys must be; NULL: any string */
    const char *const *flag_form;    /* of an object: its fields in the order of --flag A:B:C */
    const char *flag_operand;        /* "NAME:PORT[:PUBLISH]"; NULL: by kind */
};

struct declare_field {
    const char *name;
    const char *doc;
    const struct declare_type *type;
    bool required;
    bool nullable;
    const char *otherwise;   /* the default as JSON text; NULL: none */
    const char *flag;        /* the CLI's --flag; NULL: none */
    const char *flag_letter; /* "n" for -n; NULL: none */
    const char *example;     /* JSON text; NULL: none */
};

enum declare_role { DECLARE_PUBLIC, DECLARE_VIEWER, DECLARE_MEMBER, DECLARE_ADMIN };

struct declare_endpoint {
    const char *name; /* "job.create" */
    const char *method;
    const char *path; /* "/v1/projects/{project}/jobs"; a last "{path*}" takes what is left */
    enum declare_role role;
    bool cloud; /* needs a key of the whole cloud, not one of a project */
    const char *summary;
    const struct declare_type *params; /* object of path parameters */
    const struct declare_type *query;  /* object of query parameters */
    const struct declare_type *body;   /* NULL: none, or raw bytes when body_media is set */
    const char *body_media;            /* of a raw body */
    const struct declare_type *response;
    int status; /* of success */
};

extern const struct declare_endpoint declare_endpoints[];
extern const size_t declare_n_endpoints;
extern const struct declare_type *const declare_types[]; /* those with a name */
extern const size_t declare_n_types;
extern const char declare_openapi[]; /* the OpenAPI 3.1 document */
extern const size_t declare_openapi_len;

/* NULL when there is none. */
const struct declare_type *declare_type(const char *name);
const struct declare_endpoint *declare_endpoint(const char *name);
const struct declare_field *declare_field(const struct declare_type *object, const char *name);

/* Check VALUE in place: unknown and wrong fields are refused with -EINVAL, the field's path
 * ("ports[0].port"), the value and what would be right; defaults are filled in, nulls are dropped,
 * sizes, durations and commands get their one form (see enum declare_kind). Repeating it changes nothing. */
int declare_check(const struct declare_type *type, json_t *value, struct error *err);
/* The same for a merge patch: nothing is required, no default is filled in, null stays. */
int declare_check_patch(const struct declare_type *type, json_t *value, struct error *err);
/* TEXT (of a query, a path, a flag) as a value of TYPE; arrays take "a,b", maps "K=V,…",
 * objects with a flag form "A:B:C". Not checked yet. */
int declare_value_of(const struct declare_type *type, const char *text, json_t **ret,
                     struct error *err);

/* ---- routing --------------------------------------------------------------------------------- */

#define DECLARE_MAX_PARAMS 4

struct declare_match {
    const struct declare_endpoint *endpoint;
    struct {
        const char *start; /* inside the path, still percent-encoded */
        size_t len;
    } params[DECLARE_MAX_PARAMS]; /* in the order of endpoint->params->fields */
    unsigned methods; /* when the path is known but not the method: bits of enum declare_method */
};

enum declare_method { DECLARE_GET, DECLARE_POST, DECLARE_PUT, DECLARE_PATCH, DECLARE_DELETE };

/* 0, -ENOENT (no such path), -EOPNOTSUPP (RET->methods are allowed). HEAD finds what GET does. */
int declare_route(const char *method, const char *path, size_t path_len, struct declare_match *ret);

/* ---- flags ----------------------------------------------------------------------------------- */

#define DECLARE_FLAG_DEPTH 4

/* A flag stands for a field of an object or of one inside it. */
struct declare_flag {
    const struct declare_field *path[DECLARE_FLAG_DEPTH];
    unsigned depth;
};

/* Iterate over all flags of an object type: start with *POS = 0; false at the end. */
bool declare_next_flag(const struct declare_type *type, size_t *pos, struct declare_flag *ret);
/* By --name or -letter (without dashes). */
bool declare_find_flag(const struct declare_type *type, const char *name, struct declare_flag *ret);
/* Does it take a value? (Booleans do not.) */
static inline bool declare_flag_has_value(const struct declare_flag *flag)
{
    return flag->path[flag->depth - 1]->type->kind != DECLARE_BOOLEAN;
}
/* Set the field that FLAG stands for in OBJ; given again, arrays and maps grow and others are replaced.
 * TEXT NULL: true. Values are checked later, by declare_check(). */
int declare_set_flag(const struct declare_flag *flag, json_t *obj, const char *text,
                     struct error *err);
/* "SIZE", "DURATION", "A:B:C", "KEY=VALUE", …: what help shows after the flag. */
const char *declare_flag_operand(const struct declare_flag *flag);

#endif
