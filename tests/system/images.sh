# images.sh - small images and a real registry for tests; sourced after lib.sh
# shellcheck shell=sh disable=SC3043
#
# Images are made of busybox by umoci, registries are docker-registry filled by skopeo, so that everything
# Berth reads was written by others. What a file needs: berth_needs TOOL...

# busybox_tree DIR: a root with a shell and a second user
busybox_tree() {
    mkdir -p "$1/bin" "$1/etc" "$1/home/user" "$1/data" &&
        cp "$(command -v busybox)" "$1/bin/busybox" &&
        for applet in sh ls cat id env echo pwd stat touch grep sleep mkdir; do
            ln -s busybox "$1/bin/$applet"
        done &&
        printf 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n' >"$1/etc/passwd" &&
        printf 'root:x:0:\nuser:x:1000:\nstaff:x:50:user\n' >"$1/etc/group" &&
        chown 1000:1000 "$1/home/user"
}

# image_layer LAYOUT:TAG DIR: add what is in DIR as a layer; the image is made when it is not there
image_layer() {
    [ -d "${1%%:*}" ] || umoci init --layout "${1%%:*}" || return
    umoci stat --image "$1" >/dev/null 2>&1 || umoci new --image "$1" || return
    # The same bytes each time.
    tar -C "$2" --xattrs --sort=name --numeric-owner -cf layer.tar \
        --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime . &&
        umoci raw add-layer --image "$1" layer.tar && rm layer.tar
}

# image_config LAYOUT:TAG --config.…
image_config() {
    local image=$1
    shift
    umoci config --image "$image" "$@"
}

# layout_tar LAYOUT FILE
layout_tar() { umoci gc --layout "$1" && tar -C "$1" -cf "$2" .; }

registry_pid=

# registry_start [auth]: docker-registry at $REGISTRY; with `auth` user demo, password s3cret
registry_start() {
    local port
    port=$(free_port)
    REGISTRY=127.0.0.1:$port
    mkdir -p "$BERTH_TEST/registry"
    {
        echo 'version: 0.1'
        echo "storage: {filesystem: {rootdirectory: $BERTH_TEST/registry}, delete: {enabled: true}}"
        echo "http: {addr: '$REGISTRY'}"
        echo 'log: {level: error, accesslog: {disabled: false}}'
        [ "${1-}" != auth ] || echo "auth: {htpasswd: {realm: test, path: $BERTH_TEST/htpasswd}}"
    } >"$BERTH_TEST/registry.yml"
    # demo:s3cret
    # shellcheck disable=SC2016
    echo 'demo:$2y$05$W7v7.zc8Eog0cKcT9mkcS.c7IozLXEZill8mvjj67tcJ8ZKpNSSIS' >"$BERTH_TEST/htpasswd"
    docker-registry serve "$BERTH_TEST/registry.yml" >"$BERTH_TEST/registry.log" 2>&1 &
    registry_pid=$!
    await 20 curl -s -o /dev/null "http://$REGISTRY/v2/"
}

registry_stop() {
    [ -z "$registry_pid" ] || kill "$registry_pid" 2>/dev/null
    [ -z "$registry_pid" ] || wait "$registry_pid" 2>/dev/null
    registry_pid=
}

# registry_push LAYOUT:TAG REPOSITORY:TAG
registry_push() {
    skopeo --insecure-policy copy -q --dest-tls-verify=false --dest-creds demo:s3cret "oci:$1" \
        "docker://$REGISTRY/$2"
}

# Blobs that the registry gave away.
registry_blob_gets() { grep -c 'GET /v2/[^ ]*/blobs/' "$BERTH_TEST/registry.log"; }
