#!/usr/bin/python3
"""llama-logits - compare the logits of a GGUF model in libllama with those of the trainer's own code

    llama-logits.py LIBRARIES MODEL CHECKPOINT

Prints the largest difference; exits 1 when it is more than rounding, 77 when the library does not load.
"""
import ctypes
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../examples/tiny-gpt"))
import model

PROMPT = b"This License applies to any program"


class Params(ctypes.Structure):
    """Parameters by value: libllama's own structs, of which we only need that they are not larger."""
    _fields_ = [("bytes", ctypes.c_char * 1024)]


class Batch(ctypes.Structure):
    _fields_ = [("n_tokens", ctypes.c_int32)] + [(name, ctypes.c_void_p) for name in ("token", "embd", "pos", "n_seq_id", "seq_id", "logits")]


def load(directory):
    try:
        names = sorted(os.listdir(directory))
        base, ggml, llama = (next(n for n in names if n.startswith(p)) for p in ("libggml-base", "libggml.", "libllama."))
        for name in (base, ggml):
            last = ctypes.CDLL(os.path.join(directory, name), ctypes.RTLD_GLOBAL)
        last.ggml_backend_load_all_from_path(directory.encode())
        library = ctypes.CDLL(os.path.join(directory, llama))
    except (OSError, StopIteration) as error:
        print(error)
        sys.exit(77)
    for name, result, arguments in (
        ("llama_model_default_params", Params, []),
        ("llama_context_default_params", Params, []),
        ("llama_model_load_from_file", ctypes.c_void_p, [ctypes.c_char_p, Params]),
        ("llama_init_from_model", ctypes.c_void_p, [ctypes.c_void_p, Params]),
        ("llama_model_get_vocab", ctypes.c_void_p, [ctypes.c_void_p]),
        ("llama_tokenize", ctypes.c_int32, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32, ctypes.c_void_p, ctypes.c_int32, ctypes.c_bool, ctypes.c_bool]),
        ("llama_batch_get_one", Batch, [ctypes.c_void_p, ctypes.c_int32]),
        ("llama_decode", ctypes.c_int32, [ctypes.c_void_p, Batch]),
        ("llama_get_logits_ith", ctypes.POINTER(ctypes.c_float), [ctypes.c_void_p, ctypes.c_int32]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def main(directory, path, checkpoint):
    llama = load(directory)
    loaded = llama.llama_model_load_from_file(path.encode(), llama.llama_model_default_params())
    if not loaded:
        sys.exit("libllama refuses the model")
    tokens = (ctypes.c_int32 * 256)()
    count = llama.llama_tokenize(llama.llama_model_get_vocab(loaded), PROMPT, len(PROMPT), tokens, 256, False, False)
    if list(tokens[:count]) != list(PROMPT):
        sys.exit(f"libllama's tokens are not the bytes: {list(tokens[:max(count, 0)])}")
    context = llama.llama_init_from_model(loaded, llama.llama_context_default_params())
    if llama.llama_decode(context, llama.llama_batch_get_one(tokens, count)) != 0:
        sys.exit("libllama cannot decode")
    shape = model.Shape()
    theirs = np.ctypeslib.as_array(llama.llama_get_logits_ith(context, -1), (shape.vocabulary,)).astype(np.float64)
    with np.load(checkpoint) as kept:
        weights = {name[2:]: kept[name] for name in kept if name.startswith("w:")}
    ours = model.forward(weights, shape, np.array([list(PROMPT)]))[0][0, -1]
    difference = float(np.abs(theirs - ours).max())
    print(f"largest difference of a logit {difference:.1e}, of logits up to {np.abs(ours).max():.1f}")
    # The engine computes attention in half precision.
    sys.exit(0 if difference < 0.02 * np.abs(ours).max() else 1)


main(*sys.argv[1:])
