# lib.sh - machines of one's own: a bare Debian in a directory, entered like another computer
# shellcheck shell=sh disable=SC3043
#
# For tests of the deep suite (tools/check-deep machines), which take minutes and need a mirror of Debian.
# BERTH_MIRROR names one; default: the first that this machine's apt uses.

BERTH_SOURCE=$(cd "$(dirname "$0")/../.." && pwd)
: "${BERTH_BUILD:=$BERTH_SOURCE/build}"
DEEP_CACHE=$BERTH_SOURCE/build-deep
export BERTH_BUILD BERTH_SOURCE DEEP_CACHE
SHARNESS_BUILD_DIRECTORY=$BERTH_BUILD
export SHARNESS_BUILD_DIRECTORY
. /usr/share/sharness/sharness.sh

DEEP_DIR=$(mktemp -d --tmpdir=/tmp --suffix=.berth-deep)
chmod 0755 "$DEEP_DIR"
deep_holder=

skip_unless() { # skip_unless REASON COMMAND...
    local reason=$1
    shift
    "$@" >/dev/null 2>&1 && return
    skip_all=$reason
    test_done
}

deep_begin() {
    skip_unless 'needs root' test "$(id -u)" -eq 0
    skip_unless 'mmdebstrap is not installed (tools/install-deps deep)' command -v mmdebstrap
    : "${BERTH_MIRROR:=$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 'Codename: bookworm' 2>/dev/null | head -n 1)}"
    skip_unless "no mirror of Debian answers (BERTH_MIRROR=$BERTH_MIRROR)" \
        curl -sfL -m 20 -o /dev/null "${BERTH_MIRROR%/}/dists/bookworm/Release"
    mkdir -p "$DEEP_CACHE"
}

# deep_root NAME PACKAGES [VARIANT]: unpacks a Debian 12 with PACKAGES (comma list) into $DEEP_DIR/NAME. Made
# once a day: build-deep/ keeps the archive.
deep_root() {
    local name=$1 packages=$2 variant=${3:-minbase} archive
    archive=$DEEP_CACHE/$(date +%F)-$(printf '%s %s' "$packages" "$variant" | cksum | cut -d' ' -f1).tar
    if [ ! -f "$archive" ]; then
        find "$DEEP_CACHE" -name '*.tar' ! -name "$(date +%F)-*" -delete
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin mmdebstrap --quiet --mode=root --variant="$variant" --include="$packages" --aptopt='APT::Install-Recommends "false"' \
            bookworm "$DEEP_CACHE/new.tar" "$BERTH_MIRROR" 3>&- 4>&- 5>&- 6>&- 7>&- && mv "$DEEP_CACHE/new.tar" "$archive" || return 1
    fi
    mkdir "$DEEP_DIR/$name" && tar -C "$DEEP_DIR/$name" -xpf "$archive"
}

# deep_enter NAME: processes and mounts of its own, the root filesystem turned into NAME; stays until the test
# ends. chroot would not do: the kernel refuses user namespaces in one. DEEP_NET=none: with a network that leads
# nowhere.
deep_enter() {
    local root=$DEEP_DIR/$1
    cp /etc/resolv.conf /etc/hosts "$root/etc/"
    # Authorities that this machine trusts beyond Debian's: what stands between it and the registries.
    mkdir -p "$root/usr/local/share/ca-certificates"
    find /usr/local/share/ca-certificates -name '*.crt' -exec cp -t "$root/usr/local/share/ca-certificates" {} +
    mkfifo "$DEEP_DIR/ready"
    # shellcheck disable=SC2016  # the inner shell expands
    unshare --mount --pid ${DEEP_NET:+--net} --fork --kill-child --propagation private sh -ec '
        mount --bind "$1" "$1"
        mount -t proc proc "$1/proc"
        mount --rbind /sys "$1/sys"
        mount --rbind /dev "$1/dev"
        mount -t tmpfs -o mode=755 none "$1/run"
        mount -t tmpfs none "$1/tmp"
        exec 3>"$2"
        [ -z "$3" ] || { ip link set lo up && mount -t sysfs none "$1/sys" && mount --rbind /sys/fs/cgroup "$1/sys/fs/cgroup"; }
        cd "$1"
        mkdir -p .old
        pivot_root . .old
        umount -l /.old
        rmdir /.old
        echo in >&3
        exec 3>&-
        exec sleep infinity' enter "$root" "$DEEP_DIR/ready" "${DEEP_NET:-}" &
    deep_holder=$!
    read -r _ <"$DEEP_DIR/ready" && deep_inside=$(pgrep -P "$deep_holder")
}

# deep_run COMMAND...: in the machine that was entered, as its root, with nothing of this environment
deep_run() {
    nsenter --target "$deep_inside" --mount --pid --net --root --wd env -i HOME=/root TERM=dumb \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

# deep_user USER SHELL-COMMAND: as after a login of USER
deep_user() { deep_run su - "$1" -c "$2"; }

deep_end() {
    [ -z "$deep_holder" ] || { kill -KILL "$deep_holder"; wait "$deep_holder" 2>/dev/null; }
    if [ -n "${BERTH_KEEP:-}" ]; then
        echo "# kept: $DEEP_DIR" >&2
    else
        rm -rf --one-file-system "$DEEP_DIR"
    fi
}

free_port() {
    /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

trap 'code=$?; deep_end; (exit $code); die' EXIT
trap 'exit 1' INT TERM HUP
