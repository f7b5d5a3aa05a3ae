"""A small transformer of the llama family in numpy: forward, backward, generation.

RMSNorm before each half of a block, rotary positions over interleaved pairs, SwiGLU, no biases, and
the embedding reused as output layer: the layout that inference engines know as "llama", so the
weights can be served as they are (see gguf.py). Gradients are written out by hand; `train.py
--check-gradients` compares them with finite differences.

Weights are stored [outputs, inputs]. Shapes below: B sequences of T tokens, D model width, H heads of
width K, F feed-forward width, V tokens.
"""
import dataclasses

import numpy as np

EPSILON = 1e-5
ROPE_BASE = 10000.0


@dataclasses.dataclass(frozen=True)
class Shape:
    vocabulary: int = 257  # the bytes, and one token that ends a text
    width: int = 64
    layers: int = 2
    heads: int = 4
    hidden: int = 192
    context: int = 64


def new_weights(shape, seed, dtype=np.float32):
    """Random weights by name, in the order in which they are written."""
    random = np.random.default_rng([seed, 0])

    def normal(rows, columns, scale):
        return (random.standard_normal((rows, columns)) * scale).astype(dtype)

    width, hidden, scale = shape.width, shape.hidden, 0.02
    # The two matrices that write into the residual stream start smaller, by depth.
    residual = scale / np.sqrt(2 * shape.layers)
    weights = {"token_embd": normal(shape.vocabulary, width, scale)}
    for layer in range(shape.layers):
        block = {
            "attn_norm": np.ones(width, dtype),
            "attn_q": normal(width, width, scale),
            "attn_k": normal(width, width, scale),
            "attn_v": normal(width, width, scale),
            "attn_output": normal(width, width, residual),
            "ffn_norm": np.ones(width, dtype),
            "ffn_gate": normal(hidden, width, scale),
            "ffn_up": normal(hidden, width, scale),
            "ffn_down": normal(width, hidden, residual),
        }
        weights.update({f"blk.{layer}.{name}": value for name, value in block.items()})
    weights["output_norm"] = np.ones(width, dtype)
    return weights


def rotations(length, head_width, dtype):
    """cos and sin, [T, K/2], of the angles by which position t turns pair i."""
    frequencies = ROPE_BASE ** (-np.arange(0, head_width, 2) / head_width)
    angles = np.outer(np.arange(length), frequencies)
    return np.cos(angles).astype(dtype), np.sin(angles).astype(dtype)


def rotate(x, cos, sin):
    """Turn the pairs (x[2i], x[2i+1]) of [B, H, T, K]; with -sin, back again."""
    even, odd = x[..., 0::2], x[..., 1::2]
    turned = np.empty_like(x)
    turned[..., 0::2] = even * cos - odd * sin
    turned[..., 1::2] = even * sin + odd * cos
    return turned


def norm(x, weight):
    scale = 1 / np.sqrt((x * x).mean(-1, keepdims=True) + EPSILON)
    return x * scale * weight, scale


def norm_backward(gradient, x, weight, scale):
    weight_gradient = (gradient * x * scale).reshape(-1, x.shape[-1]).sum(0)
    inner = gradient * weight
    return scale * (inner - x * scale * scale * (inner * x).mean(-1, keepdims=True)), weight_gradient


def linear_backward(gradient, x, weight):
    flat = gradient.reshape(-1, gradient.shape[-1])
    return gradient @ weight, flat.T @ x.reshape(-1, x.shape[-1])


