#!/bin/sh
test_description='what comes out of a job does not steer the terminal that shows it'
. "$(dirname "$0")/lib.sh"
berth_start

# on_terminal COMMAND...: its output on a pseudo-terminal
on_terminal() { LC_ALL=C.UTF-8 timeout 20 /usr/bin/python3 terminal.py "$@"; }
cat >terminal.py <<'END'
import os, pty, sys
with open("shown", "wb") as f:
    def keep(fd):
        data = os.read(fd, 4096)
        f.write(data)
        return data
    status = pty.spawn(sys.argv[1:], keep, lambda fd: b"")
sys.exit(os.waitstatus_to_exitcode(status))
END
# What may be shown: text, and sequences of ours that set colours and erase lines.
is_harmless() {
    /usr/bin/python3 -c "
import re, sys
left = re.sub(rb'\x1b\[[0-9;:]*[mK]', b'', open('shown', 'rb').read())
sys.exit(repr(left) if re.search(rb'[\x00-\x07\x0b\x0c\x0e-\x1f\x7f]|\xc2[\x80-\x9f]', left) else 0)"
}

printf '\033[31mred\033[0m 10%%\r100%%\n\033]0;title\007\033[2J\033[5A\302\2332Jx\033P1$q\033\\\033[6n\033[?1049h\007end\n' >evil.txt
mkdir app && cp evil.txt app/

test_expect_success 'a job prints what steers terminals' '
    berth run --source app --name evil --tag "note=$(printf "\033]0;tag\007")" -- cat evil.txt >raw 2>err &&
    cmp raw evil.txt
'

test_expect_success 'on a terminal colours pass and the rest is text' '
    on_terminal berth logs evil >/dev/null && is_harmless &&
    grep -F "$(printf "\033[31mred\033[0m 10%%")" shown && grep -F "\\x1b]0;title\\x07\\x1b[2J\\x1b[5A" shown &&
    grep -F "\\x07end" shown &&
    on_terminal berth logs --follow evil >/dev/null && is_harmless && grep -F "\\x07end" shown &&
    on_terminal berth logs --search end evil >/dev/null && is_harmless &&
    on_terminal berth run --source app --name evil2 -- cat evil.txt >/dev/null && is_harmless && grep -F "\\x07end" shown
'

test_expect_success 'raw is raw, and so is a pipe' '
    on_terminal berth logs --raw evil >/dev/null && grep -F "$(printf "\033]0;title\007")" shown >/dev/null &&
    berth logs evil >raw && cmp raw evil.txt && berth logs --follow evil >raw && cmp raw evil.txt
'

test_expect_success 'tags, commands, events and names are text too' '
    test_expect_code 2 berth run --source none --name "$(printf "a\033[2J")" -- true 2>err && ! grep "$(printf "\033")" err &&
    berth run --source none --detach --name live -- sleep 600 &&
    await 20 sh -c "berth job show live -o json | jq -e \".state == \\\"running\\\"\"" &&
    berth exec live -- printf "%s" "$(printf "\033]0;typed\007\302\233")" >/dev/null &&
    for command in "job show evil" "job list" "job show evil -o json" "job show evil -o yaml" "event list --all" \
        "event list --job live -o json" "event list --job live -o yaml" "why evil" "job record evil" "job sessions live"; do
        on_terminal berth $command >/dev/null && is_harmless || { echo "$command"; cat -v shown; return 1; }
    done
'

test_expect_success 'what a command in the job says in errors is text' '
    test_expect_code 127 berth exec live -- "$(printf "no\033[2J")" 2>err && ! grep "$(printf "\033")" err &&
    test_must_fail berth cp "live:/no$(printf "\033[2J")" . 2>err && ! grep "$(printf "\033")" err &&
    berth stop --grace 0 --wait live
'

test_done
