"""Short measurements of the speed of a boundary-matching network on this device."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from model.data.activitynet.split import VideoSplit
from model.inference.proposals import VideoBatch, load_videos, predict
from model.precision import Precision, computing, precisions_of
from model.training.boundary.config import BoundaryTrainingConfig, BoundaryTrialConfig
from model.training.boundary.slot import BoundarySlot

PROCESSOR_VIDEOS = 2
"""Number of videos in a batch measured on a processor, where one takes seconds at the published sizes."""
ROUNDS = 3
"""Number of timings on a GPU; the fastest counts, because other work can only slow one down."""


@dataclass(frozen=True, slots=True)
class VideoSpeed:
    """Videos per second."""

    training: float
    evaluation: float


def measure_speed(
    trial: BoundaryTrialConfig, training: BoundaryTrainingConfig, train: VideoSplit, device: torch.device
) -> VideoSpeed:
    """Measure the training and the prediction of a batch with a new network, after one warm-up each.

    On a GPU it is a batch of the training: with a few videos, the GPU would wait for launches.
    """
    slot, batch = BoundarySlot(trial), _batch(training, train, device)
    slot.place(device)

    @torch.no_grad()
    def evaluate() -> None:
        predict(slot.network, batch.features, training.precision).overlap.sum().item()

    with computing(training.precision, device):
        seconds = [_seconds(work, device) for work in (_step(slot, batch, training.precision), evaluate)]
    videos = len(batch.features)
    return VideoSpeed(training=videos / seconds[0], evaluation=videos / seconds[1])


def faster_precision(
    trial: BoundaryTrialConfig, training: BoundaryTrainingConfig, train: VideoSplit, device: torch.device
) -> Precision:
    """Return the number format in which a training step is fastest on this device."""
    speeds: dict[Precision, float] = {}
    for precision in precisions_of(device):
        speed = measure_speed(trial, replace(training, precision=precision), train, device)
        speeds[precision] = speed.training
    return max(speeds, key=lambda precision: speeds[precision])


def _batch(training: BoundaryTrainingConfig, train: VideoSplit, device: torch.device) -> VideoBatch:
    most = training.batch_videos if device.type == "cuda" else PROCESSOR_VIDEOS
    return load_videos(train, list(range(min(most, len(train.videos)))), device)


def _step(slot: BoundarySlot, batch: VideoBatch, precision: Precision) -> Callable[[], None]:
    draws = torch.Generator().manual_seed(0)

    def step() -> None:
        slot.step(batch, draws, precision).total.item()

    return step


def _seconds(work: Callable[[], None], device: torch.device) -> float:
    """Return the shortest time of ``work`` after a warm-up that is not counted."""
    work()
    timings = []
    for _ in range(ROUNDS if device.type == "cuda" else 1):
        started = time.perf_counter()
        work()
        timings.append(time.perf_counter() - started)
    return min(timings)
