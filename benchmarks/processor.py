"""Speed on a processor, in turns with the published formulation of network and training.

    python benchmarks/processor.py [--dims 64,512] [--threads 1] [--rounds 8]

Trains on batches of 32 chunks and validates six synthetic games. "published" is the published formulation in
float32: ``PlainNetwork`` (ordinary convolution layers), chunks from PyTorch's DataLoader and
``torch.optim.Adam``. Its losses are those of this project, which are cheaper than the published ones. Its
validation is the forward pass over the same chunks, stitching and the metric; that of this project computes
the losses as well.

With one thread, times are processor time, which other work on the machine disturbs least; with more threads
they are time on the clock.
"""

import argparse
import itertools
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from baselines.published import BATCH, Published
from main_job import our_step, paper_trial, validated

from model.data.sampler import ChunkBatch, ChunkSampler, SamplerConfig
from model.data.stores.building import open_split
from model.data.stores.store import Store
from model.data.synthetic import planted_zones_s, write_synthetic
from model.precision import Precision
from model.training.config import TrialConfig
from model.training.slot import Slot

STEPS = 5
OURS: tuple[Precision, ...] = ("float32", "bfloat16")


def our_works(trial: TrialConfig, train: Store, valid: Store) -> dict[str, Callable[[], None]]:
    """Return a training step and a validation in both number formats."""
    plan = ChunkSampler(train, SamplerConfig(name="balanced", batch_size=BATCH), 0).epoch(0)
    network = Slot(trial).network
    works: dict[str, Callable[[], None]] = {}
    for precision in OURS:
        step, turn = our_step(trial, train, precision), itertools.cycle(plan[:12])

        def train_once(step: Callable[[ChunkBatch], None] = step, turn: itertools.cycle = turn) -> None:
            step(next(turn))

        def validate(precision: Precision = precision) -> None:
            validated(network, valid, trial, precision)

        works[f"training {precision}"], works[f"validation {precision}"] = train_once, validate
    return works


def measure(works: dict[str, Callable[[], None]], threads: int, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of every work, in turns; the first time of each is not counted."""
    clock = time.process_time if threads == 1 else time.perf_counter
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds + 1):
        for kind in ("training", "validation"):
            for _ in range(STEPS if kind == "training" else 1):
                for name in (name for name in works if name.startswith(kind)):
                    started = clock()
                    works[name]()
                    seconds[name].append(clock() - started)
    return {name: values[STEPS if name.startswith("training") else 1 :] for name, values in seconds.items()}


def show(dims: int, seconds: dict[str, list[float]]) -> None:
    """Print medians, and the median of the ratios to the published formulation."""
    for name, values in seconds.items():
        base = seconds[f"{name.split()[0]} published"]
        ratio = statistics.median(theirs / own for theirs, own in zip(base, values, strict=True))
        middle = statistics.median(values)
        speed = f"{BATCH / middle:.0f} chunks/s" if name.startswith("training") else f"{middle:.3f} s"
        print(f"| {dims} | {name} | {speed} | {ratio:.2f} |", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dims", default="64,512")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=8)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print("| features | work | median | times published |\n|---|---|---|---|")
    with TemporaryDirectory(prefix="hpo-processor-") as folder:
        for dims in map(int, arguments.dims.split(",")):
            root = Path(folder) / str(dims)
            write_synthetic(root, games={"train": 6, "valid": 6, "test": 1}, dims=dims, seed=1)
            train, valid = (
                open_split(root, features="synthetic", split=split, cache=root / "cache")
                for split in ("train", "valid")
            )
            trial = paper_trial(train, seed=0, zones_s=planted_zones_s())
            published = Published(trial, train, valid)
            works = {"training published": published.step, "validation published": published.validate}
            show(dims, measure(works | our_works(trial, train, valid), arguments.threads, arguments.rounds))


if __name__ == "__main__":
    main()
