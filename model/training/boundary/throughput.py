"""Short measurements of the speed of a boundary-matching network on this device."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from model.data.activitynet.split import VideoSplit
from model.inference.proposals import load_videos, predict
from model.precision import Precision, computing, precisions_of
from model.training.boundary.config import BoundaryTrialConfig
from model.training.boundary.slot import BoundarySlot

VIDEOS = 2
"""Number of videos in a measured batch; at the published sizes one video takes seconds on a CPU."""


@dataclass(frozen=True, slots=True)
class VideoSpeed:
    """Videos per second."""

    training: float
    evaluation: float


def measure_speed(
    trial: BoundaryTrialConfig, train: VideoSplit, precision: Precision, device: torch.device
) -> VideoSpeed:
    """Measure the training and the prediction of a few videos with a new network, after one warm-up step."""
    slot, step = _step(trial, train, precision, device)
    batch = load_videos(train, _videos(train), device)

    @torch.no_grad()
    def evaluate() -> None:
        predict(slot.network, batch.features, precision).overlap.sum().item()

    seconds = []
    with computing(precision, device):
        for work in (step, evaluate):
            work()
            seconds.append(_seconds(work))
    videos = len(_videos(train))
    return VideoSpeed(training=videos / seconds[0], evaluation=videos / seconds[1])


def faster_precision(trial: BoundaryTrialConfig, train: VideoSplit, device: torch.device) -> Precision:
    """Return the number format in which a training step is fastest on this device."""
    seconds: dict[Precision, float] = {}
    for precision in precisions_of(device):
        _, step = _step(trial, train, precision, device)
        with computing(precision, device):
            step()
            seconds[precision] = _seconds(step)
    return min(seconds, key=lambda precision: seconds[precision])


def _step(
    trial: BoundaryTrialConfig, train: VideoSplit, precision: Precision, device: torch.device
) -> tuple[BoundarySlot, Callable[[], None]]:
    slot = BoundarySlot(trial)
    slot.place(device)
    batch, draws = load_videos(train, _videos(train), device), torch.Generator().manual_seed(0)

    def step() -> None:
        slot.step(batch, draws, precision).total.item()

    return slot, step


def _videos(train: VideoSplit) -> list[int]:
    return list(range(min(VIDEOS, len(train.videos))))


def _seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
