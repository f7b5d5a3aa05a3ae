#!/usr/bin/python3
"""Logistic regression with a parameter server, its workers and a master, in plain Python.

TF_CONFIG says who is who and where, as in TensorFlow and in Gradient's multi-node experiments: a `ps` holds
the weights for as long as the job runs, each `worker` sends it the gradients of its part of the data, and the
`master` waits for all of them, tests the model and writes it to /artifacts.
"""
import argparse
import json
import math
import os
import random
import socket
import socketserver
import sys
import threading
import time

WIDTH, EXAMPLES, TRUTH = 8, 2000, [1.5, -2.0, 0.5, 3.0, -1.0, 0.0, 2.5, -0.5]
PATIENCE_S = 60


def examples(seed):
    """Points, and on which side of the true plane they lie."""
    draw = random.Random(seed)
    for _ in range(EXAMPLES):
        x = [draw.gauss(0, 1) for _ in range(WIDTH)]
        yield x, 1.0 if sum(a * b for a, b in zip(x, TRUTH)) > 0 else 0.0


def chance(weights, x):
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, sum(a * b for a, b in zip(weights, x))))))


class Parameters:
    """What the parameter server holds. A round is over when every worker has sent its gradient."""

    def __init__(self, workers, rate):
        self.workers, self.rate = workers, rate
        self.weights, self.round, self.sums, self.sent = [0.0] * WIDTH, 0, [0.0] * WIDTH, 0
        self.changed = threading.Condition()

    def push(self, gradient):
        with self.changed:
            self.sums = [a + b for a, b in zip(self.sums, gradient)]
            self.sent += 1
            if self.sent < self.workers:
                return
            self.weights = [w - self.rate * s / self.workers for w, s in zip(self.weights, self.sums)]
            self.round, self.sums, self.sent = self.round + 1, [0.0] * WIDTH, 0
            self.changed.notify_all()

    def await_round(self, number):
        with self.changed:
            self.changed.wait_for(lambda: self.round >= number)
            return {"round": self.round, "weights": self.weights}


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            request = json.loads(line)
            if "gradient" in request:
                self.server.parameters.push(request["gradient"])
            answer = self.server.parameters.await_round(request["round"])
            self.wfile.write(json.dumps(answer).encode() + b"\n")


class Server(socketserver.ThreadingTCPServer):
    daemon_threads, allow_reuse_address = True, True


class Client:
    """A connection to the parameter server."""

    def __init__(self, endpoint):
        host, port = endpoint.rsplit(":", 1)
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.file = socket.create_connection((host, int(port))).makefile("rwb")
                return
            except OSError as error:
                if time.monotonic() > until:
                    sys.exit(f"the parameter server is not at {endpoint}: {error}")
                time.sleep(0.05)

    def ask(self, request):
        self.file.write(json.dumps(request).encode() + b"\n")
        self.file.flush()
        line = self.file.readline()
        if not line:
            sys.exit("the parameter server has ended")
        return json.loads(line)


def serve(endpoint, workers, options):
    server = Server(("", int(endpoint.rsplit(":", 1)[1])), Handler)
    server.parameters = Parameters(workers, options.rate)
    server.serve_forever()


def work(client, index, workers, options):
    own = [example for number, example in enumerate(examples(1)) if number % workers == index]
    weights = client.ask({"round": 0})["weights"]
    for step in range(options.steps):
        if options.fail == index and step == options.steps // 2:
            sys.exit(f"worker {index} fails, as it was told")
        gradient = [0.0] * WIDTH
        for x, y in own:
            error = chance(weights, x) - y
            gradient = [g + error * value / len(own) for g, value in zip(gradient, x)]
        weights = client.ask({"round": step + 1, "gradient": gradient})["weights"]


def watch(client, options):
    test = list(examples(2))
    for step in range(1, options.steps + 1):
        weights = client.ask({"round": step})["weights"]
        right = sum((chance(weights, x) > 0.5) == (y > 0.5) for x, y in test) / len(test)
        print(json.dumps({"chart": "accuracy", "x": step, "y": right}), flush=True)
    with open(os.path.join(options.out, "model.json"), "w", encoding="utf-8") as file:
        json.dump({"weights": weights, "accuracy": right}, file)
    return 0 if right > 0.9 else 1


def main():
    parser = argparse.ArgumentParser(description="Train with a parameter server; TF_CONFIG says which task this is.")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rate", type=float, default=2.0)
    parser.add_argument("--out", default="/artifacts", help="where the master writes the model")
    parser.add_argument("--fail", type=int, help="the worker that fails half way, to try that out")
    options = parser.parse_args()
    config = json.loads(os.environ["TF_CONFIG"])
    role, index = config["task"]["type"], config["task"]["index"]
    workers = len(config["cluster"]["worker"])
    endpoint = config["cluster"]["ps"][0]
    if role == "ps":
        return serve(endpoint, workers, options)
    client = Client(endpoint)
    if role == "worker":
        return work(client, index, workers, options)
    return watch(client, options)


if __name__ == "__main__":
    sys.exit(main())
