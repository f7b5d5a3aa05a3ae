#!/bin/sh
test_description='images are built: of packages, by a Dockerfile'
. "$(dirname "$0")/lib.sh"
. "$BERTH_SOURCE/tests/system/images.sh"
berth_needs mmdebstrap dpkg-deb skopeo umoci busybox docker-registry
berth_start
repo=$BERTH_TEST/repo # apt wants a path without spaces

# package NAME DEPENDS: into the repository; what is in NAME/ is its content
package() {
    mkdir -p "$1/DEBIAN" "$repo" &&
        printf 'Package: %s\nVersion: 1.0\nArchitecture: all\nMaintainer: Test <test@example.org>\nDepends: %s\nDescription: for a test\n' \
            "$1" "$2" | sed '/^Depends: $/d' >"$1/DEBIAN/control" &&
        dpkg-deb --root-owner-group -b "$1" "$repo/$1.deb" >/dev/null &&
        {
            cat "$1/DEBIAN/control" &&
                printf 'Filename: ./%s.deb\nSize: %s\nSHA256: %s\n\n' "$1" "$(stat -c %s "$repo/$1.deb")" \
                    "$(sha256sum "$repo/$1.deb" | cut -d " " -f 1)"
        } >>"$repo/Packages"
}

test_expect_success 'a repository of two packages' '
    busybox_tree shell && package shell "" && mkdir -p words/usr/share/words && echo built >words/usr/share/words/word &&
    package words shell && chmod -R a+rX "$repo"
'

test_expect_success 'an image of a package and what it depends on' '
    berth image build made:1 --packages words --suite ./ --mirror "deb [trusted=yes] copy:$repo ./" -- \
        --variant=extract >digest 2>err &&
    grep "^sha256:" digest && grep "localhost/made:1 is here" err &&
    berth run --source none --image made:1 -- cat /usr/share/words/word >out && echo built >expected && test_cmp expected out
'

test_expect_success 'what cannot be built is not there, and nothing is left' '
    mkdir tmp && test_expect_code 1 env TMPDIR="$PWD/tmp" berth image build broken:1 --packages none-such --suite ./ \
        --mirror "deb [trusted=yes] copy:$repo ./" -- --variant=extract 2>err &&
    grep "none-such" err && grep "mmdebstrap ended with code" err &&
    test -z "$(ls tmp)" && test_expect_code 3 berth image show broken:1
'

test_expect_success 'one of the two is said, and only one' '
    test_expect_code 2 berth image build x:1 2>err && grep "either --packages NAMES or --dockerfile DIR" err &&
    test_expect_code 2 berth image build x:1 --packages a --dockerfile . 2>err && grep either err &&
    test_expect_code 2 berth image build x:1 --dockerfile none 2>err && grep "no directory" err
'

if command -v buildah >/dev/null; then
    test_set_prereq BUILDAH
fi
printf '[storage]\ndriver = "vfs"\ngraphroot = "%s"\nrunroot = "%s"\n' "$BERTH_TEST/graph" "$BERTH_TEST/graph.run" >storage.conf
export CONTAINERS_STORAGE_CONF="$PWD/storage.conf"

test_expect_success BUILDAH 'a Dockerfile on a base from a registry with a password; its config is honoured' '
    registry_start auth && echo s3cret | berth image login "$REGISTRY" --username demo --password-stdin &&
    berth image push made:1 "$REGISTRY/lib/base:1" && mkdir context && echo copied >context/file &&
    printf "FROM %s\nCOPY --chown=1000:1000 file /data/file\nENV GREETING=hello\nUSER user\nWORKDIR /data\nENTRYPOINT [\"/bin/echo\", \"said:\"]\nCMD [\"default\"]\n" \
        "$REGISTRY/lib/base:1" >context/Dockerfile &&
    printf "{\"auths\":{\"%s\":{\"auth\":\"%s\"}}}" "$REGISTRY" "$(printf demo:s3cret | base64)" >auth.json &&
    REGISTRY_AUTH_FILE=$PWD/auth.json berth image build made:2 --dockerfile context -- --tls-verify=false &&
    berth run --source none --image made:2 >out && echo "said: default" >expected && test_cmp expected out &&
    berth run --source none --image made:2 -- other words >out && echo "said: other words" >expected && test_cmp expected out
'

test_expect_success BUILDAH 'env, user and workdir are those of the image' '
    printf "FROM %s\nENTRYPOINT []\nCMD [\"/bin/sh\", \"-c\", \"id -u; pwd; echo \$GREETING; cat file\"]\n" localhost/made:2 >context/Dockerfile &&
    berth image push made:2 "$REGISTRY/lib/base:2" && sed -i "s|localhost/made:2|$REGISTRY/lib/base:2|" context/Dockerfile &&
    REGISTRY_AUTH_FILE=$PWD/auth.json berth image build made:3 --dockerfile context -- --tls-verify=false &&
    berth run --source none --image made:3 >out && printf "1000\n/data\nhello\ncopied\n" >expected && test_cmp expected out
'

registry_stop
test_done
