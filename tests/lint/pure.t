#!/bin/bash
# tools/check-pure refuses symbols that do I/O and symbols that LAYERS hides
. "$(dirname "$0")/lib.sh"

# The good tree is compiled once and copied back for each break.
reset() {
    if [ -d "$tree/good" ]; then
        rm -rf "${tree:?}/src" "$tree/tools" "$tree/build"
        cp -r "$tree"/good/* "$tree"
        return
    fi
    mkdir -p "$tree"/{src,tools,build/src}
    printf '%s\n' 'base:' 'os: base' 'fleet: base' 'store: base os fleet' >"$tree/src/LAYERS"
    printf '%s\n' 'folders: base fleet' '# harmless' 'strlen memcpy yaml_parser_*' >"$tree/tools/pure-symbols"
    library base 'unsigned long strlen(const char *); unsigned long length(const char *s) { return strlen(s); }'
    library os 'int open(const char *, int, ...); int os_open(void) { return open("/", 0); }'
    library fleet 'unsigned long length(const char *); int fleet_size(void) { return (int) length("x"); }'
    library store 'int os_open(void); int fleet_size(void); int store_x(void) { return os_open() + fleet_size(); }'
    mkdir "$tree/good" && cp -r "$tree/src" "$tree/tools" "$tree/build" "$tree/good"
}
library() { # library NAME SOURCE
    printf '%s\n' "$2" >"$tree/$1.c"
    gcc -O0 -fno-builtin -c -o "$tree/$1.o" "$tree/$1.c" && rm -f "$tree/build/src/lib$1.a" &&
        ar rcs "$tree/build/src/lib$1.a" "$tree/$1.o"
}
check() { "$tools/check-pure" "$tree/build" "$tree"; }

reset
passes 'a good tree' check
for symbol in time clock_gettime open openat getrandom rand pthread_create pthread_mutex_lock write read getenv fopen setlocale printf; do
    reset
    library fleet "long $symbol(void); long f(void) { return $symbol(); }"
    refuses "$symbol in a pure folder" "fleet \(fleet.o\) asks for $symbol:" check
done
reset
library fleet 'extern int os_open(void); int f(void) { return os_open(); }'
refuses 'a declaration by hand around the headers' 'fleet \(fleet.o\) uses os_open of os' check
reset
library os 'extern int store_x(void); int os_open(void) { return store_x(); }'
refuses 'a call upwards from a folder that does I/O' 'os \(os.o\) uses store_x of store' check
reset
rm "$tree"/build/src/*
refuses 'a build that never happened' 'build first' check

# The real list must not name what it is there to keep out.
for symbol in time clock_gettime gettimeofday open openat read write fopen getrandom rand random srand getenv setenv pthread_create \
    socket fork execve sleep usleep nanosleep printf puts getpid gethostname setlocale json_load_file json_dumpf json_dump_fd json_loadf; do
    words=$(sed 's/#.*//; /^folders:/d' "$tools/pure-symbols")
    listed=no
    set -f
    for word in $words; do
        # shellcheck disable=SC2254  # patterns on purpose
        case $symbol in $word) listed=yes ;; esac
    done
    set +f
    [ $listed = no ]
    report $? "tools/pure-symbols keeps out $symbol"
done
finish
