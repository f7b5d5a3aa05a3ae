// An assertion states; what it does besides would be lost on readers, and in builds without it.
// files: \bassert\s*\([^;]*?([^=!<>]=[^=]|\+\+|--)
@@
expression x, y;
@@
(
* assert(<+... x = y ...+>)
|
* assert(<+... x++ ...+>)
|
* assert(<+... x-- ...+>)
|
* assert(<+... ++x ...+>)
|
* assert(<+... --x ...+>)
)
