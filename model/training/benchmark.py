"""Benchmark of the training speed of this machine: one trial, and arrays of trials."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch

from model.data.stores.building import open_split
from model.data.stores.store import Store
from model.data.synthetic import planted_zones_s, write_synthetic
from model.encoding import Zones
from model.losses.complete import LossConfig
from model.networks.calf_config import NetworkConfig
from model.precision import Precision
from model.training.config import TrainingConfig, TrialConfig
from model.training.roofline import Work, peak, work_per_chunk
from model.training.throughput import Speed, measure_speed

GAMES, DIMS = {"train": 4, "valid": 1, "test": 1}, 512
PAPER_CHUNKS = 1000 * 5200
"""Chunks of the paper's training: 1000 epochs of 3,900 actions and a third as much background (SoccerNet)."""
MIXED = ((16, 80), (8, 40), (24, 120), (12, 60))
"""Values of (f, r) of the trials of a mixed array, in turn."""
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Row:
    """Measurement of one array."""

    trials: int
    mixed: bool
    """True if the trials differ in f and r."""
    speed: Speed
    ratio: float
    """Trained chunks per second relative to one trial alone: median over rounds that measure both."""
    of_peak: Work
    """Work per second, as fractions of the device's peak."""

    @property
    def paper_s(self) -> float:
        """Seconds per trial for a training as long as the paper's, without validations.

        This is the time of the whole array, divided by its number of trials.
        """
        return PAPER_CHUNKS / self.speed.training


@dataclass(frozen=True, slots=True)
class Bench:
    """Measurements in one number format."""

    precision: Precision
    rows: list[Row]
    peak: Work
    """Work per second of a large matrix product and of a large copy."""


def run_bench(
    sizes: Sequence[int],
    precisions: Sequence[Precision],
    device: torch.device,
    *,
    seconds: float,
    progress: Callable[[str, int, int], None],
) -> list[Bench]:
    """Measure arrays of ``sizes``, of equal and of mixed f and r, on synthetic games of 512 features.

    Args:
        sizes: Numbers of trials trained together; one trial alone is always measured.
        precisions: Number formats.
        device: Device to train on.
        seconds: Duration of each measurement in seconds; each is repeated three times.
        progress: Called with (name of the step, measurements done, total measurements).
    """
    with TemporaryDirectory(prefix="hpo-bench-") as folder:
        root = Path(folder) / "data"
        write_synthetic(root, games=GAMES, dims=DIMS)
        train = open_split(root, features="synthetic", split="train", cache=Path(folder) / "cache")
        kinds = [(1, False), *((size, mixed) for size in sizes if size > 1 for mixed in (False, True))]
        benches = []
        for precision in precisions:
            training = TrainingConfig(precision=precision)

            def show(done: int, total: int, precision: Precision = precision) -> None:
                progress(f"measuring {precision}", done, total)

            benches.append(_bench(kinds, training, train, device, seconds, show))
        return benches


def _bench(
    kinds: Sequence[tuple[int, bool]],
    training: TrainingConfig,
    train: Store,
    device: torch.device,
    seconds: float,
    show: Callable[[int, int], None],
) -> Bench:
    speeds: dict[tuple[int, bool], list[Speed]] = {kind: [] for kind in kinds}
    for round_number in range(ROUNDS):
        for index, (size, mixed) in enumerate(kinds):
            trials = bench_trials(size, train, mixed=mixed)
            speeds[size, mixed].append(measure_speed(trials, training, train, device, seconds=seconds))
            show(round_number * len(kinds) + index + 1, ROUNDS * len(kinds))
    most = peak(training, device)
    work = {
        mixed: work_per_chunk(bench_trials(len(MIXED), train, mixed=mixed), training, train, device)
        for mixed in (False, True)
    }
    rows = []
    for (size, mixed), measured in speeds.items():
        speed = Speed(
            median(each.training for each in measured), median(each.evaluation for each in measured)
        )
        ratios = [
            each.training / alone.training for each, alone in zip(measured, speeds[1, False], strict=True)
        ]
        of_peak = Work(
            speed.training * work[mixed].operations / most.operations,
            speed.training * work[mixed].bytes / most.bytes,
        )
        rows.append(Row(size, mixed, speed, median(ratios), of_peak))
    return Bench(training.precision, rows, most)


def bench_trials(count: int, train: Store, *, mixed: bool) -> list[TrialConfig]:
    """Return trials with the paper's hyperparameters and different seeds; ``mixed``: different f and r."""
    zones = Zones.from_seconds(planted_zones_s(), train.classes, train.frame_rate)
    network = NetworkConfig(input_size=train.dims, classes=len(train.classes))
    paper = TrialConfig(network=network, loss=LossConfig(zones=zones))
    trials = []
    for seed in range(count):
        f, r = MIXED[seed % len(MIXED)] if mixed else MIXED[0]
        sized = replace(network, class_features=f, receptive_field_frames=r)
        trials.append(replace(paper, network=sized, seed=seed))
    return trials
