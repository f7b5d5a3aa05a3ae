#!/bin/bash
# examples/tiny-gpt outside of Berth: it learns, goes on where it stopped, and writes a model that others load
. "$(dirname "$0")/../lint/lib.sh"
here=$(cd "$(dirname "$0")" && pwd)
export OMP_NUM_THREADS=1
train() { # train OUT [FLAG...]
    local out=$1
    shift
    /usr/bin/python3 "$here/../../examples/tiny-gpt/train.py" --out "$out" --steps 60 --save-every 20 --validate-every 30 "$@"
}

out=$(train "$tree/g" --check-gradients)
report $? 'gradients agree with finite differences' "$out"

train "$tree/a" >"$tree/a.log" 2>&1
report $? 'a training runs to its end' "$(cat "$tree/a.log")"
jq -se '[.[] | select(.chart == "val_loss")] | length == 3 and .[0].y > 5 and .[-1].y < .[0].y - 1.5' \
    <(grep '^{' "$tree/a.log") >/dev/null
report $? 'validation loss falls' "$(cat "$tree/a.log")"
jq -se '[.[] | select(.chart == "tokens_per_second")] | length == 6 and all(.y > 0)' <(grep '^{' "$tree/a.log") >/dev/null
report $? 'speed is charted'

# Stopped once the first chart point of a step is out, resumed twice: the bytes must not differ.
coproc trainer { exec /usr/bin/python3 "$here/../../examples/tiny-gpt/train.py" --out "$tree/b" --steps 60 --save-every 20 --validate-every 30; }
pid=$trainer_PID
while read -r line <&"${trainer[0]}"; do
    case $line in *train_loss*) kill -TERM "$pid" && break ;; esac
done
cat <&"${trainer[0]}" >"$tree/b.log"
wait "$pid"
report $? 'SIGTERM ends it with 0'
grep -q '^stopped at step' "$tree/b.log" && [ -f "$tree/b/checkpoint.npz" ] && [ ! -e "$tree/b/model.gguf" ]
report $? 'and with a checkpoint' "$(cat "$tree/b.log")"
train "$tree/b" >"$tree/b.log" 2>&1 && grep -q '^resumed at step' "$tree/b.log"
report $? 'the next attempt resumes' "$(cat "$tree/b.log")"
for file in model.gguf sample.txt checkpoint.npz; do
    cmp "$tree/a/$file" "$tree/b/$file"
    report $? "$file is the same with and without an interruption"
done
train "$tree/b" --seed 2 --steps 1 >"$tree/b.log" 2>&1 && grep -q 'starting anew' "$tree/b.log"
report $? 'a checkpoint of another training is not taken up' "$(cat "$tree/b.log")"
out=$(find "$tree/a" -name '*.tmp')
[ -z "$out" ]
report $? 'nothing half-written is left' "$out"

# The format as its specification says, read by code that knows nothing of the writer.
/usr/bin/python3 - "$tree/a/model.gguf" >"$tree/gguf" 2>&1 <<'PYTHON'
import math, struct, sys
data = open(sys.argv[1], "rb").read()
at = 0
def take(form):
    global at
    values = struct.unpack_from("<" + form, data, at)
    at += struct.calcsize("<" + form)
    return values[0] if len(values) == 1 else values
def string():
    global at
    length = take("Q")
    at += length
    return data[at - length:at].decode()
def value(kind):
    if kind == 8:
        return string()
    if kind == 9:
        inner, count = take("IQ")
        return [value(inner) for _ in range(count)]
    return take({4: "I", 5: "i", 6: "f", 7: "?"}[kind])
assert data[:4] == b"GGUF"
at = 4
version, tensors, pairs = take("IQQ")
assert version == 3
meta = {}
for _ in range(pairs):
    key = string()
    meta[key] = value(take("I"))
assert meta["general.architecture"] == "llama" and meta["llama.block_count"] == 2
assert len(meta["tokenizer.ggml.tokens"]) == meta["llama.vocab_size"] == 257 and len(set(meta["tokenizer.ggml.tokens"])) == 257
places = {}
for _ in range(tensors):
    name = string()
    dimensions = [take("Q") for _ in range(take("I"))]
    kind, offset = take("IQ")
    assert kind == 0 and offset % 32 == 0
    places[name] = (dimensions, offset)
start = at + -at % 32
ends = sorted((offset, offset + math.prod(dimensions) * 4) for dimensions, offset in places.values())
assert all(a[1] <= b[0] < a[1] + 32 for a, b in zip(ends, ends[1:])) and start + ends[-1][1] + -ends[-1][1] % 32 == len(data)
assert places["token_embd.weight"][0] == [64, 257] and places["blk.1.ffn_down.weight"][0] == [192, 64]
PYTHON
report $? 'the model is well-formed GGUF' "$(cat "$tree/gguf")"

libraries=${BERTH_LIBLLAMA:-$here/../npm/node_modules/@node-llama-cpp/linux-x64/bins/linux-x64}
out=$(/usr/bin/python3 "$here/llama-logits.py" "$libraries" "$tree/a/model.gguf" "$tree/a/checkpoint.npz" 2>&1)
status=$?
if [ $status -eq 77 ]; then
    count=$((count + 1))
    echo "ok $count - libllama computes the same logits # SKIP no libllama here ($(tail -n 1 <<<"$out"))"
else
    report $status 'libllama computes the same logits' "$out"
fi
finish
