"""How fast a boundary-matching network trains and predicts here, measured for a moment."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from model.data.activitynet.split import VideoSplit
from model.inference.proposals import load_videos, predict
from model.precision import Precision
from model.training.boundary.config import BoundaryTrialConfig
from model.training.boundary.slot import BoundarySlot

VIDEOS = 2
"""Of a batch that is measured: at the published sizes one takes seconds on a processor."""
FAR_SLOWER = 2.0
"""A format whose first step takes so many times as long as a step of the other is not tried again."""


@dataclass(frozen=True, slots=True)
class VideoSpeed:
    """Videos a second."""

    training: float
    evaluation: float


def measure_speed(
    trial: BoundaryTrialConfig, train: VideoSplit, precision: Precision, device: torch.device
) -> VideoSpeed:
    """Train and predict a few videos of ``train`` with a fresh network; the first time is not counted."""
    slot, step = _step(trial, train, precision, device)
    batch = load_videos(train, _videos(train), device)

    @torch.no_grad()
    def evaluate() -> None:
        predict(slot.network, batch.features, precision).overlap.sum().item()

    seconds = []
    for work in (step, evaluate):
        work()
        seconds.append(_seconds(work))
    videos = len(_videos(train))
    return VideoSpeed(training=videos / seconds[0], evaluation=videos / seconds[1])


def faster_precision(trial: BoundaryTrialConfig, train: VideoSplit, device: torch.device) -> Precision:
    """The number format in which a step goes faster on this device.

    bfloat16 gains on a GPU and on processors that multiply it in hardware; on others it takes ten times as
    long as float32.
    """
    _, plain = _step(trial, train, "float32", device)
    plain()
    longest = _seconds(plain)
    _, short = _step(trial, train, "bfloat16", device)
    if _seconds(short) > FAR_SLOWER * longest:
        return "float32"
    return "bfloat16" if _seconds(short) < longest else "float32"


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
