#!/bin/bash
# examples/tiny-gpt by two tasks: what they make together is what one makes alone
. "$(dirname "$0")/../lint/lib.sh"
here=$(cd "$(dirname "$0")" && pwd)
export OMP_NUM_THREADS=1
port=$(/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
train() { # train OUT [FLAG...]
    local out=$1
    shift
    exec /usr/bin/python3 "$here/../../examples/tiny-gpt/train.py" --out "$tree/$out" --steps 30 --save-every 10 "$@"
}
rank() { # rank RANK OUT [FLAG...]
    local rank=$1
    shift
    RANK=$rank WORLD_SIZE=2 MASTER_PORT=$port train "$@"
}

(train alone) >"$tree/alone.log" 2>&1
report $? 'one task trains alone' "$(cat "$tree/alone.log")"
rank 1 second >"$tree/second.log" 2>&1 &
second=$!
(rank 0 first) >"$tree/first.log" 2>&1 && wait "$second"
report $? 'two tasks train together' "$(cat "$tree/first.log" "$tree/second.log")"
"$here/../../examples/tiny-gpt/compare.py" "$tree/alone/checkpoint.npz" "$tree/first/checkpoint.npz" >"$tree/compare.log" 2>&1
report $? 'their weights are those of the one, up to rounding' "$(cat "$tree/compare.log")"
[ -z "$(ls "$tree/second")" ] && ! grep -q chart "$tree/second.log"
report $? 'results and charts are of rank 0 alone'

# The gradient of one task alone, or of the wrong half, would not do.
(train other --batch 8) >"$tree/other.log" 2>&1
! "$here/../../examples/tiny-gpt/compare.py" "$tree/alone/checkpoint.npz" "$tree/other/checkpoint.npz" >/dev/null
report $? 'half of each batch is another model'

# Whoever is asked to stop, both do after the same step; one alone goes on from there.
rm -r "$tree/first" "$tree/second"
coproc trainer { rank 0 first; }
first=$trainer_PID
rank 1 second >"$tree/second.log" 2>&1 &
second=$!
while read -r line <&"${trainer[0]}"; do
    case $line in *train_loss*) kill -TERM "$second" && break ;; esac
done
cat <&"${trainer[0]}" >"$tree/first.log"
wait "$first" && wait "$second" && grep -q '^stopped at step' "$tree/first.log"
report $? 'SIGTERM to one stops both' "$(cat "$tree/first.log" "$tree/second.log")"
(train first) >"$tree/first.log" 2>&1 && grep -q '^resumed at step' "$tree/first.log"
report $? 'one alone resumes what two began' "$(cat "$tree/first.log")"
"$here/../../examples/tiny-gpt/compare.py" "$tree/alone/checkpoint.npz" "$tree/first/checkpoint.npz" >/dev/null
report $? 'and makes the same model'

(RANK=0 WORLD_SIZE=3 MASTER_PORT=$port train none --batch 16) >"$tree/none.log" 2>&1 &
none=$!
for rank in 1 2; do (RANK=$rank WORLD_SIZE=3 MASTER_PORT=$port train none) >/dev/null 2>&1 & done
! wait "$none" && grep -q '16 sequences a step cannot be shared evenly by 3 tasks' "$tree/none.log"
report $? 'a batch that cannot be shared is refused' "$(cat "$tree/none.log")"
wait
finish
