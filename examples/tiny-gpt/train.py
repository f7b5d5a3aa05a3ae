#!/usr/bin/python3
"""Trains a character-level transformer on the licence texts of every Debian machine.

    python3 train.py [--steps N] [--out DIRECTORY] [--check-gradients] ...

What a job on Berth can do, in one file: chart points are lines of JSON on stdout, results go to
/artifacts, a checkpoint is written there by rename, a later attempt goes on from it, SIGTERM saves
and ends cleanly, SIGUSR1 saves and goes on. With OMP_NUM_THREADS=1 the same seed gives the same
bytes, interrupted or not. Several tasks share every batch and average their gradients (parallel.py).
"""
import argparse
import dataclasses
import json
import os
import pathlib
import signal
import sys
import time

import numpy as np

import gguf
import model
import parallel

END_OF_TEXT = 256
BLOCK = 2048  # bytes; every tenth block of the text is kept for validation


def read_tokens(directory):
    """The texts of DIRECTORY as tokens for training and for validation."""
    paths = sorted({path.resolve() for path in pathlib.Path(directory).iterdir() if path.is_file()})
    if not paths:
        sys.exit(f"train.py: no texts in {directory}")
    tokens = []
    for path in paths:
        tokens.extend(path.read_bytes())
        tokens.append(END_OF_TEXT)
    tokens = np.array(tokens, dtype=np.int64)
    held_out = np.arange(tokens.size) // BLOCK % 10 == 9
    return tokens[~held_out], tokens[held_out]


def draw_batch(tokens, shape, batch, random):
    starts = random.integers(0, tokens.size - shape.context - 1, batch)
    windows = tokens[starts[:, None] + np.arange(shape.context + 1)]
    return windows[:, :-1], windows[:, 1:]


def chart(name, x, y):
    print(json.dumps({"chart": name, "x": x, "y": round(y, 4)}), flush=True)


class Report:
    """Charts of the steps since the last ones."""

    def __init__(self, options, shape):
        self.options, self.tokens = options, options.batch * shape.context
        self.losses, self.since = [], time.monotonic()

    def add(self, step, loss, last):
        self.losses.append(loss)
        if step % self.options.chart_every and not last:
            return
        chart("train_loss", step, float(np.mean(self.losses)))
        now = time.monotonic()
        chart("tokens_per_second", step, len(self.losses) * self.tokens / max(now - self.since, 1e-9))
        self.losses, self.since = [], now


class Trainer:
    """Weights, optimiser and step; everything that a checkpoint holds."""

    def __init__(self, options, shape, group):
        self.options, self.shape, self.group, self.step = options, shape, group, 0
        self.weights = model.new_weights(shape, options.seed)
        self.first = {name: np.zeros_like(value) for name, value in self.weights.items()}
        self.second = {name: np.zeros_like(value) for name, value in self.weights.items()}
        self.checkpoint = os.path.join(options.out, "checkpoint.npz")
        # What must not change between the parts of one training.
        self.identity = json.dumps({"shape": dataclasses.asdict(shape), "seed": options.seed, "steps": options.steps,
                                    "batch": options.batch, "rate": options.rate}, sort_keys=True)

    def rate(self):
        """Linear warm-up, then half a cosine down to a tenth."""
        warm = min(1.0, (self.step + 1) / 50)
        done = self.step / self.options.steps
        return self.options.rate * warm * (0.55 + 0.45 * np.cos(np.pi * done))

    def update(self, gradients):
        """AdamW, with the gradient's length clipped to 1."""
        length = np.sqrt(sum(float((g * g).sum()) for g in gradients.values()))
        clip = np.float32(min(1.0, 1.0 / (length + 1e-6)))
        rate, count = self.rate(), self.step + 1
        for name, weight in self.weights.items():
            gradient = gradients[name] * clip
            self.first[name] += np.float32(0.1) * (gradient - self.first[name])
            self.second[name] += np.float32(0.05) * (gradient * gradient - self.second[name])
            direction = self.first[name] / np.float32(1 - 0.9**count)
            direction /= np.sqrt(self.second[name] / np.float32(1 - 0.95**count)) + np.float32(1e-8)
            if weight.ndim == 2:
                direction += np.float32(0.05) * weight
            weight -= np.float32(rate) * direction

    def train_step(self, tokens, wants_stop):
        """The loss; and is any task to stop? All of them learn it after the same step."""
        # The batch depends on seed and step alone, so a resumed training draws what it would have drawn.
        random = np.random.default_rng([self.options.seed, 2, self.step])
        tokens, targets = draw_batch(tokens, self.shape, self.options.batch, random)
        own = self.group.share(self.options.batch)
        loss, gradients = model.loss_and_gradients(self.weights, self.shape, tokens[own], targets[own])
        loss, stop = self.group.mean(loss, gradients, wants_stop)
        self.update(gradients)
        self.step += 1
        return loss, stop

    def validate(self, tokens):
        random = np.random.default_rng([self.options.seed, 3])
        return model.loss_only(self.weights, self.shape, *draw_batch(tokens, self.shape, 64, random))

    def save(self):
        kept = {"identity": np.array(self.identity), "step": np.array(self.step)}
        for prefix, group in (("w:", self.weights), ("1:", self.first), ("2:", self.second)):
            kept.update({prefix + name: value for name, value in group.items()})
        with open(self.checkpoint + ".tmp", "wb") as file:
            np.savez(file, **kept)
            file.flush()
            os.fsync(file.fileno())
        os.replace(self.checkpoint + ".tmp", self.checkpoint)

    def resume(self):
        """Take up the checkpoint, if there is one and it belongs to this training."""
        if not os.path.exists(self.checkpoint):
            return
        with np.load(self.checkpoint) as kept:
            if str(kept["identity"]) != self.identity:
                print("the checkpoint is of another training: starting anew", flush=True)
                return
            self.step = int(kept["step"])
            for prefix, group in (("w:", self.weights), ("1:", self.first), ("2:", self.second)):
                for name in group:
                    group[name] = kept[prefix + name]
        print(f"resumed at step {self.step}", flush=True)

    def agree(self):
        """All tasks begin with what rank 0 has: only its checkpoint counts."""
        step = np.array([self.step])
        self.group.give(step)
        self.step = int(step[0])
        for group in (self.weights, self.first, self.second):
            for value in group.values():
                self.group.give(value)

    def export(self):
        gguf.write(os.path.join(self.options.out, "model.gguf"), self.weights, self.shape, "tiny-gpt")
        text = model.generate(self.weights, self.shape, b"The ", 400, self.options.seed)
        with open(os.path.join(self.options.out, "sample.txt.tmp"), "wb") as file:
            file.write(text + b"\n")
        os.replace(file.name, file.name.removesuffix(".tmp"))
        return text.decode(errors="replace")


