"""Kernels, launches, bytes and operations of a training step on a GPU, counted without a GPU.

    python benchmarks/launches.py

The step of arrays of 1, 16 and 64 trials is done by tensors that have shapes but no numbers, in a process
whose PyTorch takes them for tensors on a GPU (tests/simulated_gpu; needs g++).
"""

import json
import math
import random
import sys
from pathlib import Path

# In place of the folder of this file, whose name hides that of the tests.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from simulated_gpu.shim import with_simulated_gpu

PAPER = [[16, 80]]
"""The paper's f and r."""
LAUNCHES = 3
"""Host's launches of a recorded step: rates, places of the chunks, the graph."""


def random_sizes(count: int) -> list[list[int]]:
    """Draw f and r as a search does, both log-uniform."""
    generator = random.Random(0)

    def drawn(low: float, high: float) -> int:
        return round(math.exp(generator.uniform(math.log(low), math.log(high))))

    return [[drawn(4, 64), 2 * drawn(10, 80)] for _ in range(count)]


def main() -> None:
    """Count and print."""
    cases = {
        f"{count} x f 16, {dtype}": {"count": count, "sizes": PAPER, "dtype": dtype}
        for dtype in ("float32", "bfloat16")
        for count in (1, 16, 64)
    }
    for classes in (3, 17):
        for count in (32, 64):
            name = f"{count} random f and r, {classes} classes"
            cases[name] = {"count": count, "sizes": random_sizes(count), "classes": classes}
    counted = with_simulated_gpu("-m", "simulated_gpu.counting", given=json.dumps(list(cases.values())))
    if counted.returncode:
        sys.exit(counted.stderr)
    print("| step of an array of | stacks | kernels | host launches | GB | GFLOP | peak GB |")
    print("|---|---|---|---|---|---|---|")
    for name, step in zip(cases, json.loads(counted.stdout), strict=True):
        print(
            f"| {name} | {step['stacks']} | {step['kernels']:,} | {LAUNCHES} | {step['gigabytes']:.1f} "
            f"| {step['gigaflops']:,.1f} | {step['peak_gigabytes']:.2f} |"
        )


if __name__ == "__main__":
    main()
