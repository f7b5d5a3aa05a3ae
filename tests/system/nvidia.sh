# nvidia.sh - an NVIDIA driver made of harmless parts; sourced after lib.sh
# shellcheck shell=sh disable=SC3043
#
# A tree as the real driver leaves it: what its kernel module says in /proc, libraries of its version in a
# directory where no loader looks by itself, the loader's cache that names them, and programs. Device
# nodes are copies of /dev/null and /dev/zero. Nothing of it is Berth's but the library with NVML's names
# (src/probe/test/fake-nvml.c).

# fake_driver DIR: two GPUs, as fake-nvml.c has them; their nodes are made by nvidia-modprobe, later
fake_driver() {
    local lib=$1/usr/lib/nvidia gpu n=0 version=535.261.03
    mkdir -p "$lib" "$1/usr/bin" "$1/etc" "$1/dev" "$1/proc/driver/nvidia" &&
        echo "NVRM version: NVIDIA UNIX x86_64 Kernel Module  $version  Tue Jul 29 12:00:00 UTC 2025" \
            >"$1/proc/driver/nvidia/version" || return
    for gpu in 0000:1b:00.0 0000:ab:00.0; do
        mkdir -p "$1/proc/driver/nvidia/gpus/$gpu" &&
            printf 'Model: \t\t NVIDIA H100\nGPU UUID: \t GPU-00000000-0000-0000-0000-00000000000%d\nDevice Minor: \t %d\n' \
                $n $n >"$1/proc/driver/nvidia/gpus/$gpu/information" || return
        n=$((n + 1))
    done
    cc -shared -fPIC -o "$lib/libnvidia-ml.so.$version" -Wl,-soname,libnvidia-ml.so.1 \
        "$BERTH_SOURCE/src/probe/test/fake-nvml.c" &&
        cc -shared -fPIC -o "$lib/libcuda.so.$version" -Wl,-soname,libcuda.so.1 -x c - <<-\END &&
	int cuInit(unsigned flags);
	int cuInit(unsigned flags) { return flags != 0; }
	END
        cc -shared -fPIC -o "$lib/libnvidia-old.so.1" -Wl,-soname,libnvidia-old.so.1 -x c - </dev/null &&
        cc -o "$1/usr/bin/nvidia-smi" -x c - <<-\END || return
	#include <dlfcn.h>
	#include <stdio.h>
	int main(void)
	{
	    void *ml = dlopen("libnvidia-ml.so.1", RTLD_NOW), *cuda = dlopen("libcuda.so.1", RTLD_NOW), *gpu;
	    int (*handle)(unsigned, void **), (*uuid)(void *, char *, unsigned), (*init)(unsigned);
	    char text[96];
	    if (!ml || !cuda)
	        return puts(dlerror()), 1;
	    *(void **) &handle = dlsym(ml, "nvmlDeviceGetHandleByIndex_v2");
	    *(void **) &uuid = dlsym(ml, "nvmlDeviceGetUUID");
	    *(void **) &init = dlsym(cuda, "cuInit");
	    if (init(0) || handle(0, &gpu) || uuid(gpu, text, sizeof text))
	        return 1;
	    return puts(text) < 0;
	}
	END
    cat >"$1/usr/bin/nvidia-modprobe" <<-END &&
	#!/bin/sh
	echo "\$*" >>"$1/modprobe.args"
	cd "$1/dev" && mknod nvidia0 c 1 5 && mknod nvidia1 c 1 5 && mknod nvidiactl c 1 3 &&
	    mknod nvidia-uvm c 1 3
	END
        chmod 0755 "$1/usr/bin/nvidia-modprobe" && echo /usr/lib/nvidia >"$1/etc/ld.so.conf" &&
        /sbin/ldconfig -r "$1"
}

# glibc_tree DIR: a root with busybox, the C library and ldconfig
glibc_tree() {
    local file
    busybox_tree "$1" && mkdir -p "$1/sbin" "$1/usr/bin" && cp /sbin/ldconfig "$1/sbin/" || return
    for file in $(ldd "$2" | grep -o '/[^ ]*'); do
        mkdir -p "$1${file%/*}" && cp -L "$file" "$1$file" || return
    done
}
