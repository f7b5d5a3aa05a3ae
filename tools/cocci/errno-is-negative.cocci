// Failure is a negative errno: `return errno` and `return EINVAL` read as success.
// files: \breturn[\s(]+(errno|E[A-Z0-9]+)\b|\berror_set\s*\([^;]*?,[\s(]*E[A-Z0-9]+\b
@@
@@
* return errno;

@@
identifier code =~ "^E[A-Z0-9]+$";
@@
* return code;

@@
identifier code =~ "^E[A-Z0-9]+$";
expression err;
expression list args;
@@
* error_set(err, code, args)
