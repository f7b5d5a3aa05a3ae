#!/bin/bash
# tools/check-sizes refuses what is too large to read in one sitting
. "$(dirname "$0")/lib.sh"

reset() {
    rm -rf "${tree:?}"/*
    mkdir -p "$tree"/src/fleet/test
    {
        echo 'int six(int a, int b, int c, int d, int (*e)(int, int), int f)'
        echo '{'
        for i in $(seq 14); do echo "    if (a == $i) return b;"; done
        for _ in $(seq 62); do echo '    a++;'; done
        echo '    return e(a, b);'
        echo '}'
    } >"$tree/src/fleet/node.c"
}
check() { "$tools/check-sizes" "$tree"; }

reset
passes 'a function at every limit' check
reset
sed -i 's/^    a++;$/    a++;\n    b++;/' "$tree/src/fleet/node.c"
refuses 'a long function' 'src/fleet/node.c:1: six: [0-9]+ lines, at most 80' check
reset
sed -i '0,/^    a++;$/s//    if (c) return 1;/' "$tree/src/fleet/node.c"
refuses 'a complex function' 'six: complexity 16, at most 15' check
reset
printf 'int seven(int a, int b, int c,\n          int d, int e, int f, /* , */ int g)\n{\n    return a;\n}\n' >>"$tree/src/fleet/node.c"
refuses 'seven parameters' 'seven: 7 parameters, at most 6' check
reset
printf 'int six_and_error(int a, int b, int c, int d, int e, int f, struct error *err)\n{\n    return a;\n}\n' >>"$tree/src/fleet/node.c"
passes 'six parameters and the error' check
reset
for _ in $(seq 1001); do echo; done >"$tree/src/fleet/fleet.h"
refuses 'a long file' 'src/fleet/fleet.h: 1001 lines, at most 1000' check
reset
cp "$tree/src/fleet/node.c" "$tree/src/fleet/test/node.c"
sed -i 's/^    a++;$/    a++;\n    b++;/' "$tree/src/fleet/test/node.c"
passes 'a long test' check
finish
