// The locale belongs to all threads: it is set once by a program's start, elsewhere uselocale() is used.
// except: src/main/
@@
@@
* setlocale(...)
