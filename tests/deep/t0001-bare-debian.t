#!/bin/sh
test_description='a Debian that has nothing but make and sudo: the first ten minutes of an ordinary user'
. "$(dirname "$0")/lib.sh"

deep_begin
port=$(free_port)

test_expect_success 'a bare Debian 12 with a user who has a private home and sudo' '
    deep_root bare make,sudo,passwd && deep_enter bare &&
    deep_run useradd -m -s /bin/bash alice && deep_run chmod 0700 /home/alice &&
    deep_run sh -c "echo \"alice ALL=(ALL) NOPASSWD: ALL\" >/etc/sudoers.d/alice" &&
    mkdir "$DEEP_DIR/bare/home/alice/berth" &&
    (cd "$BERTH_SOURCE" && git ls-files -z --cached --others --exclude-standard | xargs -0 tar -cf -) | tar -C "$DEEP_DIR/bare/home/alice/berth" -xf - &&
    deep_run chown -R alice: /home/alice
'

# make_alice TARGET: what alice types, on a port that nobody else has
make_alice() { deep_user alice "cd berth && BERTH_LISTEN=127.0.0.1:$port $*"; }

test_expect_success 'make run brings in what is missing, and ends with a trained model' '
    make_alice make run >run.out 2>&1 || { cat run.out; false; }
    grep "^installing .*crun" run.out &&
    grep "val_loss  *last" run.out &&
    grep "^model.gguf" run.out
'

test_expect_success 'the key is hers alone' '
    deep_user alice "stat -c \"%U %a\" .config/berth/config.yaml" >mode &&
    echo "alice 600" >want && test_cmp want mode &&
    make_alice build/berth ps --all >ps.out && grep "tiny-gpt *succeeded" ps.out
'

test_expect_success 'a second make run installs, builds and trains nothing' '
    make_alice make run >again.out 2>&1 &&
    ! grep -E "^installing|^running" again.out && grep "It ran before" again.out
'

test_expect_success 'make stop ends the server; jobs are listed no more' '
    make_alice make stop && ! deep_run pgrep -f "berth server" &&
    test_must_fail make_alice build/berth ps 2>err && grep -i "server" err
'

test_expect_success 'with sudo before make: the same state, the key still hers, no file of root in her tree' '
    make_alice "touch src/main/main.c && sudo env BERTH_LISTEN=127.0.0.1:$port make run" >sudo.out 2>&1 || { cat sudo.out; false; }
    deep_run find /home/alice ! -user alice >foreign && test_must_be_empty foreign &&
    test_must_fail deep_user root "test -e .config/berth" &&
    make_alice build/berth ps --all >ps.out && grep "tiny-gpt *succeeded" ps.out &&
    make_alice sudo make stop && ! deep_run pgrep -f "berth server"
'

test_done
