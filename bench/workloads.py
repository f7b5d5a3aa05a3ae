"""workloads.py - other mixes of requests, made of those of a published trace

    workloads.py PODS.csv KIND SEED >OTHER.csv

KIND: cpuN (N / 10 % of the requests ask for no GPU), multigpuN, gpushareN (N % of the GPUs are asked for several at once, in parts),
gpuspecN (N % of the requests for GPUs want one model). They are called as in Weng et al., USENIX ATC'23; how often a shape is asked for
within its class is as in PODS.csv.
"""
import csv
import random
import re
import sys

# GPUs of each model in the machines of the trace, and how many one machine has at most
MODELS = {"G2": (4392, 8), "T4": (842, 4), "G3": (312, 8), "P100": (265, 2), "V100M32": (204, 8), "V100M16": (195, 8)}


def gpus(pod):
    count = int(pod["num_gpu"])
    return count * min(1000, int(pod["gpu_milli"])) if count else 0


def fill(pods, have, want, rng):
    """So many of PODS, drawn again and again, that they come to WANT thousandths."""
    while have < want:
        pod = rng.choice(pods)
        have += gpus(pod)
        yield pod


def make(pods, kind, part, rng):
    without = [pod for pod in pods if not gpus(pod)]
    with_gpus = [pod for pod in pods if gpus(pod)]
    several = [pod for pod in with_gpus if int(pod["num_gpu"]) > 1]
    parts = [pod for pod in with_gpus if gpus(pod) < 1000]
    total = sum(map(gpus, with_gpus))
    if kind == "cpu":
        part /= 10
        return with_gpus + rng.choices(without, k=round(len(with_gpus) * part / (100 - part)))
    if kind == "gpuspec":
        models, weights = list(MODELS), [count for count, _ in MODELS.values()]
        for pod in rng.sample(with_gpus, round(len(with_gpus) * part / 100)):
            pod["gpu_spec"] = rng.choices(models, weights)[0]
            if int(pod["num_gpu"]) > MODELS[pod["gpu_spec"]][1]:
                pod["gpu_spec"] = "G2"
        return pods
    chosen = several if kind == "multigpu" else parts
    others = [pod for pod in with_gpus if not any(pod is other for other in chosen)]
    return (without + list(fill(chosen, 0, total * part / 100, rng)) + list(fill(others, 0, total * (100 - part) / 100, rng)))


def main():
    kind, part = re.fullmatch("([a-z]+)([0-9]+)", sys.argv[2]).groups()
    with open(sys.argv[1], newline="", encoding="utf-8") as file:
        pods = [{"name": pod["name"], "cpu_milli": pod["cpu_milli"], "memory_mib": pod["memory_mib"], "num_gpu": pod["num_gpu"],
                 "gpu_milli": pod["gpu_milli"] or "0", "gpu_spec": pod.get("gpu_spec") or ""} for pod in csv.DictReader(file)]
    out = csv.DictWriter(sys.stdout, list(pods[0]), lineterminator="\n")
    out.writeheader()
    out.writerows(make(pods, kind, int(part), random.Random(int(sys.argv[3]))))


main()