def split_heads(x, heads):
    batch, length, width = x.shape
    return x.reshape(batch, length, heads, width // heads).transpose(0, 2, 1, 3)


def join_heads(x):
    batch, heads, length, head_width = x.shape
    return np.ascontiguousarray(x.transpose(0, 2, 1, 3)).reshape(batch, length, heads * head_width)


def attention(x, w, shape):
    """Causal self-attention of normalised X; also what its backward pass needs."""
    length, head_width = x.shape[1], shape.width // shape.heads
    cos, sin = rotations(length, head_width, x.dtype)
    q = rotate(split_heads(x @ w["attn_q"].T, shape.heads), cos, sin)
    k = rotate(split_heads(x @ w["attn_k"].T, shape.heads), cos, sin)
    v = split_heads(x @ w["attn_v"].T, shape.heads)
    future = np.triu(np.full((length, length), -np.inf, x.dtype), 1)
    scores = q @ k.transpose(0, 1, 3, 2) * x.dtype.type(head_width**-0.5) + future
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    mixed = join_heads(shares @ v)
    return mixed @ w["attn_output"].T, (x, q, k, v, shares, mixed, cos, sin)


def attention_backward(gradient, kept, w, shape):
    x, q, k, v, shares, mixed, cos, sin = kept
    gradients = {}
    mixed_gradient, gradients["attn_output"] = linear_backward(gradient, mixed, w["attn_output"])
    heads_gradient = split_heads(mixed_gradient, shape.heads)
    v_gradient = shares.transpose(0, 1, 3, 2) @ heads_gradient
    shares_gradient = heads_gradient @ v.transpose(0, 1, 3, 2)
    scores_gradient = shares * (shares_gradient - (shares_gradient * shares).sum(-1, keepdims=True))
    scores_gradient *= x.dtype.type((shape.width // shape.heads) ** -0.5)
    q_gradient = rotate(scores_gradient @ k, cos, -sin)
    k_gradient = rotate(scores_gradient.transpose(0, 1, 3, 2) @ q, cos, -sin)
    x_gradient = 0
    for name, part in (("attn_q", q_gradient), ("attn_k", k_gradient), ("attn_v", v_gradient)):
        back, gradients[name] = linear_backward(join_heads(part), x, w[name])
        x_gradient = x_gradient + back
    return x_gradient, gradients


def feed_forward(x, w):
    gate, up = x @ w["ffn_gate"].T, x @ w["ffn_up"].T
    sigmoid = 1 / (1 + np.exp(-gate))
    hidden = gate * sigmoid * up
    return hidden @ w["ffn_down"].T, (x, gate, up, sigmoid, hidden)


def feed_forward_backward(gradient, kept, w):
    x, gate, up, sigmoid, hidden = kept
    gradients = {}
    hidden_gradient, gradients["ffn_down"] = linear_backward(gradient, hidden, w["ffn_down"])
    gate_gradient = hidden_gradient * up * sigmoid * (1 + gate * (1 - sigmoid))
    from_gate, gradients["ffn_gate"] = linear_backward(gate_gradient, x, w["ffn_gate"])
    from_up, gradients["ffn_up"] = linear_backward(hidden_gradient * gate * sigmoid, x, w["ffn_up"])
    return from_gate + from_up, gradients


def block_weights(weights, layer):
    prefix = f"blk.{layer}."
    return {name[len(prefix):]: value for name, value in weights.items() if name.startswith(prefix)}


def forward(weights, shape, tokens):
    """Logits [B, T, V], and what the backward pass needs."""
    x = weights["token_embd"][tokens]
    kept = []
    for layer in range(shape.layers):
        w = block_weights(weights, layer)
        normed, attention_scale = norm(x, w["attn_norm"])
        mixed, attention_kept = attention(normed, w, shape)
        middle = x + mixed
        normed, hidden_scale = norm(middle, w["ffn_norm"])
        fed, hidden_kept = feed_forward(normed, w)
        kept.append((w, x, attention_scale, attention_kept, middle, hidden_scale, hidden_kept))
        x = middle + fed
    normed, scale = norm(x, weights["output_norm"])
    return normed @ weights["token_embd"].T, (tokens, kept, x, scale, normed)


def backward(weights, shape, logits_gradient, state):
    """The gradient of every weight, by name."""
    tokens, kept, last, scale, normed = state
    normed_gradient, embedding = linear_backward(logits_gradient, normed, weights["token_embd"])
    x_gradient, output_norm = norm_backward(normed_gradient, last, weights["output_norm"], scale)
    gradients = {"output_norm": output_norm}
    for layer in reversed(range(shape.layers)):
        w, x, attention_scale, attention_kept, middle, hidden_scale, hidden_kept = kept[layer]
        block = {}
        back, part = feed_forward_backward(x_gradient, hidden_kept, w)
        block.update(part)
        back, block["ffn_norm"] = norm_backward(back, middle, w["ffn_norm"], hidden_scale)
        x_gradient = x_gradient + back
        back, part = attention_backward(x_gradient, attention_kept, w, shape)
        block.update(part)
        back, block["attn_norm"] = norm_backward(back, x, w["attn_norm"], attention_scale)
        x_gradient = x_gradient + back
        gradients.update({f"blk.{layer}.{name}": value for name, value in block.items()})
    np.add.at(embedding, tokens.ravel(), x_gradient.reshape(-1, shape.width))
    gradients["token_embd"] = embedding
    return gradients


def loss_and_logits_gradient(logits, targets):
    """Mean cross-entropy in nats a token, and its gradient."""
    shifted = logits - logits.max(-1, keepdims=True)
    logarithms = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    flat, wanted = logarithms.reshape(-1, logits.shape[-1]), targets.ravel()
    rows = np.arange(wanted.size)
    loss = -flat[rows, wanted].mean()
    gradient = np.exp(flat)
    gradient[rows, wanted] -= 1
    return float(loss), (gradient / logits.dtype.type(wanted.size)).reshape(logits.shape)


def loss_and_gradients(weights, shape, tokens, targets):
    logits, state = forward(weights, shape, tokens)
    loss, logits_gradient = loss_and_logits_gradient(logits, targets)
    return loss, backward(weights, shape, logits_gradient, state)


def loss_only(weights, shape, tokens, targets):
    logits, _ = forward(weights, shape, tokens)
    return loss_and_logits_gradient(logits, targets)[0]


def generate(weights, shape, prompt, length, seed, temperature=0.7):
    """PROMPT continued by up to LENGTH tokens, or to the end of the text."""
    random = np.random.default_rng([seed, 1])
    tokens = list(prompt)
    for _ in range(length):
        logits, _ = forward(weights, shape, np.array([tokens[-shape.context:]]))
        likely = logits[0, -1].astype(np.float64) / temperature
        shares = np.exp(likely - likely.max())
        token = int(random.choice(shares.size, p=shares / shares.sum()))
        if token == shape.vocabulary - 1:
            break
        tokens.append(token)
    return bytes(tokens)
