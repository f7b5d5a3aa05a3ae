"""Writes the weights of model.py as GGUF version 3, architecture "llama", so that inference engines load them.

The format: a header, key-value pairs, the tensors' names and places, then their bytes, everything
little-endian and each tensor aligned to 32 bytes. Tokens are bytes, spelled as GPT-2 spells them.
"""
import os
import struct

import numpy as np

import model

ALIGNMENT = 32
UINT32, FLOAT32, BOOL, STRING, ARRAY, INT32 = 4, 6, 7, 8, 9, 5
TENSOR_F32 = 0
TOKEN_NORMAL, TOKEN_CONTROL = 1, 3


def text(value):
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def typed(kind, value):
    if kind == STRING:
        return text(value)
    return struct.pack({UINT32: "<I", FLOAT32: "<f", BOOL: "<?", INT32: "<i"}[kind], value)


def pair(key, kind, value):
    return text(key) + struct.pack("<I", kind) + typed(kind, value)


def array(key, kind, values):
    body = b"".join(typed(kind, value) for value in values)
    return text(key) + struct.pack("<IIQ", ARRAY, kind, len(values)) + body


def byte_spellings():
    """GPT-2's printable character for each byte: itself where printable, else one from 256 on."""
    spellings, extra = [], 256
    for byte in range(256):
        if 33 <= byte <= 126 or 161 <= byte <= 172 or byte >= 174:
            spellings.append(chr(byte))
        else:
            spellings.append(chr(extra))
            extra += 1
    return spellings


def metadata(shape, name):
    end = shape.vocabulary - 1
    return [
        pair("general.architecture", STRING, "llama"),
        pair("general.name", STRING, name),
        pair("general.file_type", UINT32, 0),
        pair("general.alignment", UINT32, ALIGNMENT),
        pair("llama.vocab_size", UINT32, shape.vocabulary),
        pair("llama.context_length", UINT32, shape.context),
        pair("llama.embedding_length", UINT32, shape.width),
        pair("llama.block_count", UINT32, shape.layers),
        pair("llama.feed_forward_length", UINT32, shape.hidden),
        pair("llama.attention.head_count", UINT32, shape.heads),
        pair("llama.attention.head_count_kv", UINT32, shape.heads),
        pair("llama.attention.layer_norm_rms_epsilon", FLOAT32, model.EPSILON),
        pair("llama.rope.dimension_count", UINT32, shape.width // shape.heads),
        pair("llama.rope.freq_base", FLOAT32, model.ROPE_BASE),
        pair("tokenizer.ggml.model", STRING, "gpt2"),
        pair("tokenizer.ggml.pre", STRING, "gpt-2"),
        array("tokenizer.ggml.tokens", STRING, byte_spellings() + ["<|endoftext|>"]),
        array("tokenizer.ggml.token_type", INT32, [TOKEN_NORMAL] * 256 + [TOKEN_CONTROL]),
        array("tokenizer.ggml.merges", STRING, []),
        pair("tokenizer.ggml.bos_token_id", UINT32, end),
        pair("tokenizer.ggml.eos_token_id", UINT32, end),
        pair("tokenizer.ggml.add_bos_token", BOOL, False),
    ]


def padding(length):
    return b"\0" * (-length % ALIGNMENT)


def write(path, weights, shape, name):
    """Write by rename: a reader finds the old file or the whole new one."""
    pairs = metadata(shape, name)
    places, offset = [], 0
    for key, value in weights.items():
        # The fastest dimension comes first.
        dimensions = value.shape[::-1]
        places.append(text(key + ".weight") + struct.pack(f"<I{len(dimensions)}QIQ", len(dimensions), *dimensions, TENSOR_F32, offset))
        offset += value.size * 4 + len(padding(value.size * 4))
    head = b"GGUF" + struct.pack("<IQQ", 3, len(places), len(pairs)) + b"".join(pairs) + b"".join(places)
    with open(path + ".tmp", "wb") as file:
        file.write(head + padding(len(head)))
        for value in weights.values():
            raw = np.ascontiguousarray(value, "<f4").tobytes()
            file.write(raw + padding(len(raw)))
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".tmp", path)
