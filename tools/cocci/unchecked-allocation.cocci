// xnew and its family abort where memory ends; a plain allocation is one that is bounded from outside and checked.
// except: src/base/alloc.c /test/ tests/
// files: \b(malloc|calloc|realloc|strdup|strndup)\s*\(
@ assigned exists @
expression p;
position at;
@@
p = \(malloc@at\|calloc@at\|realloc@at\|strdup@at\|strndup@at\)(...)
... when != p
\( if (!p || ...) { ... } \| if (!p) { ... } \| if (p == NULL) { ... } \| if (p) { ... } \| if (p != NULL) { ... } \)

@ declared exists @
identifier p;
type T;
position at;
@@
T p = \(malloc@at\|calloc@at\|realloc@at\|strdup@at\|strndup@at\)(...);
... when != p
\( if (!p || ...) { ... } \| if (!p) { ... } \| if (p == NULL) { ... } \| if (p) { ... } \| if (p != NULL) { ... } \)

@@
expression p;
position at != assigned.at;
@@
* p = \(malloc@at\|calloc@at\|realloc@at\|strdup@at\|strndup@at\)(...)

@@
identifier p;
type T;
position at != declared.at;
@@
* T p = \(malloc@at\|calloc@at\|realloc@at\|strdup@at\|strndup@at\)(...);
