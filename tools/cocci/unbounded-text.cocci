// Text without a bound, numbers without a check, time without thread safety.
// except: /test/ tests/
@@
@@
(
* strcat(...)
|
* sprintf(...)
|
* vsprintf(...)
|
* gets(...)
|
* strtok(...)
|
* atoi(...)
|
* atol(...)
|
* atoll(...)
|
* atof(...)
|
* gmtime(...)
|
* localtime(...)
|
* ctime(...)
|
* asctime(...)
|
* tmpnam(...)
|
* mktemp(...)
|
* alloca(...)
)