def train(options, shape):
    """0 when all steps are done or a signal asked to stop, both with everything saved."""
    asked = {"stop": False, "save": False}
    signal.signal(signal.SIGTERM, lambda *_: asked.update(stop=True))
    signal.signal(signal.SIGUSR1, lambda *_: asked.update(save=True))

    os.makedirs(options.out, exist_ok=True)
    learn, held_out = read_tokens(options.data)
    group = parallel.Group()
    trainer = Trainer(options, shape, group)
    if group.rank == 0:
        count = sum(weight.size for weight in trainer.weights.values())
        print(f"{learn.size} tokens to learn from, {held_out.size} held out, {count} weights", flush=True)
        trainer.resume()
        if trainer.step == 0:
            chart("val_loss", 0, trainer.validate(held_out))
    trainer.agree()
    report = Report(options, shape) if group.rank == 0 else None

    stop = False
    while trainer.step < options.steps and not stop:
        loss, stop = trainer.train_step(learn, asked["stop"])
        step, last = trainer.step, trainer.step == options.steps
        if group.rank != 0:
            continue
        report.add(step, loss, last)
        if step % options.validate_every == 0 or last:
            chart("val_loss", step, trainer.validate(held_out))
        if step % options.save_every == 0 or last or asked["save"]:
            asked["save"] = False
            trainer.save()
    if group.rank != 0:
        return 0
    if trainer.step < options.steps:
        trainer.save()
        print(f"stopped at step {trainer.step}: the next attempt goes on from here", flush=True)
        return 0
    print(f"after {trainer.step} steps the model writes:\n{trainer.export()}", flush=True)
    return 0


def check_gradients(seed):
    """Compare every kind of gradient with finite differences, in double precision."""
    shape = model.Shape(vocabulary=11, width=8, layers=2, heads=2, hidden=12, context=6)
    random = np.random.default_rng(seed)
    weights = model.new_weights(shape, seed, np.float64)
    # Far from their start, so that no gradient is zero by symmetry.
    weights = {name: value + random.standard_normal(value.shape) * 0.3 for name, value in weights.items()}
    tokens, targets = random.integers(0, 11, (2, 3, 6))
    _, gradients = model.loss_and_gradients(weights, shape, tokens, targets)
    worst, h = 0.0, 1e-6
    for name, value in weights.items():
        for _ in range(12):
            place = tuple(random.integers(0, size) for size in value.shape)
            original = value[place]
            value[place] = original + h
            above = model.loss_only(weights, shape, tokens, targets)
            value[place] = original - h
            below = model.loss_only(weights, shape, tokens, targets)
            value[place] = original
            numeric, exact = (above - below) / (2 * h), gradients[name][place]
            worst = max(worst, abs(numeric - exact) / max(abs(numeric) + abs(exact), 1e-4))
    print(f"largest relative error of a gradient: {worst:.1e}")
    return 0 if worst < 1e-4 else 1


def main():
    parser = argparse.ArgumentParser(description="Train a small character-level transformer with numpy.")
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--batch", type=int, default=16, help="sequences a step")
    parser.add_argument("--rate", type=float, default=4e-3, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data", default="/usr/share/common-licenses", help="directory of texts")
    parser.add_argument("--out", default="/artifacts", help="where results and checkpoints go")
    parser.add_argument("--chart-every", type=int, default=10)
    parser.add_argument("--validate-every", type=int, default=100)
    parser.add_argument("--save-every", type=int, default=100)
    parser.add_argument("--check-gradients", action="store_true", help="test the gradients and end")
    options = parser.parse_args()
    if options.check_gradients:
        return check_gradients(options.seed)
    try:
        return train(options, model.Shape())
    except ConnectionError as error:
        sys.exit(f"train.py: {error}")


if __name__ == "__main__":
    sys.exit(main())
