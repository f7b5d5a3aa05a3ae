#!/bin/bash
# tools/check-layers refuses every way around src/LAYERS
. "$(dirname "$0")/lib.sh"

reset() {
    rm -rf "${tree:?}"/*
    mkdir -p "$tree"/src/{base,os,fleet,placement/test,store,main}
    printf '%s\n' '# a comment' 'base:' 'os: base' 'fleet: base' 'placement: base fleet' 'store: base os fleet' \
        'main: base os fleet placement store' >"$tree/src/LAYERS"
    printf '#include "base/error.h"\n#include <stdio.h>\n#include <sys/stat.h>\n' >"$tree/src/fleet/fleet.h"
    printf '#include "fleet/fleet.h"\n#include "placement/internal.h"\n' >"$tree/src/placement/fit.c"
    printf '#include "fleet/fleet.h"\n#include "tests/tap.h"\n' >"$tree/src/placement/test/fit.c"
    printf "sources = files('fit.c')\nexternal = []\n" >"$tree/src/placement/meson.build"
}
check() { "$tools/check-layers" "$tree"; }

# in_placement NAME PATTERN LINE: a good tree with that one line more
in_placement() {
    reset
    printf '%b\n' "$3" >>"$tree/src/placement/fit.c"
    refuses "$1" "$2" check
}
in_meson() {
    reset
    printf '%b\n' "$3" >>"$tree/src/placement/meson.build"
    refuses "$1" "$2" check
}

reset
passes 'a good tree' check
in_placement 'a folder above' 'fit.c:3: placement may not use store' '#include "store/store.h"'
in_placement 'with a space after #' 'may not use store' '# include "store/store.h"'
in_placement 'with spaces before #' 'may not use store' '   #  include  "store/store.h"'
in_placement 'without a space' 'may not use store' '#include"store/store.h"'
in_placement 'behind a comment' 'may not use store' '/* x */ #/* y */include /* z */ "store/store.h"'
in_placement 'over two lines' 'may not use store' '#inc\\\nlude "store/store.h"'
in_placement 'as a digraph' 'may not use store' '%:include "store/store.h"'
in_placement 'by include_next' 'may not use store' '#include_next "store/store.h"'
in_placement 'by import' 'may not use store' '#import "store/store.h"'
in_placement 'in angle brackets' '<store/store.h> is ours' '#include <store/store.h>'
in_placement 'by ..' "without '.', '..'" '#include "../store/store.h"'
in_placement 'by .. further in' "without '.', '..'" '#include "fleet/../store/store.h"'
in_placement 'by .. in angle brackets' "without '.', '..'" '#include <fleet/../store/store.h>'
in_placement 'by .' "without '.', '..'" '#include "./fit.h"'
in_placement 'by an absolute path' "leading '/'" '#include "/usr/include/stdio.h"'
in_placement 'by a macro' 'name the header itself' '#define H "store/store.h"\n#include H'
in_placement 'without its folder' 'as "placement/fit.h"' '#include "fit.h"'
in_placement 'a private header' 'use the public header fleet/fleet.h' '#include "fleet/internal.h"'
in_placement 'a source file' 'only headers' '#include "placement/other.c"'
in_placement 'the test kit outside tests' 'for tests only' '#include "tests/tap.h"'
in_meson 'a library that LAYERS does not allow' 'may not link store' "external = [layer_deps['store']]"
in_meson 'every library' 'may not link every folder' 'external = layer_libs'
in_meson 'a library by hand' 'from src/LAYERS alone' "x = executable('x', 'x.c', link_with: lib)"
in_meson "another folder's file" 'its own files only' "sources += files('../store/sqlite.c')"

reset
printf '#include "store/store.h"\n' >>"$tree/src/placement/test/fit.c"
refuses 'a test of the folder' 'test/fit.c:3: placement may not use store' check
reset
mkdir "$tree/src/extra"
refuses 'a folder without a line' 'src/extra: has no line' check
reset
printf 'base: main\n' >>"$tree/src/LAYERS"
refuses 'a second line' 'base has two lines' check
reset
sed -i 's/^fleet: base/fleet: base store/' "$tree/src/LAYERS"
refuses 'a line that names a folder above it' 'fleet names store before its own line' check
finish
