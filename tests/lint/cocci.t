#!/bin/bash
# Every rule of tools/cocci, and tools/check-cleanup, finds what it is there for, and nothing in code that is right
. "$(dirname "$0")/lib.sh"

# bad NAME PATTERN CODE [FILE]: the body of a function that a rule must find
bad() {
    rm -rf "$tree/src" && mkdir -p "$tree/src/fleet" "$tree/src/os" "$tree/src/main" "$tree/src/executor"
    printf 'int f(struct node *p, int x)\n{\n%b\n}\n' "$3" >"$tree/src/${4:-fleet/node.c}"
    refuses "$1" "src/${4:-fleet/node.c}:[0-9]+: .*$2" "${check:-$tools/check-cocci}" "$tree"
}
good() {
    rm -rf "$tree/src" && mkdir -p "$tree/src/fleet" "$tree/src/os" "$tree/src/main" "$tree/src/executor"
    printf 'int f(struct node *p, int x)\n{\n%b\n}\n' "$2" >"$tree/src/${3:-fleet/node.c}"
    passes "$1" "${check:-$tools/check-cocci}" "$tree"
}

bad 'a dropped error code' 'error-set-is-returned' '    error_set(err, -EINVAL, "no");\n    return -1;'
good 'a returned error code' '    return error_set(err, -EINVAL, "no");'
bad 'setlocale in a library' 'locale-is-fixed' '    setlocale(LC_ALL, "");\n    return 0;'
good 'setlocale where a program starts' '    setlocale(LC_ALL, "");\n    return 0;' main/main.c
bad 'fork in a library' 'fork-in-one-place' '    int pid = fork();\n    return pid;'
bad 'system' 'fork-in-one-place' '    return system(name);'
good 'fork in the executor' '    int pid = fork();\n    return pid;' executor/launcher.c
bad 'a lock' 'locks-in-one-place' '    pthread_mutex_lock(&lock);\n    return 0;'
good 'the lock of a queue' '    pthread_mutex_lock(&lock);\n    return 0;' os/queue.c
bad 'strcat' 'unbounded-text' '    strcat(buf, name);\n    return 0;'
bad 'sprintf' 'unbounded-text' '    (void) sprintf(buf, "%%s", name);\n    return 0;'
bad 'atoi' 'unbounded-text' '    return atoi(name);'
bad 'localtime' 'unbounded-text' '    tm = localtime(&t);\n    return 0;'
bad 'an unchecked allocation' 'unchecked-allocation' '    char *q = NULL;\n    q = malloc(x);\n    q[0] = 1;\n    return 0;'
good 'a checked allocation' '    char *q = NULL;\n    q = malloc(x);\n    if (!q)\n        return -ENOMEM;\n    q[0] = 1;\n    return 0;'
bad 'an unchecked allocation in a declaration' 'unchecked-allocation' '    char *q = malloc(x);\n    q[0] = 1;\n    return 0;'
good 'a checked one' '    char *q = malloc(x);\n    if (!q)\n        return -ENOMEM;\n    q[0] = 1;\n    return 0;'
bad 'an assertion with an effect' 'assert-without-effects' '    assert((x = g()) > 0);\n    return 0;'
bad 'an assertion that counts' 'assert-without-effects' '    assert(x++ > 0);\n    return 0;'
good 'an assertion' '    assert(x >= 0 && x == g());\n    return 0;'
bad 'a positive errno' 'errno-is-negative' '    return EINVAL;'
bad 'errno itself' 'errno-is-negative' '    return errno;'
bad 'a positive errno in an error' 'errno-is-negative' '    return error_set(err, ENOENT, "no %%d", x);'
good 'a negative errno' '    return x ? -errno : -ENOENT;'

check=$tools/check-cleanup
good 'cleanup used well' '    _cleanup_free_ char *a = g();\n    _cleanup_(node_freep) struct node *n = node_new();\n    _cleanup_close_ int fd = -1;\n    free(a);\n    a = NULL;\n    *ret = take_ptr(n);\n    return take_fd(&fd);'
bad 'no first value' 'a is not initialised' '    _cleanup_free_ char *a;\n    return 0;'
bad 'no first value of a struct' 'n is not initialised' '    _cleanup_(node_freep) struct node *n;\n    return 0;'
bad 'a value returned and released' 'a is released on the way out' '    _cleanup_free_ char *a = g();\n    return a;'
bad 'a value handed out and released' 'n is released on the way out' '    _cleanup_(node_freep) struct node *n = g();\n    *ret = n;\n    return 0;'
bad 'released twice' 'a is released here and again' '    _cleanup_free_ char *a = g();\n    free(a);\n    return 0;'
bad 'closed twice' 'fd is released here and again' '    _cleanup_close_ int fd = g();\n    close(fd);\n    return 0;'
bad 'destroyed twice' 'n is released here and again' '    _cleanup_(node_freep) struct node *n = g();\n    node_free(n);\n    return 0;'
finish
