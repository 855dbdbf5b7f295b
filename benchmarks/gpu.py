"""Speed of arrays of trials on a GPU, beside plain PyTorch processes on the same GPU.

    python benchmarks/gpu.py [--arrays 1,16,64] [--processes 1,4,16] [--seconds 6]

All train the paper's network on batches of 32 chunks of 240 frames with 512 features. "plain" is the
published formulation in float32 (``published.py``), with PyTorch's default number formats and with processes
that read chunks. Several of them share the GPU, and their speeds are added. An array trains and validates as
in a study; a paper-size training has 1000 epochs of 5,200 chunks and 50 validations of 20 games (SoccerNet
has 100), and its time is that of the whole array divided by its number of trials.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from baselines.published import BATCH, Published

from model.data.sampler import SamplerConfig
from model.data.stores.building import open_split
from model.data.stores.store import Store
from model.data.synthetic import write_synthetic
from model.precision import Precision, precisions_of
from model.training.benchmark import bench_trials
from model.training.config import TrainingConfig
from model.training.outcomes import Validation
from model.training.slot import Slot
from model.training.trainer import TrainingArray

GPU = torch.device("cuda")
CHUNKS, EPOCHS, VALIDATE_EVERY = 5_200, 1_000, 20
"""The paper's training: chunks of an epoch, epochs, and epochs between two validations."""
MEASURED_EPOCHS = 2
"""Epochs of an interval that is measured here."""
WARM_UP = 20
"""Steps of a plain process that are not counted."""


def split(root: Path, name: str) -> Store:
    """Open a split of the synthetic games."""
    return open_split(root, features="synthetic", split=name, cache=root / "cache")


def plain(root: Path, seconds: float, workers: int) -> None:
    """Be one plain process: say that it is ready, wait for a line, train, and print its chunks per second."""
    torch.set_num_threads(1)
    train, valid = split(root, "train"), split(root, "valid")
    (trial,) = bench_trials(1, train, mixed=False)
    published = Published(trial, train, valid, device=GPU, workers=workers)
    for _ in range(WARM_UP):
        published.step()
    torch.cuda.synchronize()
    print("ready", flush=True)
    sys.stdin.readline()
    started, steps = time.perf_counter(), 0
    while time.perf_counter() < started + seconds:
        published.step()
        steps += 1
    torch.cuda.synchronize()
    print(steps * BATCH / (time.perf_counter() - started), flush=True)


def plain_speed(root: Path, processes: int, seconds: float) -> float:
    """Return the chunks per second of plain processes that train at the same time, added up."""
    workers = max(1, (os.cpu_count() or 1) // processes - 1)
    command = [sys.executable, __file__, "--plain", str(root), "--seconds", str(seconds)]
    started = [
        subprocess.Popen(
            [*command, "--workers", str(workers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(processes)
    ]
    for process in started:
        assert process.stdout and process.stdout.readline() == "ready\n", "a plain process did not start"
    for process in started:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    return sum(float(process.communicate()[0]) for process in started)


def array_speed(trials: int, precision: Precision, train: Store, valid: Store) -> tuple[float, float]:
    """Return the chunks per second of an array, and the seconds of a validation of all its trials."""
    training = TrainingConfig(
        epochs=EPOCHS,
        validate_every=MEASURED_EPOCHS,
        sampler=SamplerConfig(name="balanced", chunks_per_epoch=CHUNKS),
        precision=precision,
    )
    array = TrainingArray(training, train=train, valid=valid, device=GPU)
    array.slots = [Slot(trial) for trial in bench_trials(trials, train, mixed=False)]
    array.advance()  # records the steps
    started = time.perf_counter()
    result = array.advance()[0].result
    seconds = time.perf_counter() - started
    assert isinstance(result, Validation), result
    speed = result.metrics["chunks_per_s"]
    return speed, seconds - trials * MEASURED_EPOCHS * CHUNKS / speed


def measure(root: Path, arrays: Sequence[int], processes: Sequence[int], seconds: float) -> None:
    """Measure and print everything."""
    write_synthetic(root, games={"train": 6, "valid": 20, "test": 1}, dims=512, seed=1)
    train, valid = split(root, "train"), split(root, "valid")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {os.cpu_count()} cores", flush=True)
    speeds = {}
    for count in processes:
        speeds[count] = plain_speed(root, count, seconds)
        print(f"plain processes: {count}, {speeds[count]:,.0f} chunks/s together", flush=True)
    one, most = speeds[processes[0]], max(speeds.values())
    print(
        "| array | chunks/s | times one plain | times most plain | validation | paper-size trial | peak GB |"
    )
    print("|---|---|---|---|---|---|---|", flush=True)
    for precision in precisions_of(GPU):
        for trials in arrays:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            speed, validation_s = array_speed(trials, precision, train, valid)
            paper_s = EPOCHS * CHUNKS / speed + EPOCHS // VALIDATE_EVERY * validation_s / trials
            print(
                f"| {trials}, {precision} | {speed:,.0f} | {speed / one:.1f} | {speed / most:.1f} "
                f"| {validation_s:.2f} s | {paper_s:.0f} s | {torch.cuda.max_memory_reserved() / 1e9:.1f} |",
                flush=True,
            )


def numbers(text: str) -> list[int]:
    """Read numbers with commas between them."""
    return [int(word) for word in text.split(",")]


def main() -> None:
    """Measure and print, or be one plain process."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--arrays", type=numbers, default=[1, 16, 64])
    parser.add_argument("--processes", type=numbers, default=[1, 4, 16], help="begins with 1")
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--plain", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.plain:
        plain(arguments.plain, arguments.seconds, arguments.workers)
        return
    with TemporaryDirectory(prefix="hpo-gpu-") as folder:
        measure(Path(folder), arguments.arrays, arguments.processes, arguments.seconds)


if __name__ == "__main__":
    main()
